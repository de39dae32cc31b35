// A value or an error that says who and what; errors are values throughout, nothing here throws.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <utility>

namespace soleroute::base {

// What went wrong, as the process's exit code sees it.
enum class ErrorKind {
  kUsage,   // bad command line, policy or input: exit code 2
  kSystem,  // the system cannot: exit code 3
};

struct Error {
  std::string message;  // one line or several, no trailing newline, says what to do next where it can
  ErrorKind kind = ErrorKind::kSystem;
  int sys_errno = 0;  // 0 where no system call was involved

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> usage_error(std::string message) {
  return std::unexpected(Error{std::move(message), ErrorKind::kUsage, 0});
}

[[nodiscard]] inline std::unexpected<Error> system_error(std::string message) {
  return std::unexpected(Error{std::move(message), ErrorKind::kSystem, 0});
}

// "what: strerror(err)"; keeps the number for callers that branch on it.
[[nodiscard]] std::unexpected<Error> errno_error(std::string what, int err = errno);

}  // namespace soleroute::base

// How an error is passed on, as it is: the house's only macros, because no function returns for its caller. Beside a
// message of its own, or in a coroutine, the two lines are written out.
// SR_TRY(f());     of a Status, or of a Result whose value does not matter
// SR_LET(x, f());  declares `x`, the Result of f(), which has a value from here on: *x
// NOLINTBEGIN(bugprone-macro-parentheses)
#define SR_TRY(...) \
  if (auto sr_result = (__VA_ARGS__); !sr_result) return std::unexpected(std::move(sr_result.error()))
#define SR_LET(name, ...)  \
  auto name = __VA_ARGS__; \
  if (!name) return std::unexpected(std::move(name.error()))
// NOLINTEND(bugprone-macro-parentheses)
