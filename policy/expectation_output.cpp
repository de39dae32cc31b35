// How results of expectations are printed.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "policy/expectations.h"

namespace soleroute::policy {
namespace {

using Json = nlohmann::ordered_json;

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

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

struct Totals {
  std::size_t tests = 0;
  std::size_t failures = 0;
  std::size_t errors = 0;
  double seconds = 0;
};

Totals totals_of(const ExpectationReport& report) {
  const std::size_t errors = report.faults.first.size();
  return {.tests = report.results.size() + errors,
          .failures = report.failures(),
          .errors = errors,
          .seconds = report.seconds};
}

std::string attributes(const Totals& totals) {
  return fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3f}\"", totals.tests, totals.failures,
                     totals.errors, totals.seconds);
}

std::string test_case(std::string_view table, const ExpectationResult& result, double seconds) {
  std::string out =
      fmt::format("    <testcase classname=\"{0}\" name=\"{1}\" file=\"{0}\" line=\"{2}\" time=\"{3:.6f}\"", table,
                  xml(base::shown(result.name)), result.line, seconds);
  if (result.passed) return out + "/>\n";
  return out + fmt::format(">\n      <failure type=\"policy\" message=\"{}\">{}\n{}</failure>\n    </testcase>\n",
                           xml(base::shown(first_line(result.failure))), xml(base::shown(result.place)),
                           xml(prefixed("", result.failure)));
}

std::string error_case(std::string_view table, const PolicyFault& fault) {
  const std::string file = xml(base::shown(fault.file));
  return fmt::format(
      "    <testcase classname=\"{}\" name=\"{} is valid\" file=\"{}\" line=\"{}\" time=\"0.000000\">\n"
      "      <error type=\"invalid\" message=\"{}\">{}</error>\n    </testcase>\n",
      table, file, file, fault.line, xml(base::shown(first_line(fault.text))), xml(prefixed("", fault.text)));
}

Json test_json(const ExpectationResult& result) {
  Json json{{"name", result.name},
            {"file", result.file},
            {"line", result.line},
            {"passed", result.passed},
            {"verdict", result.verdict}};
  if (!result.passed) json["failure"] = result.failure;
  return json;
}

}  // namespace

std::string to_human(const std::vector<ExpectationReport>& reports, bool verbose, bool colour) {
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
      out += fmt::format("{}FAILED{}  {}  ({})\n{}", colour ? "\x1b[1;31m" : "", colour ? "\x1b[0m" : "",
                         base::shown(result.name), base::shown(result.place), prefixed("        ", result.failure));
    }
  }
  return out + fmt::format("{} of {} passed\n", total - failed, total);
}

std::string to_tap(const std::vector<ExpectationReport>& reports) {
  std::string lines;
  std::string wrong;
  std::size_t number = 0;
  for (const auto& report : reports) {
    for (const auto& fault : report.faults.first) wrong += prefixed("# ", fault.text);
    for (const auto& result : report.results) {
      lines += fmt::format("{} {} - {}\n", result.passed ? "ok" : "not ok", ++number, tap_name(result.name));
      if (result.passed) continue;
      lines += fmt::format("  ---\n  at: \"{}\"\n  message: |\n{}  ...\n", base::shown(result.place),
                           prefixed("    ", result.failure));
    }
  }
  const auto broken = std::ranges::find_if(reports, [](const auto& report) { return report.faults.count > 0; });
  std::string out = fmt::format("TAP version 13\n1..{}\n{}", number, lines);
  if (broken == reports.end()) return out;
  // Last, because a reader stops there.
  return out + wrong + fmt::format("Bail out! {}\n", tap_name(first_line(broken->faults.first.front().text)));
}

std::string to_junit(const std::vector<ExpectationReport>& reports, const ReportFacts& facts) {
  Totals all;
  std::string suites;
  for (const auto& report : reports) {
    const Totals totals = totals_of(report);
    all.tests += totals.tests;
    all.failures += totals.failures;
    all.errors += totals.errors;
    all.seconds += totals.seconds;
    const std::string table = xml(base::shown(report.table));
    suites +=
        fmt::format("  <testsuite name=\"{0}\" {1} skipped=\"0\" timestamp=\"{2}\" hostname=\"{3}\" file=\"{0}\">\n",
                    table, attributes(totals), xml(facts.timestamp), xml(base::shown(facts.hostname)));
    const double share = report.results.empty() ? 0 : report.seconds / static_cast<double>(report.results.size());
    for (const auto& result : report.results) suites += test_case(table, result, share);
    for (const auto& fault : report.faults.first) suites += error_case(table, fault);
    suites += "  </testsuite>\n";
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"gateway test\" {}>\n{}</testsuites>\n",
      attributes(all), suites);
}

std::string to_json(const std::vector<ExpectationReport>& reports) {
  auto tables = Json::array();
  std::size_t passed = 0;
  std::size_t failed = 0;
  std::size_t errors = 0;
  for (const auto& report : reports) {
    passed += report.results.size() - report.failures();
    failed += report.failures();
    errors += report.faults.count;
    auto tests = Json::array();
    for (const auto& result : report.results) tests.push_back(test_json(result));
    auto faults = Json::array();
    for (const auto& fault : report.faults.first) {
      faults.push_back({{"file", fault.file}, {"line", fault.line}, {"column", fault.column}, {"message", fault.what}});
    }
    tables.push_back({{"file", report.table}, {"tests", std::move(tests)}, {"errors", std::move(faults)}});
  }
  const Json json{{"passed", passed}, {"failed", failed}, {"errors", errors}, {"tables", std::move(tables)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace soleroute::policy
