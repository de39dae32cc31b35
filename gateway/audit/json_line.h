// Builds one line of JSON that cannot be forged by what is put into it and that drives no terminal.
// Appends to a buffer that the caller owns and reuses. Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace soleroute::gateway::audit {

// Longer untrusted texts are cut: a 64 KiB host name must not fill the disk.
inline constexpr std::size_t kMaxLoggedText = 1024;

// Appends `text` as the inside of a JSON string. Kept as they are: printable ASCII and valid UTF-8 of visible
// characters. Written as \u escapes: C0, DEL, C1, quotes' companions, line and paragraph separators, bidirectional and
// other invisible format characters; a byte that is not UTF-8 (RFC 3629) becomes \u00XX.
void append_escaped(std::string& out, std::string_view text);

class JsonLine {
 public:
  // Clears `out` and starts the object with "ts" and "type".
  JsonLine(std::string& out, std::chrono::system_clock::time_point when, std::string_view type);

  void text(std::string_view key, std::string_view value);  // nothing if empty; cut at kMaxLoggedText
  void number(std::string_view key, std::int64_t value);
  void boolean(std::string_view key, bool value);
  void finish();  // "truncated" if something was cut, closing brace, newline

 private:
  void key(std::string_view name);
  std::string& out_;
  bool truncated_ = false;
};

}  // namespace soleroute::gateway::audit
