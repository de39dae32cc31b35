// The head of an HTTP/1 message: start line and fields, read strictly enough that no later reader sees another message.
// What is parsed borrows the bytes that it was parsed from; the forwarder sends those same bytes on.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_reader.h"
#include "base/host_name.h"
#include "base/ip_address.h"
#include "sniffer/parsed.h"

namespace soleroute::sniffer {

inline constexpr std::size_t kMaxRequestLine = 8 << 10;  // without its CRLF; more: 414
inline constexpr std::size_t kMaxHeadBytes = 64 << 10;   // start line, fields and the blank line; more: 431
inline constexpr std::size_t kMaxHeaderFields = 128;     // of a request; more: 431
inline constexpr std::size_t kMaxResponseFields = 1024;  // some sites set a hundred cookies at once
inline constexpr std::size_t kMaxMethodLength = 32;      // more: 501

struct HeaderField {
  std::string_view name;   // as sent
  std::string_view value;  // without surrounding whitespace
  std::string_view line;   // all of it, CRLF included
};

enum class TargetForm : std::uint8_t { kOrigin, kAbsolute, kAuthority, kAsterisk };  // RFC 9112 section 3.2
enum class BodyFraming : std::uint8_t { kNone, kLength, kChunked, kUntilClose };
// Who sends a message decides how it is read: what a client sends has to follow the grammar; what browsers and curl
// accept from an origin is put into plain form.
enum class Sender : std::uint8_t { kClient, kOrigin };
enum class Upgrade : std::uint8_t { kNone, kWebSocket, kOther };

// "host:port" as it stands in a target or a Host field.
struct Authority {
  std::string_view text;                   // the host as written, without port and brackets
  std::optional<base::HostName> host;      // absent: an address, or a number that some would read as one
  std::optional<base::IpAddress> address;  // set if it is a well-formed address
  std::optional<std::uint16_t> port;
};

struct RequestHead {
  std::string_view method;
  std::string_view target;  // as sent
  TargetForm form = TargetForm::kOrigin;
  bool http11 = true;               // else 1.0
  bool secure = false;              // an absolute-form target names https
  bool host_differs = false;        // Host names another authority than the target, which decides (section 3.2.2)
  std::string_view authority_text;  // of the target, else of Host: the host as written, without the port
  std::optional<base::HostName> host;
  std::optional<base::IpAddress> host_address;
  std::optional<std::uint16_t> port;
  std::vector<HeaderField> fields;
  BodyFraming framing = BodyFraming::kNone;
  std::uint64_t content_length = 0;  // with kLength, never 0 then
  bool keep_alive = true;
  bool expect_continue = false;
  Upgrade upgrade = Upgrade::kNone;  // kWebSocket: one that may be granted (RFC 6455 section 4.1)
  std::string_view websocket_key{};  // with kWebSocket
  std::size_t offset = 0;            // of the request line: 2 after one empty line before it
  std::size_t size = 0;              // bytes up to the end of the blank line, `offset` included
};

// Malformed carries the status to answer with: 400, 414, 417, 431, 501, 505. Stricter than RFC 9112 where leniency is
// a way around: tests/unit/sniffer/http1_beast_test.cpp lists where. NeedMore is returned only if all complete lines
// are sound.
[[nodiscard]] Parsed<RequestHead> parse_request_head(base::Bytes received);

// What a Host field for an absolute-form target holds (RFC 9112 section 3.2.2).
[[nodiscard]] std::string_view target_authority(const RequestHead& head);

// The target in origin-form ("/path?query"); "*" stays. Precondition: not authority-form.
[[nodiscard]] std::string origin_form(const RequestHead& head);

struct ResponseHead {
  int status = 0;
  bool http11 = true;
  std::vector<HeaderField> fields;
  BodyFraming framing = BodyFraming::kNone;
  std::uint64_t content_length = 0;  // with kLength
  bool keep_alive = true;
  bool keep_alive_named = false;  // Connection says so: needed by clients of HTTP/1.0
  bool to_websocket = false;      // a 101 that switches to WebSocket and nothing else
  bool coded = false;             // with kUntilClose: by a transfer coding that is not chunked
  std::size_t size = 0;
  // Set if the head was not in plain form: what is forwarded instead of the first `size` bytes, and what the fields
  // borrow from then.
  std::shared_ptr<const std::string> plain{};

  [[nodiscard]] bool interim() const { return status < 200; }
};

// The answer to a request with `method`. Malformed for everything that two readers could frame differently; what has
// one reading among those who accept it at all is put into plain form.
[[nodiscard]] Parsed<ResponseHead> parse_response_head(base::Bytes received, std::string_view method);

// "host", "host:port", "[v6]:port"; anything else is malformed.
[[nodiscard]] Parsed<Authority> parse_authority(std::string_view text);

// After NeedMore with `parsed_size` bytes, or before any look with 0: has enough come for another look? Keeps dribbled
// input from costing a parse for every byte: one for the first bytes and one for each line, at most.
[[nodiscard]] bool worth_parsing_again(base::Bytes received, std::size_t parsed_size);

}  // namespace soleroute::sniffer
