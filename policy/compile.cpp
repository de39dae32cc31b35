// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "base/web_ports.h"
#include "policy/address_class.h"
#include "policy/agent_layers.h"
#include "policy/host_ports.h"
#include "policy/layer_reading.h"
#include "policy/layers.h"
#include "policy/policy.h"
#include "policy/policy_data.h"
#include "policy/policy_document.h"

namespace soleroute::policy {
namespace {

// Flattens merged hosts into the arrays of Policy::Data.
class Flattener {
 public:
  Flattener(Policy::Data& data, std::span<const std::string> texts, PolicyFaults* faults)
      : data_(data), texts_(texts), faults_(faults) {
    for (const auto& listed : data_.listed) data_.addresses.push_back(listed.range);
  }

  base::Status add(const MergedHost& host);
  void add_endpoints(std::vector<EndpointRecord> endpoints, const std::deque<MergedHost>& hosts);
  void name_records(const std::deque<MergedHost>& hosts);

 private:
  void add_rule(const Grant& grant, HostRecord& record);
  void add_rules(const MergedHost& host, HostRecord& record);
  void add_addresses(const MergedHost& host, HostRecord& record);
  [[nodiscard]] std::vector<base::Cidr> placeholders() const;
  [[nodiscard]] EndpointGroup& group_of(const std::string& name, bool wildcard);
  void add_groups_of_records(const std::deque<MergedHost>& hosts);
  void add_those_of_wildcards();
  [[nodiscard]] base::Status decide_https(const MergedHost& host, HostRecord& record);
  [[nodiscard]] bool is_inspected_somewhere(const HostRecord& record) const;
  [[nodiscard]] base::Status alpn_contradiction(const MergedHost& host) const;

  Policy::Data& data_;
  std::span<const std::string> texts_;
  PolicyFaults* faults_;
};

void Flattener::add_rule(const Grant& grant, HostRecord& record) {
  data_.rules.push_back({*grant.terms, grant.origin});
  record.names_ports = record.names_ports || !grant.terms->ports.empty();
  record.http_somehow = record.http_somehow || grant.terms->admits(Scheme::kHttp, base::kHttpPort);
  record.sets_headers = record.sets_headers || grant.terms->sets_headers();
  if (!grant.terms->admits(Scheme::kHttps, base::kHttpsPort)) return;
  if (grant.terms->constrains_request()) {
    if (record.https == HttpsVerdict::kNever) record.https = HttpsVerdict::kInspect;
  } else if (!record.https_open) {
    record.https_open = true;
    record.https = HttpsVerdict::kPassThrough;
    record.https_origin = grant.origin;
  }
}

// A request that a rule with headers admits gets them, whatever else admits it too: those rules are asked first. A host
// that is open for everything needs no other rules, but for those of other ports.
void Flattener::add_rules(const MergedHost& host, HostRecord& record) {
  record.rules.begin = static_cast<std::uint32_t>(data_.rules.size());
  for (const bool with_headers : {true, false}) {
    for (const auto& grant : host.grants) {
      if (!grant.terms || grant.terms->sets_headers() != with_headers) continue;
      if (with_headers || !record.open || !grant.terms->ports.empty()) add_rule(grant, record);
    }
  }
  record.rules.end = static_cast<std::uint32_t>(data_.rules.size());
  const bool with_headers = std::ranges::any_of(data_.rules_of(record), [](const Rule& rule) {
    return rule.terms.sets_headers() && rule.terms.admits(Scheme::kHttps, base::kHttpsPort);
  });
  if (with_headers) record.https = HttpsVerdict::kInspect;
}

bool Flattener::is_inspected_somewhere(const HostRecord& record) const {
  return std::ranges::any_of(turning_ports(data_, record), [&](std::uint16_t port) {
    return https_on(data_, record, port).verdict == HttpsVerdict::kInspect;
  });
}

base::Status Flattener::alpn_contradiction(const MergedHost& host) const {
  const SourceText source(data_.files[host.alpn_file], texts_[host.alpn_file], faults_);
  return source.error(host.alpn_position, fmt::format("'alpn' of {} needs https that passes unopened, but its rules or "
                                                      "'tls: inspect' look inside",
                                                      host.pattern.text()));
}

base::Status Flattener::decide_https(const MergedHost& host, HostRecord& record) {
  record.inspect_wanted = host.tls == TlsMode::kInspect;
  if (record.inspect_wanted && record.https != HttpsVerdict::kNever) record.https = HttpsVerdict::kInspect;
  const bool looks_inside = is_inspected_somewhere(record);
  if (!host.alpn.empty()) {
    if (looks_inside) return alpn_contradiction(host);
    record.alpn = static_cast<std::uint32_t>(data_.alpn.size());
    data_.alpn.push_back(host.alpn);
  }
  if (host.tls != TlsMode::kPassThrough || !looks_inside) return {};
  const auto file = host.tls_origin.file;
  const SourceText source(data_.files[file], texts_[file], faults_);
  if (record.sets_headers) {
    return source.error(host.tls_position, fmt::format("'tls: passthrough' of {} contradicts its transform, which sets "
                                                       "headers inside https",
                                                       host.pattern.text()));
  }
  return source.error(host.tls_position,
                      fmt::format("'tls: passthrough' of {} contradicts its rules on methods, paths or queries of "
                                  "https: add 'schemes: [http]' to those rules, or remove 'tls'",
                                  host.pattern.text()));
}

// Those of the whole policy that "*" may lead to: it means public addresses, and those that stand for them.
std::vector<base::Cidr> Flattener::placeholders() const {
  std::vector<base::Cidr> out;
  for (const auto& listed : data_.listed) {
    if (is_placeholder(listed.range)) out.push_back(listed.range);
  }
  return out;
}

// A host that lists none shares the policy's, so that many hosts cost nothing.
void Flattener::add_addresses(const MergedHost& host, HostRecord& record) {
  const auto common = static_cast<std::uint32_t>(data_.listed.size());
  auto own = host.addresses;
  for (const auto& service : host.service_addresses) {
    for (const auto& range : service.addresses) {
      if (std::ranges::find(own, range) == own.end()) own.push_back(range);
    }
  }
  record.addresses = {0, common};
  if (host.pattern.every) own = placeholders();
  if (own.empty() && !host.pattern.every) return;
  record.addresses.begin = static_cast<std::uint32_t>(data_.addresses.size());
  data_.addresses.insert(data_.addresses.end(), own.begin(), own.end());
  if (!host.pattern.every) {
    for (const auto& listed : data_.listed) data_.addresses.push_back(listed.range);
  }
  record.addresses.end = static_cast<std::uint32_t>(data_.addresses.size());
}

base::Status Flattener::add(const MergedHost& host) {
  if (host.grants.empty()) return {};
  HostRecord record{.pattern = {}, .origin = host.origin};
  record.txt = host.txt;
  record.from_service = std::ranges::none_of(host.grants, [](const Grant& grant) { return grant.owner.empty(); });
  const auto everything = std::ranges::find_if(host.grants, [](const Grant& grant) { return !grant.terms; });
  if (everything != host.grants.end()) {
    record.open = record.https_open = record.http_somehow = true;
    record.https = HttpsVerdict::kPassThrough;
    record.origin = record.https_origin = everything->origin;
    record.narrowed = std::ranges::any_of(host.grants, [](const Grant& grant) {
      return grant.terms != nullptr && !grant.optional && grant.terms->ports.empty();
    });
  }
  add_rules(host, record);
  SR_TRY(decide_https(host, record));
  add_addresses(host, record);

  const auto index = static_cast<std::uint32_t>(data_.records.size());
  auto& entry = data_.table.at(host.pattern.suffix());
  (host.pattern.wildcard ? entry.wildcard : entry.exact) = index;
  data_.records.push_back(record);
  return {};
}

// Once the table's text no longer moves.
void Flattener::name_records(const std::deque<MergedHost>& hosts) {
  auto record = data_.records.begin();
  for (const auto& host : hosts) {
    if (host.grants.empty()) continue;
    (record++)->pattern = data_.table.text(host.pattern.suffix(), host.pattern.wildcard);
  }
}

// The group of a name, or of those below it, made with the addresses of the host's record if there is none.
EndpointGroup& Flattener::group_of(const std::string& name, bool wildcard) {
  auto& entry = data_.table.at(name);
  auto& index = wildcard ? entry.endpoints_below : entry.endpoints;
  if (index != HostTable::kNone) return data_.groups[index];
  index = static_cast<std::uint32_t>(data_.groups.size());
  auto& group =
      data_.groups.emplace_back(EndpointGroup{.name = name, .wildcard = wildcard, .endpoints = {}, .addresses = {}});
  // Of names below it, that of any that is not listed itself.
  const auto* record = data_.record(data_.table.find(wildcard ? std::string(kStar) + name : name));
  if (name.empty()) {
    group.addresses = placeholders();
    return group;
  }
  const auto permitted = record != nullptr ? data_.addresses_of(*record)
                                           : std::span<const base::Cidr>(data_.addresses).first(data_.listed.size());
  group.addresses.assign(permitted.begin(), permitted.end());
  return group;
}

// A host that `domains:` lists below a wildcard of the endpoints has addresses of its own.
void Flattener::add_groups_of_records(const std::deque<MergedHost>& hosts) {
  for (const auto& host : hosts) {
    const std::string name(host.pattern.suffix());
    if (host.grants.empty() || data_.table.find(name).endpoints == HostTable::kNone) continue;
    static_cast<void>(group_of(name, host.pattern.wildcard));
  }
}

void add_all(EndpointGroup& group, const EndpointGroup& more) {
  group.endpoints.insert(group.endpoints.end(), more.endpoints.begin(), more.endpoints.end());
  group.addresses.insert(group.addresses.end(), more.addresses.begin(), more.addresses.end());
}

// So that one group says all about a name.
void Flattener::add_those_of_wildcards() {
  const std::vector<EndpointGroup> own = data_.groups;
  for (std::size_t i = 0; i < own.size(); ++i) {
    std::string_view above = own[i].name;
    for (bool first = true, last = above.empty(); !last; first = false) {
      const auto* entry = first && own[i].wildcard ? nullptr : data_.table.entry(above);
      const auto below = entry == nullptr ? HostTable::kNone : entry->endpoints_below;
      if (below != HostTable::kNone) add_all(data_.groups[i], own[below]);
      last = above.empty();
      const auto dot = above.find('.');
      above = dot == std::string_view::npos ? std::string_view{} : above.substr(dot + 1);
    }
  }
}

void Flattener::add_endpoints(std::vector<EndpointRecord> endpoints, const std::deque<MergedHost>& hosts) {
  data_.endpoints = std::move(endpoints);
  bool below = false;
  for (std::uint32_t i = 0; i < data_.endpoints.size(); ++i) {
    auto& endpoint = data_.endpoints[i];
    endpoint.permitted = endpoint.addresses;
    if (endpoint.by_address) continue;
    const bool wildcard = is_wildcard(endpoint.name);
    if (endpoint.name == kEveryHost) {
      endpoint.permitted = placeholders();
    } else {
      for (const auto& listed : data_.listed) endpoint.permitted.push_back(listed.range);
    }
    below = below || wildcard;
    auto& group = group_of(std::string(suffix_of(endpoint.name)), wildcard);
    group.endpoints.push_back(i);
    group.addresses.insert(group.addresses.end(), endpoint.addresses.begin(), endpoint.addresses.end());
  }
  if (!below) return;
  data_.table.look_for_endpoints_below();
  add_groups_of_records(hosts);
  add_those_of_wildcards();
}

base::Status flatten(Layers& merged, Policy::Data& data, std::span<const std::string> texts,
                     PolicyFaults* faults = nullptr) {
  merged.widen_optional_hosts();
  data.mode = merged.mode();
  data.ech = merged.ech();
  data.denied_names = merged.denied_names();
  data.listed = std::move(merged.addresses());
  data.hosts = std::move(merged.static_hosts());
  data.denies = DenyTable(merged.denies(), data.files);
  data.table = HostTable(merged.hosts().size() + merged.endpoints().size());
  data.records.reserve(merged.hosts().size());
  Flattener flat(data, texts, faults);
  base::Status first;
  for (const auto& host : merged.hosts()) {
    auto added = flat.add(host);
    if (added) continue;
    if (first) first = std::move(added);
    if (faults == nullptr) break;
  }
  SR_TRY(std::move(first));
  flat.add_endpoints(std::move(merged.endpoints()), merged.hosts());
  flat.name_records(merged.hosts());
  return {};
}

bool is_open(const Policy::Data& data, const HostPattern& pattern) {
  const auto* entry = data.table.entry(pattern.suffix());
  if (entry == nullptr) return false;
  const auto index = pattern.wildcard ? entry->wildcard : entry->exact;
  return index != HostTable::kNone && data.records[index].open;
}

base::Result<UnusedGroup> unused_group(const ServiceUse& service, const OptionalGroup& group) {
  UnusedGroup out{.service = std::string(service.name), .group = group.name, .hosts = {}, .admits = {}};
  for (const auto& domain : group.domains) out.hosts.push_back(domain.host.text());
  PolicyDocument document;
  document.domains = group.domains;
  Layers layers;
  auto data = std::make_unique<Policy::Data>();
  data->files.push_back(out.service);
  SR_TRY(layers.add(std::move(document), 0));
  const std::vector<std::string> texts(1);
  SR_TRY(flatten(layers, *data, texts));
  out.admits = std::make_shared<const Policy>(std::unique_ptr<const Policy::Data>(std::move(data)));
  return out;
}

base::Status add_unused_groups(const std::vector<ServiceUse>& services, Policy::Data& data) {
  for (const auto& service : services) {
    const bool whole =
        !service.readonly && std::ranges::all_of(service.document->domains,
                                                 [&](const DomainEntry& domain) { return is_open(data, domain.host); });
    for (const auto& group : service.document->optional) {
      if (std::ranges::find(service.groups, group.name) != service.groups.end()) continue;
      SR_LET(unused, unused_group(service, group));
      unused->whole = whole;
      data.unused_groups.push_back(std::move(*unused));
    }
  }
  return {};
}

base::Result<std::shared_ptr<const Policy>> finished(Layers& merged, std::unique_ptr<Policy::Data> data,
                                                     const LayerTexts& texts,
                                                     std::shared_ptr<const Policy::Agents> agents = nullptr) {
  SR_TRY(flatten(merged, *data, texts.texts, texts.faults));
  SR_TRY(add_unused_groups(merged.services(), *data));
  return std::make_shared<const Policy>(std::move(data), std::move(agents));
}

bool has_family(const MergedAgent& agent, base::Family family) {
  return std::ranges::any_of(agent.addresses,
                             [=](const base::Cidr& range) { return range.address().family() == family; });
}

// The agents' own policies. Each is compiled as a policy of its own, from the layers that are about its agent.
class AgentCompiler {
 public:
  // `common`: its denials are every agent's, and no agent takes them back. Borrowed.
  AgentCompiler(std::span<const PolicySource> layers, std::span<const PolicyDocument> documents, LayerTexts texts,
                const Layers& common)
      : layers_(layers), documents_(documents), texts_(texts), common_(common) {}

  [[nodiscard]] base::Result<std::shared_ptr<const Policy::Agents>> compiled(MergedAgents agents) {
    auto out = std::make_shared<Policy::Agents>();
    const auto all_have = [&](base::Family family) {
      return std::ranges::all_of(agents.agents, [=](const MergedAgent& agent) { return has_family(agent, family); });
    };
    out->only = agents.only;
    out->strangers_v4 = !agents.only && all_have(base::Family::kV4);
    out->strangers_v6 = !agents.only && all_have(base::Family::kV6);
    Layers nothing;
    auto of_nobody = data_for({});
    of_nobody->nobodys = true;
    SR_LET(none, finished(nothing, std::move(of_nobody), texts_));
    out->none = std::move(*none);
    const auto heirs = static_cast<std::size_t>(std::ranges::count(agents.agents, true, &MergedAgent::inherit));
    if (heirs * common_.hosts().size() > kMaxAgentHosts) return too_many(agents.agents.front());
    for (auto& agent : agents.agents) {
      SR_LET(policy, policy_of(agent));
      out->records.push_back({std::move(agent.name), std::move(agent.addresses), agent.origin, std::move(*policy)});
    }
    out->table = std::move(agents.table);
    return out;
  }

 private:
  [[nodiscard]] std::unique_ptr<Policy::Data> data_for(const std::string& agent) const {
    auto data = std::make_unique<Policy::Data>();
    data->files.assign(texts_.files.begin(), texts_.files.end());
    data->agent_name = agent;
    return data;
  }

  [[nodiscard]] base::Result<std::shared_ptr<const Policy>> policy_of(const MergedAgent& agent) {
    Layers own;
    for (std::uint32_t i = 0; i < documents_.size(); ++i) {
      if (!agent.inherit && !layers_[i].for_every_agent) continue;
      auto inherited = documents_[i];
      inherited.deny.clear();  // comes last
      SR_TRY(own.add(std::move(inherited), i));
    }
    for (const auto& layer : agent.layers) SR_TRY(own.add(*layer.policy, layer.file));
    own.deny_too(common_.denies());
    hosts_ += own.hosts().size();
    if (hosts_ > kMaxAgentHosts) return too_many(agent);
    return finished(own, data_for(agent.name), texts_);
  }

  [[nodiscard]] std::unexpected<base::Error> too_many(const MergedAgent& agent) const {
    return base::usage_error(
        fmt::format("{}:{}: the agents' policies have more than {} hosts in all, with what they inherit",
                    texts_.files[agent.origin.file], agent.origin.line, kMaxAgentHosts));
  }

  std::span<const PolicySource> layers_;
  std::span<const PolicyDocument> documents_;
  LayerTexts texts_;
  const Layers& common_;
  std::size_t hosts_ = 0;
};

}  // namespace

base::Result<std::shared_ptr<const Policy>> Policy::compile(std::span<const PolicySource> layers,
                                                            PolicyFaults* faults) {
  auto data = std::make_unique<Data>();
  std::vector<std::string> texts(layers.size());  // errors found while merging point into them
  std::vector<PolicyFaults> of_layers(faults == nullptr ? 0 : layers.size());
  Documents read = read_layers(layers, texts, of_layers);
  for (auto& found : of_layers) {
    std::ranges::sort(found.first, {}, [](const auto& fault) { return std::pair(fault.line, fault.column); });
    faults->add(std::move(found));
  }
  std::vector<PolicyDocument> documents;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    data->files.push_back(layers[i].name);
    if (!read[i]) return std::unexpected(read[i].error());
    SR_LET(document, layer_of(layers[i], std::move(*read[i])));
    documents.push_back(std::move(*document));
  }
  SR_LET(agents, merge_agents(documents, {data->files, texts, faults}));
  Layers merged;
  const bool again = !agents->agents.empty();
  for (std::uint32_t i = 0; i < documents.size(); ++i) {
    SR_TRY(merged.add(again ? documents[i] : std::move(documents[i]), i));
  }
  std::shared_ptr<const Agents> own;
  if (again || agents->only) {
    AgentCompiler compiler(layers, documents, {data->files, texts, faults}, merged);
    SR_LET(compiled, compiler.compiled(std::move(*agents)));
    own = std::move(*compiled);
  }
  return finished(merged, std::move(data), {{}, texts, faults}, std::move(own));
}

Policy::Policy(std::shared_ptr<const Data> data, std::shared_ptr<const Agents> agents)
    : data_(std::move(data)), agents_(std::move(agents)) {}
Policy::~Policy() = default;

Mode Policy::mode() const {
  return data_->mode;
}
std::vector<base::Cidr> Policy::listed_ranges() const {
  std::vector<base::Cidr> ranges = data_->addresses;
  for (const auto& endpoint : data_->endpoints) {
    if (endpoint.by_address) ranges.push_back(endpoint.cidr);
    ranges.insert(ranges.end(), endpoint.addresses.begin(), endpoint.addresses.end());
  }
  for (const auto& [name, host] : data_->hosts) {
    for (const auto& address : host.addresses) {
      if (const auto only = base::Cidr::make(address, address.bits())) ranges.push_back(*only);
    }
  }
  return ranges;
}
std::span<const base::IpAddress> Policy::static_addresses(const base::HostName& name) const {
  return data_->static_addresses(name.text());
}
DeniedNames Policy::denied_names() const {
  return data_->denied_names;
}
bool Policy::denies_everything() const {
  return data_->mode == Mode::kEnforce && data_->records.empty() && data_->endpoints.empty();
}
base::PortRanges Policy::domain_ports() const {
  base::PortRanges ports;
  for (const auto& rule : data_->rules) {
    if (!rule.terms.ports.empty()) ports.insert(ports.end(), rule.terms.ports.begin(), rule.terms.ports.end());
  }
  ports = base::normalised(std::move(ports));
  std::erase_if(ports, [](const auto& range) { return range.is_single() && base::is_web_port(range.first); });
  return ports;
}
std::size_t Policy::host_count() const {
  return data_->records.size();
}

std::vector<SecretUse> Policy::secrets() const {
  std::vector<SecretUse> uses;
  const auto add = [&](const HeaderTransform& transform, const Origin& origin) {
    for (const auto& use : uses) {
      if (*use.transform == transform) return;
    }
    uses.push_back({&transform, data_->line(origin)});
  };
  for (const auto& rule : data_->rules) {
    for (const auto& transform : rule.terms.transforms) add(transform, rule.origin);
  }
  return uses;
}

std::vector<EndpointView> Policy::endpoints() const {
  std::vector<EndpointView> views;
  for (const auto& endpoint : data_->endpoints) {
    views.push_back({endpoint.transport, endpoint.by_address ? std::string_view{} : std::string_view(endpoint.name),
                     endpoint.cidr, endpoint.ports, data_->line(endpoint.origin)});
  }
  return views;
}

}  // namespace soleroute::policy
