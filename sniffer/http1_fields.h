// What requests and responses have in common: lines, fields, and the fields that decide framing and persistence.
// For the HTTP/1 parsers of this folder only.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "sniffer/http1_head.h"
#include "sniffer/parsed.h"

namespace soleroute::sniffer::http1 {

using Stop = std::variant<NeedMore, Malformed>;
template <class T>
using Step = std::expected<T, Stop>;

inline std::unexpected<Malformed> fault(std::string_view reason, int status = 400) {
  return std::unexpected(Malformed{reason, status == 414 || status == 431, status});
}
inline std::unexpected<Stop> stop(std::string_view reason, int status = 400) {
  return std::unexpected(Stop(fault(reason, status).error()));
}

// Cuts lines that end in CRLF; a bare LF and a bare CR before it are faults.
class LineCursor {
 public:
  explicit LineCursor(std::string_view text) : text_(text) {}
  // Without its CRLF. `limit` bytes at most, else `status`.
  [[nodiscard]] Step<std::string_view> next(std::size_t limit, std::string_view too_long, int status);
  [[nodiscard]] std::size_t position() const { return position_; }

 private:
  std::string_view text_;
  std::size_t position_ = 0;
};

// One field line without its CRLF (`line` of the result is the same). RFC 9112 section 5.
[[nodiscard]] std::expected<HeaderField, Malformed> parse_field(std::string_view line);

// The fields up to and including the blank line, `most` at most.
[[nodiscard]] Step<std::vector<HeaderField>> read_fields(LineCursor& lines, std::size_t most);

// Names that some readers take for a framing field: CGI and its heirs make '_' and '-' one.
[[nodiscard]] bool is_framing_look_alike(std::string_view name);

// Fields that decide where a message ends and what becomes of the connection.
struct Semantics {
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool coded = false;  // by something else than chunked, of an origin's alone
  bool close = false;
  bool keep_alive = false;
  bool connection_upgrade = false;
  int upgrades = 0;
  bool websocket = false;
  int websocket_keys = 0;
  std::string_view websocket_key;
  int websocket_versions = 0;
  std::string_view websocket_version;
  int hosts = 0;
  std::string_view host;
  int expects = 0;
  std::string_view expect;
};
[[nodiscard]] std::expected<Semantics, Malformed> semantics_of(const std::vector<HeaderField>& fields, Sender sender);

}  // namespace soleroute::sniffer::http1
