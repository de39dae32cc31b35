// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/internal_site.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "gateway/audit/json_line.h"
#include "gateway/audit/suggestion.h"
#include "gateway/flow/policy_in_force.h"
#include "policy/explanation.h"
#include "policy/special_names.h"

namespace soleroute::gateway::http {
namespace {

constexpr std::size_t kSuggestions = 20;

Page text_page(int status, std::string body) {
  Page page;
  page.status = status;
  page.body = std::move(body);
  return page;
}

// A page that many may be given at once: `rest` is sent from where it is, not copied.
Page shared_page(std::shared_ptr<const std::string> rest) {
  Page page;
  page.status = 200;
  page.rest = std::move(rest);
  return page;
}

std::string lines_for(const std::vector<flow::Denial>& denials, const policy::Policy& policy) {
  std::vector<audit::DecisionRecord> records;
  records.reserve(denials.size());
  for (const auto& denial : denials) records.push_back(denial.record);
  return audit::lines_to_allow(records, policy, kSuggestions);
}

// The records as the log has them, newest first; "client" stands in front.
std::string records_json(const std::vector<flow::Denial>& denials, std::string_view lines) {
  std::string out = "\"denials\":[";
  std::string_view separator = "\n";
  for (const auto& denial : denials) {
    std::string line = audit::to_json_line(denial.record, denial.when);
    line.pop_back();
    out.append(separator).append(line);
    separator = ",\n";
  }
  out += "],\n\"suggestion\":\"";
  audit::append_escaped(out, lines);
  return out + "\"}\n";
}

std::shared_ptr<const flow::DenialsPage> denials_of(const SiteRequest& request, const SiteSources& sources) {
  const auto tell = [&](const std::vector<flow::Denial>& denials) {
    flow::DenialsPage told{denials.size(), lines_for(denials, sources.policy), nullptr};
    told.json = std::make_shared<const std::string>(records_json(denials, told.lines));
    return told;
  };
  if (sources.denials != nullptr)
    return sources.denials->told(request.client, sources.policy.agent_name(), sources.pages, tell);
  return std::make_shared<const flow::DenialsPage>(tell({}));
}

Page home(const SiteRequest& request, const SiteSources& sources) {
  const auto denials = denials_of(request, sources);
  std::string out =
      "Network access here is restricted by an allowlist. It cannot be changed or bypassed from inside.\n\n";
  out += sources.pages->in_short;
  out +=
      "\n  http://gateway.internal/policy   what is allowed (JSON: /policy.json)\n"
      "  http://gateway.internal/denials  your recent denials, and how to allow them (JSON)\n"
      "  http://gateway.internal/ca.pem   CA certificate for inspected https\n\n";
  out +=
      fmt::format("To get access, ask the operator to run 'gateway allow HOST', or to add the suggested lines to {}.\n",
                  policy::policy_file(sources.policy));
  if (denials->count == 0) return text_page(200, out + "Recently denied: nothing.\n");
  out += fmt::format("Recently denied: {}. {}\n", denials->count,
                     denials->lines.empty() ? "No policy would allow them." : "To allow them, add:\n");
  return text_page(200, out + base::indented(denials->lines, "  "));
}

Page refusals(const SiteRequest& request, const SiteSources& sources) {
  Page page = shared_page(denials_of(request, sources)->json);
  page.json = true;
  page.body = "{\"client\":\"";
  audit::append_escaped(page.body, request.client.to_string());
  page.body += "\",";
  return page;
}

Page certificate(const SiteSources& sources) {
  if (sources.ca_pem.empty()) {
    return text_page(404, "This gateway has no CA: it does not inspect https.\n");
  }
  Page page = text_page(200, std::string(sources.ca_pem));
  page.content_type = "application/x-pem-file";
  return page;
}

Page revocation_list(const SiteSources& sources) {
  if (!sources.ca_crl) return text_page(404, "This gateway has no CA that may sign a revocation list.\n");
  Page page = shared_page(sources.ca_crl);
  page.content_type = "application/pkix-crl";
  return page;
}

}  // namespace

bool is_own_name(const std::optional<base::HostName>& host) {
  return host && policy::special_name(*host) == policy::SpecialName::kGateway;
}

Page internal_site_page(const SiteRequest& request, const SiteSources& sources) {
  if (request.method != "GET" && request.method != "HEAD") {
    Page page = text_page(405, "gateway.internal is read-only: use GET or HEAD.\n");
    page.allow = "GET, HEAD";
    return page;
  }
  const auto path = request.target.substr(0, request.target.find('?'));
  if (path == "/") return home(request, sources);
  if (path == "/policy.json" || (path == "/policy" && request.json)) {
    Page page = shared_page(sources.pages->json);
    page.json = true;
    return page;
  }
  if (path == "/policy") return shared_page(sources.pages->text);
  if (path == "/denials") return refusals(request, sources);
  if (path == "/ca.pem") return certificate(sources);
  if (path == "/ca.crl") return revocation_list(sources);
  return text_page(404,
                   "Not found. Pages of gateway.internal: /, /policy, /policy.json, /denials, /ca.pem, /ca.crl.\n");
}

Page internal_site_page(const flow::Context& context, const policy::Policy& policy, const SiteRequest& request) {
  const auto& pages = context.view_for(request.client).pages;
  if (!context.inspection) return internal_site_page(request, {policy, pages, context.denials});
  return internal_site_page(request, {policy, pages, context.denials, context.inspection->ca_certificate_pem,
                                      context.inspection->leaves->revocation_list()});
}

}  // namespace soleroute::gateway::http
