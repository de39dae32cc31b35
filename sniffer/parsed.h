// The three answers of every parser here: a value, need more bytes, or malformed.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <variant>

namespace soleroute::sniffer {

struct NeedMore {
  std::size_t at_least = 0;  // total bytes of input below which asking again is pointless; 0: unknown
};

struct Malformed {
  std::string_view reason;  // static text, for logs: "two SNI names"
  bool too_large = false;   // over a stated bound rather than wrong
  int http_status = 0;      // HTTP requests: what to answer with
  int tls_alert = 0;        // a ClientHello: what to answer with, if not decode_error
};

template <class T>
class Parsed {
 public:
  Parsed(T value) : state_(std::move(value)) {}       // NOLINT(google-explicit-constructor)
  Parsed(NeedMore need) : state_(need) {}             // NOLINT(google-explicit-constructor)
  Parsed(Malformed malformed) : state_(malformed) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool complete() const { return std::holds_alternative<T>(state_); }
  [[nodiscard]] bool need_more() const { return std::holds_alternative<NeedMore>(state_); }
  [[nodiscard]] bool malformed() const { return std::holds_alternative<Malformed>(state_); }
  // Precondition: complete().
  [[nodiscard]] const T& value() const& { return *std::get_if<T>(&state_); }
  [[nodiscard]] T&& value() && { return std::move(*std::get_if<T>(&state_)); }
  // Precondition: the state asked for.
  [[nodiscard]] NeedMore missing() const { return *std::get_if<NeedMore>(&state_); }
  [[nodiscard]] Malformed fault() const { return *std::get_if<Malformed>(&state_); }

 private:
  std::variant<T, NeedMore, Malformed> state_;
};

}  // namespace soleroute::sniffer
