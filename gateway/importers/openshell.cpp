// NVIDIA OpenShell: `network_policies:` of a sandbox policy, with endpoints, access presets and REST rules.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/text.h"
#include "base/web_ports.h"
#include "gateway/importers/formats.h"
#include "gateway/importers/text_scan.h"
#include "gateway/importers/yaml_input.h"
#include "policy/source_text.h"

namespace soleroute::gateway::importers {
namespace {

using policy::YamlNode;

std::vector<std::uint16_t> ports_of(const YamlNode& endpoint) {
  std::vector<std::uint16_t> out;
  for (const char* key : {"port", "ports"}) {
    for (const auto text : texts_of(value_of(endpoint, key))) {
      std::uint16_t port = 0;
      std::from_chars(text.data(), text.data() + text.size(), port);
      if (port != 0) out.push_back(port);
    }
  }
  return out;
}

class EndpointReader {
 public:
  EndpointReader(const YamlNode& endpoint, Draft& draft) : endpoint_(endpoint), draft_(draft) {}

  void read() {
    const auto host = text_of(endpoint_, "host");
    const auto ports = ports_of(endpoint_);
    if (host.empty() || ports.empty()) return draft_.omit(host.empty() ? "endpoint" : host, "no host with a port");
    if (text_of(endpoint_, "enforcement") == "audit") draft_.omit(host, "audit: blocks nothing there; it does here");
    const auto protocol = text_of(endpoint_, "protocol");
    if (protocol == "mcp" || protocol == "json-rpc" || protocol == "graphql") {
      return draft_.omit(fmt::format("{} ({})", host, protocol), "rules inside the body of requests");
    }
    if (!text_of(endpoint_, "path").empty()) {
      return draft_.omit(fmt::format("{}: path {}", host, text_of(endpoint_, "path")),
                         "an endpoint for some paths alone");
    }
    for (const auto& ip : texts_of(value_of(endpoint_, "allowed_ips"))) {
      draft_.omit(fmt::format("{}: allowed_ips {}", host, ip), "write it as addresses: of the host");
    }
    for (const auto port : ports) add(host, port, protocol);
  }

 private:
  void add(std::string_view host, std::uint16_t port, std::string_view protocol) {
    if (base::IpAddress::parse(host)) return draft_.endpoint(host, port);
    const bool both = host.starts_with("**.");
    const bool star = both || host.starts_with("*.");
    const auto name = host.substr(both ? 3 : star ? 2 : 0);
    if (protocol.empty() && !base::is_web_port(port)) {
      return draft_.endpoint((star ? "*." : "") + std::string(name), port);
    }
    const Reach reach = !star ? Reach::kName : Reach::kBelow;
    const std::uint16_t listed = base::is_web_port(port) ? 0 : port;
    const auto terms = allowed(host, port);
    if (terms.empty()) return;
    draft_.host(Verdict::kAllow, reach, name, terms, listed);
    deny(reach, name, host, port);
  }

  // Empty: none of its rules can be said here.
  std::vector<Terms> allowed(std::string_view host, std::uint16_t port) {
    const std::string scheme = port == base::kHttpPort ? "http" : port == base::kHttpsPort ? "https" : "";
    Terms whole{.schemes = scheme.empty() ? std::vector<std::string>{} : std::vector{scheme}};
    const auto access = text_of(endpoint_, "access");
    if (access == "read-only") whole.methods = {"GET", "HEAD", "OPTIONS"};
    if (access == "read-write") whole.methods = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH"};
    const YamlNode* rules = value_of(endpoint_, "rules");
    if (rules == nullptr) return {whole};
    std::vector<Terms> out;
    for (const auto& rule : rules->children) {
      const YamlNode* allow = value_of(rule, "allow");
      Terms terms = whole;
      if (allow != nullptr && read_rule(host, *allow, terms, Verdict::kAllow)) out.push_back(terms);
    }
    return out;
  }

  bool read_rule(std::string_view host, const YamlNode& rule, Terms& terms, Verdict verdict) {
    const auto method = text_of(rule, "method");
    const auto glob = text_of(rule, "path");
    std::string_view fixed = glob;
    while (fixed.ends_with('*')) fixed.remove_suffix(1);
    const bool said = fixed.find_first_of("*?[") == std::string_view::npos && value_of(rule, "query") == nullptr;
    if (!said) {
      draft_.omit(fmt::format("{}: {} {}", host, method, glob), "a star inside the path, or a query", verdict);
      return false;
    }
    if (!method.empty() && method != "*") terms.methods = {std::string(method)};
    if (fixed.size() < glob.size()) {
      if (!fixed.empty() && fixed != "/") terms.path = path_prefix(fixed);
    } else if (!glob.empty()) {
      terms.path = exact_path(glob);
    }
    return true;
  }

  void deny(Reach reach, std::string_view name, std::string_view host, std::uint16_t port) {
    const YamlNode* rules = value_of(endpoint_, "deny_rules");
    if (rules == nullptr) return;
    for (const auto& rule : rules->children) {
      Terms terms;
      if (read_rule(host, rule, terms, Verdict::kDeny)) {
        draft_.host(Verdict::kDeny, reach, name, {terms}, base::is_web_port(port) ? 0 : port);
      }
    }
  }

  const YamlNode& endpoint_;
  Draft& draft_;
};

}  // namespace

base::Status read_openshell(const Input& input, Draft& draft) {
  SR_LET(root, parse_input(input));
  const YamlNode* policies = value_of(*root, "network_policies");
  if (policies == nullptr || !policies->is_mapping()) {
    return base::usage_error(fmt::format("{}: no 'network_policies:'", base::shown(input.name)));
  }
  draft.mean("A bare name covers this name alone, here and there. There, \"*.\" is one label; here, any number.");
  for (std::size_t i = 0; i + 1 < policies->children.size(); i += 2) {
    const auto& name = policies->children[i].text;
    const auto& entry = policies->children[i + 1];
    if (value_of(entry, "binaries") != nullptr) {
      draft.omit(name + ": binaries",
                 "every program of the sandbox may connect; the gateway does not know which one asks");
    }
    const YamlNode* endpoints = value_of(entry, "endpoints");
    if (endpoints == nullptr) continue;
    for (const auto& endpoint : endpoints->children) EndpointReader(endpoint, draft).read();
  }
  for (const char* key : {"filesystem_policy", "landlock", "process", "network_middlewares"}) {
    if (value_of(*root, key) != nullptr) draft.omit(key, "not about hosts");
  }
  return {};
}

}  // namespace soleroute::gateway::importers
