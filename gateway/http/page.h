// The gateway's own HTTP answers: refusals, faults and failures, small and closed to reflection.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/decision.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::http {

struct Page {
  int status = 0;
  std::string_view reason;  // X-Soleroute-Reason; empty: left out
  std::string body{};
  bool json = false;
  std::string message{};            // in one line, for clients that show no body; empty: the body's first line
  std::string_view content_type{};  // empty: as `json` says
  std::string_view allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";  // with 405
  bool closes = false;                                                      // the connection of HTTP/1 ends with it
  std::string phrase{};                       // of HTTP/1, as reason_phrase() makes it; empty: the status's own
  std::string proxy_status{};                 // with a link to the policy; empty: both are left out
  std::shared_ptr<const std::string> rest{};  // the end of the body, shared with others and not copied; null: none

  [[nodiscard]] std::size_t size() const { return body.size() + (rest ? rest->size() : 0); }
};

// Its header fields, in order.
[[nodiscard]] std::vector<std::pair<std::string_view, std::string>> fields_of(const Page& page);

// The response but for `rest`. `to_head`: the answer to HEAD, whose body is only announced. Otherwise the connection
// stays unless `close`.
[[nodiscard]] std::string render(const Page& page, bool to_head, bool close);

enum class BodyForm : std::uint8_t { kText, kJson };

// "400 Bad Request: more than one Host header". `fault` is static text.
[[nodiscard]] Page fault_page(int status, policy::Reason reason, std::string_view fault, BodyForm form);

// An allowed request whose origin could not be reached or gave no usable answer.
struct UpstreamFault {
  policy::Reason reason = policy::Reason::kUpstreamFailed;
  std::string_view error{};  // of RFC 9209
  std::string_view host{};
  std::string_view cause{};
};
[[nodiscard]] Page upstream_page(int status, const UpstreamFault& fault, BodyForm form);

// What a client accepts: all values of its Accept fields (RFC 9110 section 12.5.1).
class AcceptedTypes {
 public:
  void see(std::string_view accept);
  // JSON of some kind is named, and no kind of text is preferred to it: by its quality, or by coming first.
  [[nodiscard]] bool prefers_json() const { return json_ > 0 && (json_ > text_ || (json_ == text_ && json_first_)); }

 private:
  int json_ = 0;  // the highest quality, in thousandths
  int text_ = 0;
  bool json_first_ = false;
};

[[nodiscard]] bool wants_json(const sniffer::RequestHead& head);

}  // namespace soleroute::gateway::http
