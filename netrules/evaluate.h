// What a ruleset does to one packet, computed from the facts of the packet: the kernel's verdict without the kernel.
// Pure. Precondition of all: validate(ruleset).
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "netrules/ruleset.h"

namespace soleroute::netrules {

// The facts that matches ask of, those of routing and connection tracking included.
struct Packet {
  base::IpAddress source;
  base::IpAddress destination;
  std::uint8_t protocol = 6;           // IANA number
  std::uint16_t destination_port = 0;  // TCP, UDP
  std::uint8_t icmp_type = 0;
  bool has_ip_options = false;
  bool has_routing_header = false;
  std::string input_interface;   // empty: none, the packet is our own
  std::string output_interface;  // as routed now; empty: none, the packet is for us
  std::uint32_t mark = 0;
  std::uint8_t state = ConnectionState::kNew;
  bool redirected = false;  // the connection's destination was translated
  bool reply = false;
  std::uint32_t connection_mark = 0;
  bool destination_is_local = false;
  bool destination_is_on_input = false;  // local, and an address of the input interface
  bool source_is_local = true;
  bool source_has_route_back = true;
  std::optional<base::IpAddress> next_hop;
  bool within_rate = true;
  bool queue_has_listener = false;  // which accepts everything
};

enum class Fate : std::uint8_t { kAccepted, kDropped, kReset, kProhibited };

struct Hit {  // a rule all of whose matches held
  std::string chain;
  std::size_t rule = 0;  // from 0
  auto operator<=>(const Hit&) const = default;
};

struct Verdict {
  Fate fate = Fate::kAccepted;
  std::optional<std::uint16_t> redirected_to;
  std::optional<std::uint16_t> queued_to;
  std::string decided_by;  // "chain forward rule 2", "chain forward policy", or empty: no chain has this hook
  std::vector<Hit> hits;   // in the order of evaluation
  bool operator==(const Verdict&) const = default;
};

// All base chains of one hook, by priority. Changes the packet as the rules do: destination, marks, tracking.
[[nodiscard]] Verdict evaluate(const Ruleset& ruleset, Hook hook, Packet& packet);

// A packet that arrives: prerouting, then input or forward. A redirect leads to `local_address`.
[[nodiscard]] Verdict arrive(const Ruleset& ruleset, Packet packet, const base::IpAddress& local_address);
// A packet of a local program: output and, if it is for a local address then, prerouting and input on lo.
[[nodiscard]] Verdict leave(const Ruleset& ruleset, Packet packet);

}  // namespace soleroute::netrules
