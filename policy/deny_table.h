// What `deny:` says, compiled: from a host name or an address to the entries about it.
// Immutable; thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ip_address.h"
#include "base/port_range.h"
#include "policy/decision.h"
#include "policy/deny_rule.h"
#include "policy/host_table.h"
#include "policy/rule.h"

namespace soleroute::policy {

struct MergedDeny;  // policy/layers.h

struct DenyRecord {
  std::string pattern;  // the host as written ("*.example.com"), or the range as text
  bool by_address = false;
  base::Cidr range{};
  std::optional<Transport> transport{};    // nothing: every one
  base::PortRanges ports{};                // sorted, apart; empty: every port
  std::shared_ptr<const DenyRule> rule{};  // null: everything
  Origin origin{};

  [[nodiscard]] bool is_about(Transport asked, std::uint16_t port) const {
    return (!transport || *transport == asked) && (ports.empty() || base::contains(ports, port));
  }
};

// What the entries of one host say about a flow, as far as its facts go.
struct Denial {
  const DenyRecord* denies = nullptr;   // the first that denies it, whatever further facts say
  const DenyRecord* reaches = nullptr;  // the first that may deny something on this port
  bool pending = false;                 // one denies some requests, and which one this is is not known yet
  bool looks_inside = false;            // one is about requests of https
  bool by_method = false;               // one is about methods
  bool by_path = false;                 // one is about paths or queries
  std::string_view override_header{};   // with `denies`: by which the request may mean what it denies
};

// The addresses that no connection may lead to. Shared with the connections that are being made.
class DeniedAddresses : public std::enable_shared_from_this<DeniedAddresses> {
 public:
  // `files`: of the policy, in order.
  DeniedAddresses(std::span<const DenyRecord> records, std::span<const std::string> files);

  [[nodiscard]] bool empty() const { return levels_.empty(); }
  struct Found {
    std::size_t record = 0;  // in the table
    std::string_view place;  // "policy.yaml:12"; borrowed from this
  };
  // An address behind a translator of the well-known NAT64 prefix is denied as the address inside, too.
  [[nodiscard]] std::optional<Found> find(const base::IpAddress& address, std::uint16_t port,
                                          Transport transport) const;

 private:
  struct Range {
    base::Cidr range;
    std::optional<Transport> transport;
    base::PortRanges ports;
    std::size_t record = 0;
    std::string place;
  };
  // Those of one family and prefix length, sorted.
  struct Level {
    base::Family family = base::Family::kV4;
    int prefix_length = 0;
    std::vector<Range> ranges;
  };
  [[nodiscard]] const Range* among(const Level& level, const base::IpAddress& address, std::uint16_t port,
                                   Transport transport) const;

  std::vector<Level> levels_;
};

class DenyTable {
 public:
  DenyTable() = default;
  DenyTable(const std::vector<MergedDeny>& denies, std::span<const std::string> files);

  [[nodiscard]] bool empty() const { return records_.empty(); }
  [[nodiscard]] std::span<const DenyRecord> records() const { return records_; }  // as written
  [[nodiscard]] Denial about(const NameHashes& name, const FlowFacts& facts) const;
  // The entry that denies a connection to this address; null: none.
  [[nodiscard]] const DenyRecord* about(const base::IpAddress& address, std::uint16_t port, Transport transport) const;
  // Null: none.
  [[nodiscard]] const DeniedAddresses* addresses() const { return addresses_.get(); }

 private:
  // The entries of one pattern; those of the nearest wildcard above it are its parent's.
  struct Group {
    std::vector<std::uint32_t> records{};
    std::uint32_t parent = HostTable::kNone;
  };
  void add_name(std::string_view name, bool wildcard, std::uint32_t record);
  void link(std::string_view name);

  std::vector<DenyRecord> records_;
  HostTable table_;  // to groups
  std::vector<Group> groups_;
  std::shared_ptr<const DeniedAddresses> addresses_;
};

}  // namespace soleroute::policy
