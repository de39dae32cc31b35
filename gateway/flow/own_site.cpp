// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/own_site.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "gateway/audit/json_line.h"
#include "gateway/audit/suggestion.h"
#include "gateway/dns/special_names.h"
#include "policy/effective.h"

namespace soleroute::gateway::flow {
namespace {

constexpr std::size_t kHostsShown = 20;
constexpr std::size_t kSuggestions = 20;

Page text_page(int status, std::string body) {
  Page page;
  page.status = status;
  page.body = std::move(body);
  return page;
}

Page json_page(std::string body) {
  Page page = text_page(200, std::move(body));
  page.json = true;
  return page;
}

std::vector<Denial> denials_of(const SiteRequest& request, const SiteSources& sources) {
  return sources.denials == nullptr ? std::vector<Denial>{} : sources.denials->of(request.client);
}

std::string lines_for(const std::vector<Denial>& denials, const policy::Policy& policy) {
  std::vector<audit::DecisionRecord> records;
  for (const auto& denial : denials) records.push_back(denial.record);
  return audit::lines_to_allow(records, policy, kSuggestions);
}

std::string indented(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    out += fmt::format("  {}\n", text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string allowed_in_short(const policy::Policy& policy) {
  if (policy.mode() == policy::Mode::kObserve) {
    return "Everything that is not private passes for now (mode observe), and what the policy does not allow is "
           "logged.\n";
  }
  if (policy.denies_everything()) return "Nothing is allowed.\n";
  const auto hosts = policy::host_patterns(policy);
  std::string out = "Allowed, some of it within rules:\n\n";
  for (const auto host : std::span(hosts).first(std::min(hosts.size(), kHostsShown)))
    out += fmt::format("  {}\n", host);
  if (hosts.size() > kHostsShown) out += fmt::format("  and {} more\n", hosts.size() - kHostsShown);
  const auto endpoints = policy.endpoints().size();
  if (endpoints > 0) out += fmt::format("  and {} other endpoint{}\n", endpoints, endpoints == 1 ? "" : "s");
  return out;
}

Page home(const SiteRequest& request, const SiteSources& sources) {
  const auto denials = denials_of(request, sources);
  std::string out =
      "This is the gateway, the only way out of this network. It passes what its policy allows and refuses the rest.\n"
      "Nothing in this network can change the policy or lead around it.\n\n";
  out += allowed_in_short(sources.policy);
  out +=
      "\n  http://gateway.internal/policy   all that is allowed (as JSON: /policy.json)\n"
      "  http://gateway.internal/denials  what was refused to you lately, as JSON\n"
      "  http://gateway.internal/ca.pem   the certificate that inspected https is signed by\n\n"
      "To get more, ask whoever runs the gateway to add lines to its policy.yaml; a refusal names them.\n";
  if (denials.empty()) return text_page(200, out + "Nothing was refused to you lately.\n");
  const std::string lines = lines_for(denials, sources.policy);
  out += fmt::format("Refused to you lately: {}.{}\n", denials.size(),
                     lines.empty() ? "" : " These lines would allow what a policy can allow of it:\n");
  return text_page(200, out + indented(lines));
}

// The records as the log has them, newest first.
Page refusals(const SiteRequest& request, const SiteSources& sources) {
  const auto denials = denials_of(request, sources);
  std::string out = "{\"client\":\"";
  audit::append_escaped(out, request.client.to_string());
  out += "\",\"denials\":[";
  std::string_view separator = "\n";
  for (const auto& denial : denials) {
    std::string line = audit::to_json_line(denial.record, denial.when);
    line.pop_back();
    out.append(separator).append(line);
    separator = ",\n";
  }
  out += "],\n\"suggestion\":\"";
  audit::append_escaped(out, lines_for(denials, sources.policy));
  return json_page(out + "\"}\n");
}

Page certificate(const SiteSources& sources) {
  if (sources.ca_pem.empty()) {
    return text_page(404, "This gateway has no CA: https passes with the origins' own certificates.\n");
  }
  Page page = text_page(200, std::string(sources.ca_pem));
  page.content_type = "application/x-pem-file";
  return page;
}

}  // namespace

bool is_own_name(const std::optional<base::HostName>& host) {
  return host && dns::special_name(*host) == dns::SpecialName::kGateway;
}

Page own_page(const SiteRequest& request, const SiteSources& sources) {
  if (request.method != "GET" && request.method != "HEAD") {
    Page page = text_page(405, "gateway.internal can be read, not written: GET or HEAD.\n");
    page.allow = "GET, HEAD";
    return page;
  }
  const auto path = request.target.substr(0, request.target.find('?'));
  if (path == "/") return home(request, sources);
  if (path == "/policy.json" || (path == "/policy" && request.json)) {
    return json_page(policy::effective_json(sources.policy));
  }
  if (path == "/policy") return text_page(200, policy::effective_text(sources.policy));
  if (path == "/denials") return refusals(request, sources);
  if (path == "/ca.pem") return certificate(sources);
  return text_page(404, "gateway.internal has /, /policy, /policy.json, /denials and /ca.pem.\n");
}

}  // namespace soleroute::gateway::flow
