// Ports and ranges of ports as policies write them.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "base/port_range.h"
#include "base/result.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

// One port.
[[nodiscard]] base::Status read_port(const YamlReader& yaml, const YamlNode& node, base::PortRanges& out);
// A list of ports and ranges ("8000-8100"), or one range; then `out` is sorted and apart.
[[nodiscard]] base::Status read_ports(const YamlReader& yaml, const YamlNode& node, base::PortRanges& out);

}  // namespace soleroute::policy
