// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/policy_document.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "policy/agent_reader.h"
#include "policy/deny_reader.h"
#include "policy/domain_reader.h"
#include "policy/endpoint_reader.h"
#include "policy/service_reader.h"
#include "policy/static_host_reader.h"
#include "policy/value_reader.h"
#include "policy/yaml_document.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {
namespace {

using base::Result;
using base::Status;

class PolicyReader {
 public:
  explicit PolicyReader(const SourceText& source)
      : yaml_(source),
        values_(source),
        services_(source),
        domains_(source),
        endpoints_(source),
        deny_(source),
        hosts_(source),
        agents_(source) {}

  [[nodiscard]] Result<PolicyDocument> policy(const YamlNode& root) const;

 private:
  [[nodiscard]] Status mode(const YamlNode& node, std::optional<Mode>& out) const;
  [[nodiscard]] Status ech(const YamlNode& node, std::optional<EchMode>& out) const;
  [[nodiscard]] Status denied_names(const YamlNode& node, std::optional<DeniedNames>& out) const;
  [[nodiscard]] Status addresses(const YamlNode& node, std::vector<AddressEntry>& out) const;
  [[nodiscard]] Status every_host_is_meant(const PolicyDocument& document, bool all_public) const;
  [[nodiscard]] Status agents(const YamlNode& node, std::vector<AgentEntry>& out) const;
  [[nodiscard]] Result<AgentEntry> agent(const YamlNode& item) const;
  // What a whole policy and an agent's have alike, and the keys that only this one has.
  [[nodiscard]] Status body(const YamlNode& node, std::string_view what, std::vector<YamlReader::Key> more,
                            PolicyDocument& document) const;

  YamlReader yaml_;
  ValueReader values_;
  ServiceReader services_;
  DomainReader domains_;
  EndpointReader endpoints_;
  DenyReader deny_;
  StaticHostReader hosts_;
  AgentReader agents_;
};

Status PolicyReader::mode(const YamlNode& node, std::optional<Mode>& out) const {
  SR_LET(chosen, yaml_.choice(node, "mode", {"enforce", "observe"}));
  out = *chosen == "enforce" ? Mode::kEnforce : Mode::kObserve;
  return {};
}

Status PolicyReader::ech(const YamlNode& node, std::optional<EchMode>& out) const {
  SR_LET(chosen, yaml_.choice(node, "ech", {"pass", "deny"}));
  out = *chosen == "deny" ? EchMode::kDeny : EchMode::kPass;
  return {};
}

Status PolicyReader::denied_names(const YamlNode& node, std::optional<DeniedNames>& out) const {
  SR_LET(chosen, yaml_.choice(node, "denied_names", {"address", "nxdomain"}));
  out = *chosen == "nxdomain" ? DeniedNames::kNxdomain : DeniedNames::kAddress;
  return {};
}

Status PolicyReader::addresses(const YamlNode& node, std::vector<AddressEntry>& out) const {
  return yaml_.each(node, "addresses", true, [&](const YamlNode& item) -> Status {
    AddressEntry entry{.range = {}, .position = item.position};
    SR_TRY(values_.cidr(item, "addresses", entry.range));
    if (out.size() == kMaxListedRanges) {
      return yaml_.error(item, fmt::format("more than {} ranges for the whole policy", kMaxListedRanges));
    }
    out.push_back(entry);
    return {};
  });
}

// "*" is never written by mistake: it needs a second line that says the same, and that can be searched for.
Status PolicyReader::every_host_is_meant(const PolicyDocument& document, bool all_public) const {
  constexpr std::string_view kUnmeant =
      "'*' would allow every host; name the hosts, or mean it: 'allow_all_public: true' beside this list";
  Status first;
  const auto is_unmeant = [&](Position position) {
    Status wrong = yaml_.error(position, kUnmeant);
    if (first) first = std::move(wrong);
  };
  if (all_public) return first;
  for (const auto& entry : document.domains) {
    if (entry.host.every) is_unmeant(entry.position);
  }
  for (const auto& entry : document.endpoints) {
    if (entry.host && entry.host->every) is_unmeant(entry.position);
  }
  return first;
}

Status PolicyReader::body(const YamlNode& node, std::string_view what, std::vector<YamlReader::Key> more,
                          PolicyDocument& document) const {
  bool all_public = false;
  std::vector<YamlReader::Key> known{
      {"services", [&](const YamlNode& value) { return services_.services(value, document.services); }},
      {"domains", [&](const YamlNode& value) { return domains_.domains(value, document.domains, false); }},
      {"endpoints", [&](const YamlNode& value) { return endpoints_.endpoints(value, document.endpoints); }},
      {"deny", [&](const YamlNode& value) { return deny_.deny(value, document.deny); }},
      {"mode", [&](const YamlNode& value) { return mode(value, document.mode); }},
      {"ech", [&](const YamlNode& value) { return ech(value, document.ech); }},
      {"denied_names", [&](const YamlNode& value) { return denied_names(value, document.denied_names); }},
      {"hosts", [&](const YamlNode& value) { return hosts_.hosts(value, document.hosts); }},
      {"allow_all_public", [&](const YamlNode& value) { return values_.flag(value, "allow_all_public", all_public); }},
  };
  known.insert(known.end(), more.begin(), more.end());
  const Status of_keys = yaml_.keys(node, what, known);
  const Status of_every_host = every_host_is_meant(document, all_public);
  SR_TRY(of_keys);
  return of_every_host;
}

Result<AgentEntry> PolicyReader::agent(const YamlNode& item) const {
  AgentEntry entry{.name = {}, .position = item.position};
  auto policy = std::make_shared<PolicyDocument>();
  SR_TRY(body(
      item, "an item of agents",
      {
          {"name", [&](const YamlNode& value) { return agents_.name(value, entry.name); }},
          {"addresses", [&](const YamlNode& value) { return agents_.addresses(value, entry.addresses); }},
          {"inherit", [&](const YamlNode& value) { return values_.flag(value, "inherit", entry.inherit.emplace()); }},
      },
      *policy));
  entry.policy = std::move(policy);
  return entry;
}

Status PolicyReader::agents(const YamlNode& node, std::vector<AgentEntry>& out) const {
  return yaml_.each(node, "agents", true, [&](const YamlNode& item) -> Status {
    SR_LET(entry, agent(item));
    SR_TRY(agents_.check(item, *entry, out));
    out.push_back(std::move(*entry));
    return {};
  });
}

Result<PolicyDocument> PolicyReader::policy(const YamlNode& root) const {
  PolicyDocument document;
  if (root.is_null()) return document;
  SR_TRY(body(
      root, "a policy",
      {
          {"addresses", [&](const YamlNode& value) { return addresses(value, document.addresses); }},
          {"agents", [&](const YamlNode& value) { return agents(value, document.agents); }},
          {"agents_only",
           [&](const YamlNode& value) { return values_.flag(value, "agents_only", document.agents_only.emplace()); }},
      },
      document));
  return document;
}

}  // namespace

Result<PolicyDocument> read_policy(const SourceText& source) {
  SR_LET(root, parse_yaml(source));
  return PolicyReader(source).policy(*root);
}

}  // namespace soleroute::policy
