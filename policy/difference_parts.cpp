// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/difference_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/ascii.h"
#include "base/web_ports.h"
#include "policy/source_text.h"

namespace soleroute::policy {
namespace {

// What the rules about one name mention.
struct Mentioned {
  std::set<std::string> methods{};
  std::set<std::string> paths{};
  std::set<std::string> queries{};
  std::vector<base::PortRanges> ports{};
  bool udp = false;

  void add(const RuleTerms& terms);
  void add_denied(const RuleTerms& terms);
  void add(const Side& side, const base::HostName& name);
};

std::string encoded(std::string_view text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

void Mentioned::add(const RuleTerms& terms) {
  methods.insert(terms.methods.begin(), terms.methods.end());
  if (terms.path_match == PathMatch::kExact) paths.insert(terms.path);
  if (terms.path_match == PathMatch::kPrefix) paths.insert({terms.path, fmt::format("{}{}", terms.path, kFresh)});
  if (terms.path_match == PathMatch::kGitUploadPack) paths.insert("/owner/repository/git-upload-pack");
  if (terms.query) {
    std::string query;
    for (const auto& [name, value] : *terms.query) {
      query += fmt::format("{}{}={}", query.empty() ? "" : "&", encoded(name), encoded(value));
    }
    queries.insert(query);
    // With more than that, which an entry of `deny:` is about too.
    queries.insert(fmt::format("{}{}{}=1", query, query.empty() ? "" : "&", kFresh));
  }
  if (!terms.ports.empty()) ports.push_back(terms.ports);
}

// An entry of `deny:` is compared in the widest sense: other spellings of what it says are parts too.
void Mentioned::add_denied(const RuleTerms& terms) {
  add(terms);
  for (const auto& method : terms.methods) methods.insert(lowered(method));
  if (terms.path_match == PathMatch::kAny) return;
  std::string upper = terms.path;
  for (char& c : upper) {
    if (base::is_lower(c)) c = static_cast<char>(c - 'a' + 'A');
  }
  std::string encoded_slashes;
  for (const char c : terms.path) encoded_slashes += c == '/' && !encoded_slashes.empty() ? "%2F" : std::string(1, c);
  for (const auto& path : {upper, encoded_slashes}) paths.insert({path, fmt::format("{}{}", path, kFresh)});
}

void Mentioned::add(const Side& side, const base::HostName& name) {
  const auto found = side.data.find(name);
  if (const auto* record = side.data.record(found)) {
    for (const auto& rule : side.data.rules_of(*record)) add(rule.terms);
  }
  if (found.endpoints != HostTable::kNone) {
    for (const auto index : side.data.groups[found.endpoints].endpoints) {
      const auto& endpoint = side.data.endpoints[index];
      ports.push_back(endpoint.ports);
      udp = udp || endpoint.transport == Transport::kUdp;
    }
  }
  side.denies.covering(name.text(), [&](const DenyRecord& record) {
    if (!record.ports.empty()) ports.push_back(record.ports);
    if (record.rule) add_denied(record.rule->terms);
  });
}

std::vector<std::string> targets_of(const Mentioned& mentioned) {
  auto paths = mentioned.paths;
  if (!paths.empty()) paths.insert(fmt::format("/{}/../a", kFresh));  // servers read it in more than one way
  paths.insert(fmt::format("/{}", kFresh));
  auto queries = mentioned.queries;
  queries.insert("");
  if (!mentioned.queries.empty()) queries.insert({fmt::format("{}=1", kFresh), "%zz"});
  std::vector<std::string> targets;
  for (const auto& path : paths) {
    for (const auto& query : queries) targets.push_back(query.empty() ? path : fmt::format("{}?{}", path, query));
  }
  return targets;
}

base::IpAddress address_of(const base::IpAddress& like, std::span<const std::uint8_t> bytes) {
  if (like.is_v4()) return base::IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
  std::array<std::uint8_t, 16> all{};
  std::ranges::copy(bytes, all.begin());
  return base::IpAddress::v6(all);
}

// The one behind the last address of `range`; nothing if there is none.
std::optional<base::IpAddress> behind(const base::Cidr& range) {
  const auto first = range.address().bytes();
  std::vector<std::uint8_t> bytes(first.begin(), first.end());
  if (range.prefix_length() == 0) return std::nullopt;
  const int last_bit = range.prefix_length() - 1;  // of the prefix: adding there skips the range
  unsigned carry = 1U << (7 - last_bit % 8);
  for (int i = last_bit / 8; i >= 0 && carry != 0; --i) {
    const unsigned sum = bytes[static_cast<std::size_t>(i)] + carry;
    bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(sum);
    carry = sum >> 8;
  }
  if (carry != 0) return std::nullopt;
  return address_of(range.address(), bytes);
}

}  // namespace

DenyIndex::DenyIndex(const Policy::Data& data) {
  for (const auto& record : data.denies.records()) {
    if (!record.by_address) by_suffix_[suffix_of(record.pattern)].push_back(&record);
  }
}

std::set<std::uint16_t> ports_between(std::span<const base::PortRanges> ranges) {
  std::set<std::uint16_t> ports{1, base::kHttpPort, base::kHttpPort + 1, base::kHttpsPort, base::kHttpsPort + 1};
  for (const auto& list : ranges) {
    for (const auto& range : list) {
      ports.insert(range.first);
      if (range.last != 0xffff) ports.insert(static_cast<std::uint16_t>(range.last + 1));
    }
  }
  return ports;
}

namespace {

// `like`, once for each target.
void add_targets(std::vector<Part>& parts, const Part& like, std::span<const std::string> targets) {
  for (const auto& target : targets) {
    parts.push_back(like);
    parts.back().target = target;
  }
}

}  // namespace

std::vector<Part> parts_of(const base::HostName& name, const Side& before, const Side& after, std::size_t most) {
  Mentioned mentioned;
  mentioned.add(before, name);
  mentioned.add(after, name);
  mentioned.methods.insert("OTHER");
  const auto targets = targets_of(mentioned);
  const auto ports = ports_between(mentioned.ports);
  std::vector<Part> parts;
  const auto add_requests = [&](Scheme scheme, std::uint16_t port) {
    for (const auto& method : mentioned.methods) {
      add_targets(parts, {.scheme = scheme, .port = port, .method = method}, targets);
    }
  };
  for (const auto port : ports) {
    if (2 * mentioned.methods.size() * targets.size() + parts.size() > most) return {};
    if (port != base::kHttpsPort) add_requests(Scheme::kHttp, port);
    if (port != base::kHttpPort) add_requests(Scheme::kHttps, port);
    parts.push_back({.port = port});
    if (mentioned.udp) parts.push_back({.transport = Transport::kUdp, .port = port});
  }
  return parts;
}

std::vector<base::IpAddress> addresses_between(std::vector<base::Cidr> ranges) {
  // Those of one family together, an outer one before those in it.
  std::ranges::sort(ranges);
  ranges.erase(std::unique(ranges.begin(), ranges.end()), ranges.end());
  std::vector<base::IpAddress> out;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const auto& range = ranges[i];
    std::optional<base::IpAddress> candidate = range.address();
    for (std::size_t inner = i + 1; candidate && inner < ranges.size(); ++inner) {
      if (ranges[inner].address().family() != range.address().family()) continue;
      const bool inside = ranges[inner].prefix_length() > range.prefix_length() && range.contains(ranges[inner]);
      if (!inside && ranges[inner].address() > *candidate) break;
      if (inside && ranges[inner].contains(*candidate)) candidate = behind(ranges[inner]);
    }
    if (candidate && range.contains(*candidate)) out.push_back(*candidate);
  }
  return out;
}

void Ranges::add(std::string_view kind, const base::Cidr& range, const base::PortRanges& ports, int count) {
  ranges_.push_back(range);
  ports_.push_back(ports);
  auto& entry = entries_[fmt::format("{} {} {}", kind, range.to_string(), base::to_string(ports))];
  entry.first += count;
  entry.second = range;
}

void Ranges::add_endpoints(const Policy::Data& data, int count) {
  for (const auto& endpoint : data.endpoints) {
    if (!endpoint.by_address) continue;
    add(fmt::format("endpoint {}", static_cast<int>(endpoint.transport)), endpoint.cidr, endpoint.ports, count);
  }
}

void Ranges::add_denies(const Policy::Data& data, int count) {
  for (const auto& record : data.denies.records()) {
    if (!record.by_address) continue;
    const int transport = record.transport ? static_cast<int>(*record.transport) : -1;
    add(fmt::format("deny {}", transport), record.range, record.ports, count);
  }
}

std::vector<base::IpAddress> Ranges::changed_addresses() const {
  std::vector<base::Cidr> changed;
  for (const auto& [text, entry] : entries_) {
    if (entry.first != 0) changed.push_back(entry.second);
  }
  if (changed.empty()) return {};
  auto addresses = addresses_between(ranges_);
  std::erase_if(addresses, [&](const base::IpAddress& address) {
    return std::ranges::none_of(changed, [&](const base::Cidr& range) { return range.contains(address); });
  });
  return addresses;
}

std::set<std::uint16_t> Ranges::ports_at(const base::IpAddress& address) const {
  std::vector<base::PortRanges> about;
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    if (ranges_[i].contains(address)) about.push_back(ports_[i]);
  }
  return ports_between(about);
}

bool may_mean_own(const base::Cidr& range) {
  const auto bytes = range.address().bytes();
  const bool loopback = range.address().is_v4() && bytes[0] == 127 && range.prefix_length() >= 8;
  return loopback || range.prefix_length() == range.address().bits();
}

std::vector<base::Cidr> added_ranges(std::span<const base::Cidr> known, std::span<const base::Cidr> more) {
  std::vector<base::Cidr> out;
  for (const auto& range : more) {
    const bool contained = std::ranges::any_of(known, [&](const base::Cidr& other) {
      return other.contains(range) && (!may_mean_own(range) || may_mean_own(other));
    });
    if (!contained && std::ranges::find(out, range) == out.end()) out.push_back(range);
  }
  return out;
}

std::vector<base::IpAddress> clients_of(const Policy& before, const Policy& after) {
  std::vector<base::Cidr> ranges;
  for (const auto* policy : {&before, &after}) {
    for (const auto& agent : policy->agents()) {
      ranges.insert(ranges.end(), agent.addresses.begin(), agent.addresses.end());
    }
  }
  std::vector<base::IpAddress> clients{base::IpAddress::v4({203, 0, 112, 77}), base::IpAddress::v6({0x26, 0x06, 0x47})};
  const auto of_agents = addresses_between(std::move(ranges));
  clients.insert(clients.end(), of_agents.begin(), of_agents.end());
  return clients;
}

}  // namespace soleroute::policy
