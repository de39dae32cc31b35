// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "gateway/audit/json_line.h"
#include "gateway/http/proxy_status.h"
#include "sniffer/http1_text.h"

namespace soleroute::gateway::http {
namespace {

std::string_view phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Refused";
  }
}

// Of causes, which hold names and addresses and never what a client sent.
constexpr std::size_t kMostOfACause = 500;
constexpr std::string_view kProblem = "application/problem+json";

struct Problem {
  std::string_view headline;
  std::string_view detail;
  std::string_view host{};
};

// RFC 9457, without what only a denial has.
std::string problem_json(const Page& page, std::string_view title, const Problem& problem) {
  std::string out = fmt::format(R"({{"type":"http://gateway.internal/policy#{}","title":"{}","status":{},"detail":")",
                                page.reason, title, page.status);
  const auto text = [&out](std::string_view key, std::string_view value) {
    out += fmt::format(R"(","{}":")", key);
    audit::append_escaped(out, value);
  };
  audit::append_escaped(out, problem.detail);
  text("error", problem.headline);
  if (!problem.host.empty()) text("host", problem.host);
  text("reason", page.reason);
  return out + "\"}\n";
}

std::string_view content_type(const Page& page) {
  if (!page.content_type.empty()) return page.content_type;
  return page.json ? "application/json" : "text/plain; charset=utf-8";
}

}  // namespace

std::vector<std::pair<std::string_view, std::string>> fields_of(const Page& page) {
  std::vector<std::pair<std::string_view, std::string>> fields{
      {"Content-Type", std::string(content_type(page))},
      {"Content-Length", std::to_string(page.size())},
      {"Cache-Control", "no-store"},
      {"X-Content-Type-Options", "nosniff"},
  };
  if (!page.reason.empty()) fields.emplace_back("X-Soleroute-Reason", page.reason);
  if (!page.proxy_status.empty()) {
    fields.emplace_back("Proxy-Status", page.proxy_status);
    fields.emplace_back("Link", R"(<http://gateway.internal/policy>; rel="help")");
  }
  if (page.status == 405) fields.emplace_back("Allow", page.allow);
  return fields;
}

std::string render(const Page& page, bool to_head, bool close) {
  std::string out =
      fmt::format("HTTP/1.1 {} {}\r\n", page.status, page.phrase.empty() ? phrase(page.status) : page.phrase);
  for (const auto& [name, value] : fields_of(page)) out.append(name).append(": ").append(value).append("\r\n");
  out += close ? "Connection: close\r\n\r\n" : "\r\n";
  if (!to_head) out += page.body;
  return out;
}

Page fault_page(int status, policy::Reason reason, std::string_view fault, BodyForm form) {
  Page page{status, policy::to_string(reason), fmt::format("{} {}: {}\n", status, phrase(status), fault)};
  page.proxy_status = proxy_status(proxy_error(reason), fault);
  if (form == BodyForm::kText) return page;
  page.content_type = kProblem;
  page.message = page.body.substr(0, page.body.size() - 1);
  page.body = problem_json(page, phrase(status), {.headline = page.message, .detail = fault});
  return page;
}

Page upstream_page(int status, const UpstreamFault& fault, BodyForm form) {
  const auto host = base::shown_ascii(fault.host, kMostOfACause);
  const auto cause = base::shown_ascii(fault.cause, kMostOfACause);
  Page page{status, policy::to_string(fault.reason),
            fmt::format("{} is allowed, but the gateway cannot reach it: {}", host, cause)};
  page.phrase = reason_phrase(status == 504 ? "Timed out" : "Cannot reach", host);
  page.proxy_status = proxy_status(fault.error, cause);
  if (form == BodyForm::kText) {
    page.body += fmt::format("\n\nReason: {}\n", page.reason);
    return page;
  }
  page.content_type = kProblem;
  page.message = page.body;
  page.body = problem_json(page, phrase(status), {.headline = page.message, .detail = cause, .host = host});
  return page;
}

namespace {

// In thousandths; 0 for what cannot be read.
int quality(std::string_view parameters) {
  int out = 1000;
  while (!parameters.empty()) {
    const auto end = std::min(parameters.find(';'), parameters.size());
    const auto parameter = sniffer::http1::trimmed(parameters.substr(0, end));
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
    if (!parameter.starts_with("q=") && !parameter.starts_with("Q=")) continue;
    const auto digits = parameter.substr(2);
    if (digits.starts_with('1')) return 1000;
    out = 0;
    for (std::size_t i = 2, unit = 100; i < digits.size() && unit > 0; ++i, unit /= 10) {
      if (digits[i] >= '0' && digits[i] <= '9') out += static_cast<int>(unit) * (digits[i] - '0');
    }
  }
  return out;
}

bool is_json(std::string_view type) {
  return sniffer::http1::same_ignoring_case(type, "application/json") || type.ends_with("+json");
}

}  // namespace

void AcceptedTypes::see(std::string_view accept) {
  sniffer::http1::for_each_element(accept, [this](std::string_view element) {
    const auto end = std::min(element.find(';'), element.size());
    const auto type = sniffer::http1::trimmed(element.substr(0, end));
    const int wanted = quality(element.substr(end));
    if (is_json(type)) {
      json_first_ = json_first_ || (wanted > json_ && wanted > text_);
      json_ = std::max(json_, wanted);
    } else if (type.starts_with("text/")) {
      json_first_ = json_first_ && wanted <= json_;
      text_ = std::max(text_, wanted);
    }
  });
}

bool wants_json(const sniffer::RequestHead& head) {
  AcceptedTypes accepted;
  for (const auto& field : head.fields) {
    if (sniffer::http1::same_ignoring_case(field.name, "accept")) accepted.see(field.value);
  }
  return accepted.prefers_json();
}

}  // namespace soleroute::gateway::http
