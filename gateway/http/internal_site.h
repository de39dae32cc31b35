// What http://gateway.internal/ answers: the gateway about itself, its policy and this client's refusals. Read-only.
// Pure but for reading the recent denials.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/flow/context.h"
#include "gateway/flow/policy_pages.h"
#include "gateway/flow/recent_denials.h"
#include "gateway/http/page.h"
#include "policy/policy.h"

namespace soleroute::gateway::http {

// gateway.internal: no entry of a policy can give it another meaning, nor take it away.
[[nodiscard]] bool is_own_name(const std::optional<base::HostName>& host);

// Ends a refusal page.
inline constexpr std::string_view kWhereToLook = "\nWhat is allowed: http://gateway.internal/policy\n";

struct SiteRequest {
  std::string_view method;
  std::string_view target;  // origin-form
  base::IpAddress client;
  bool json = false;  // asked for
};

struct SiteSources {
  const policy::Policy& policy;
  std::shared_ptr<const flow::PolicyPages> pages;  // of this policy
  const flow::RecentDenials* denials = nullptr;    // null: none are remembered
  std::string_view ca_pem{};                       // the public certificate; empty: there is no CA
  std::shared_ptr<const std::string> ca_crl{};     // its revocation list, DER; null: there is none
};

// Nothing of the request stands in the page. What it costs does not grow with the policy, and with what was refused to
// the client only once for each refusal. 405 for every method but GET and HEAD, 404 for what is not there.
[[nodiscard]] Page internal_site_page(const SiteRequest& request, const SiteSources& sources);
// The same from what a worker has. It is asked before any policy is.
[[nodiscard]] Page internal_site_page(const flow::Context& context, const policy::Policy& policy,
                                      const SiteRequest& request);

}  // namespace soleroute::gateway::http
