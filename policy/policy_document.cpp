// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/policy_document.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <vector>

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
      : yaml_(source), values_(source), services_(source), domains_(source), endpoints_(source), hosts_(source) {}

  [[nodiscard]] Result<PolicyDocument> policy(const YamlNode& root) const;

 private:
  [[nodiscard]] Status mode(const YamlNode& node, std::optional<Mode>& out) const;
  [[nodiscard]] Status ech(const YamlNode& node, std::optional<EchMode>& out) const;
  [[nodiscard]] Status denied_names(const YamlNode& node, std::optional<DeniedNames>& out) const;
  [[nodiscard]] Status addresses(const YamlNode& node, std::vector<AddressEntry>& out) const;

  YamlReader yaml_;
  ValueReader values_;
  ServiceReader services_;
  DomainReader domains_;
  EndpointReader endpoints_;
  StaticHostReader hosts_;
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

Result<PolicyDocument> PolicyReader::policy(const YamlNode& root) const {
  PolicyDocument document;
  if (root.is_null()) return document;
  const std::array<YamlReader::Key, 8> known{{
      {"services", [&](const YamlNode& value) { return services_.services(value, document.services); }},
      {"domains", [&](const YamlNode& value) { return domains_.domains(value, document.domains, false); }},
      {"endpoints", [&](const YamlNode& value) { return endpoints_.endpoints(value, document.endpoints); }},
      {"mode", [&](const YamlNode& value) { return mode(value, document.mode); }},
      {"ech", [&](const YamlNode& value) { return ech(value, document.ech); }},
      {"denied_names", [&](const YamlNode& value) { return denied_names(value, document.denied_names); }},
      {"addresses", [&](const YamlNode& value) { return addresses(value, document.addresses); }},
      {"hosts", [&](const YamlNode& value) { return hosts_.hosts(value, document.hosts); }},
  }};
  SR_TRY(yaml_.keys(root, "a policy", known));
  return document;
}

}  // namespace

Result<PolicyDocument> read_policy(const SourceText& source) {
  SR_LET(root, parse_yaml(source));
  return PolicyReader(source).policy(*root);
}

}  // namespace soleroute::policy
