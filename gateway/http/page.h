// The gateway's own HTTP answers: refusals, faults and failures, small and closed to reflection.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  std::shared_ptr<const std::string> rest{};  // the end of the body, shared with others and not copied; null: none

  [[nodiscard]] std::size_t size() const { return body.size() + (rest ? rest->size() : 0); }
};

// Its header fields, in order.
[[nodiscard]] std::vector<std::pair<std::string_view, std::string>> fields_of(const Page& page);

// The response but for `rest`. `to_head`: the answer to HEAD, whose body is only announced. Otherwise the connection
// stays unless `close`.
[[nodiscard]] std::string render(const Page& page, bool to_head, bool close);

// "400 Bad Request: two Hosts". `fault` is static text.
[[nodiscard]] Page fault_page(int status, std::string_view reason, std::string_view fault);
// An allowed request whose origin could not be reached or gave no usable answer.
[[nodiscard]] Page upstream_page(int status, std::string_view reason, const std::string& host,
                                 const std::string& cause);

// What a client accepts: all values of its Accept fields.
class AcceptedTypes {
 public:
  void see(std::string_view accept);
  [[nodiscard]] bool json_alone() const { return types_ > 0 && json_ == types_; }

 private:
  int types_ = 0;
  int json_ = 0;
};

// The client takes application/json and nothing else.
[[nodiscard]] bool wants_json(const sniffer::RequestHead& head);

}  // namespace soleroute::gateway::http
