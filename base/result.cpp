// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/result.h"

#include <system_error>

namespace soleroute::base {

std::unexpected<Error> errno_error(std::string what, int err) {
  what += ": ";
  what += std::generic_category().message(err);
  return std::unexpected(Error{std::move(what), ErrorKind::kSystem, err});
}

}  // namespace soleroute::base
