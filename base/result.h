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
