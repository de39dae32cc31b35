// Any bytes as a policy: compile() takes them or says where they are wrong, in bounded time and memory; what it takes
// decides, describes itself, and never lets through what it does not list.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>
#include <string>
#include <vector>

#include "policy/expectations.h"
#include "policy/explanation.h"
#include "policy/policy.h"
#include "tests/fuzz/require.h"

namespace {

using namespace soleroute;
using fuzz::require;

void decide_a_little(const policy::Policy& policy) {
  policy::FlowFacts facts;
  for (const auto* name : {"a.test", "x.a.test", "github.com", "never-listed.invalid"}) {
    facts.phase = policy::Phase::kHttp;
    facts.scheme = policy::Scheme::kHttp;
    facts.port = 80;
    facts.host = *base::HostName::parse(name);
    facts.method = "GET";
    facts.target = "/v1/%2e%2e/x?a=b";
    const auto decision = policy.decide(facts);
    require(!decision.allowed() || !decision.matched_host.empty());
    require(!policy::refusal_page(policy, facts, decision).empty());
    facts.scheme = policy::Scheme::kHttps;
    facts.port = 443;
    const auto inside = policy.decide(facts);
    require(inside.transforms.empty() || (inside.allowed() && inside.treatment == policy::Treatment::kInspect));
    facts.host.reset();
    require(!policy.decide(facts).allowed());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::vector<policy::PolicySource> once{{"policy.yaml", text}};
  const auto policy = policy::Policy::compile(once);
  (void)policy::read_expectations("table.yaml", text);
  if (!policy) {
    require(policy.error().kind == base::ErrorKind::kUsage);
    require(policy.error().message.starts_with("policy.yaml:"));
    return 0;
  }
  require(!(*policy)->describe().empty());
  (void)(*policy)->warnings();
  decide_a_little(**policy);
  // A layer over itself adds nothing that fails (a replaced host stays replaced).
  const std::vector<policy::PolicySource> twice{{"policy.yaml", text}, {"again.yaml", text}};
  const auto doubled = policy::Policy::compile(twice);
  require(doubled.has_value());
  require((*doubled)->denies_everything() == (*policy)->denies_everything());
  require((*doubled)->secrets().size() == (*policy)->secrets().size());
  return 0;
}
