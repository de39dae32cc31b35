// Names that answer DNS over HTTPS: who reaches them can look up any name, and send data in the question.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string_view>

namespace soleroute::policy {

// The well-known ones; there are many more.
[[nodiscard]] std::span<const std::string_view> dns_over_https_names();

}  // namespace soleroute::policy
