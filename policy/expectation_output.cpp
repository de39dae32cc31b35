// How results of expectations are printed.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include "base/text.h"
#include "policy/expectations.h"

namespace soleroute::policy {
namespace {

std::string prefixed(std::string_view prefix, std::string_view text) {
  std::string out;
  for (const auto line : base::lines_of(text)) out += fmt::format("{}{}\n", prefix, base::shown(line));
  return out;
}

// Text for XML: control characters are not allowed there even as references, so base::shown() goes first.
std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// '#' begins a directive in TAP.
std::string tap_name(std::string_view text) {
  std::string out;
  for (const char c : base::shown(text)) {
    if (c == '#' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string to_human(const std::vector<ExpectationReport>& reports, bool verbose) {
  std::string out;
  std::size_t total = 0;
  std::size_t failed = 0;
  for (const auto& report : reports) {
    for (const auto& result : report.results) {
      ++total;
      if (result.passed) {
        if (verbose) out += fmt::format("ok      {}  ({})\n", base::shown(result.name), base::shown(result.verdict));
        continue;
      }
      ++failed;
      out += fmt::format("FAILED  {}  ({})\n{}", base::shown(result.name), base::shown(result.place),
                         prefixed("        ", result.failure));
    }
  }
  return out + fmt::format("{} of {} passed\n", total - failed, total);
}

std::string to_tap(const std::vector<ExpectationReport>& reports) {
  std::string lines;
  std::size_t number = 0;
  for (const auto& report : reports) {
    for (const auto& result : report.results) {
      lines += fmt::format("{} {} - {}\n", result.passed ? "ok" : "not ok", ++number, tap_name(result.name));
      if (result.passed) continue;
      lines += fmt::format("  ---\n  at: \"{}\"\n  message: |\n{}  ...\n", base::shown(result.place),
                           prefixed("    ", result.failure));
    }
  }
  return fmt::format("TAP version 13\n1..{}\n{}", number, lines);
}

std::string to_junit(const std::vector<ExpectationReport>& reports) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const auto& report : reports) {
    out += fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\">\n",
                       xml(base::shown(report.table)), report.results.size(), report.failures());
    for (const auto& result : report.results) {
      out += fmt::format("    <testcase classname=\"{}\" name=\"{}\"", xml(base::shown(report.table)),
                         xml(base::shown(result.name)));
      if (result.passed) {
        out += "/>\n";
        continue;
      }
      const auto first_line = result.failure.substr(0, result.failure.find('\n'));
      out +=
          fmt::format(">\n      <failure message=\"{}\">{}\n{}</failure>\n    </testcase>\n",
                      xml(base::shown(first_line)), xml(base::shown(result.place)), xml(prefixed("", result.failure)));
    }
    out += "  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

}  // namespace soleroute::policy
