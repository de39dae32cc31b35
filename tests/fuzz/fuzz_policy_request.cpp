// Any bytes as a request target or URL: normalising is idempotent, a prefix never admits what climbs out of it however
// often it is decoded, and questions are answered without a crash.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/decision_query.h"
#include "policy/policy.h"
#include "policy/request_target.h"
#include "tests/fuzz/require.h"

namespace {

using namespace soleroute;
using fuzz::require;

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::string decoded(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0;
    out += escape ? static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return out;
}

// What an origin that decodes, takes backslashes for slashes and resolves dots would serve.
std::string resolved(const std::string& path) {
  std::vector<std::string> segments;
  std::string segment;
  for (const char c : path + "/") {
    if (c != '/' && c != '\\') {
      segment += c;
      continue;
    }
    const std::string name = segment.substr(0, segment.find(';'));
    if (name == ".." && !segments.empty()) segments.pop_back();
    if (name != "." && name != ".." && !name.empty()) segments.push_back(segment);
    segment.clear();
  }
  std::string out;
  for (const auto& each : segments) out += "/" + each;
  return out + "/";
}

void check_target(const std::string& target) {
  const auto parsed = policy::parse_target(target);
  if (!parsed.path) return;
  require(policy::normalised_path(*parsed.path) == parsed.path);
  constexpr std::string_view kPrefix = "/v1/";
  if (!parsed.path->starts_with(kPrefix)) return;
  std::string origin = target.substr(0, target.find('?'));
  for (int round = 0; round < 4; ++round) {
    require(resolved(origin).starts_with(kPrefix));
    origin = decoded(origin);
  }
}

const policy::Policy& some_policy() {
  static const auto kPolicy = policy::Policy::compile(std::vector<policy::PolicySource>{
      {"policy.yaml",
       "domains: [a.test, {host: \"*.b.test\", rules: [{path: {prefix: /v1/}, methods: [GET]}]}]\n"
       "endpoints: [{cidr: 192.0.2.0/24, port: 22}, {host: c.test, port: 22}]\n"}});
  return **kPolicy;
}

const policy::Policy& one_repository() {
  static const auto kPolicy = policy::Policy::compile(std::vector<policy::PolicySource>{
      {"policy.yaml",
       "services: [{name: github, repos: [o/r], git: {access: readwrite}, api: {access: readwrite}}]\n"}});
  return **kPolicy;
}

// However a server decodes what a repository's scope admits, it is about that repository.
void check_scope(std::string_view host, std::string_view method, const std::string& target) {
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kHttp;
  facts.scheme = policy::Scheme::kHttps;
  facts.port = 443;
  facts.host = *base::HostName::parse(host);
  facts.method = method;
  facts.target = target;
  if (one_repository().decide(facts).reason == policy::Reason::kNoRuleMatched) return;
  std::string origin = target.substr(0, target.find('?'));
  for (int round = 0; round < 4; ++round) {
    std::string path = resolved(origin);
    for (char& c : path) c = c == 'O' ? 'o' : c == 'R' ? 'r' : c;
    const std::string_view text = path;
    if (host == "api.github.com") {
      require(text.starts_with("/repos/o/r/"));
    } else {
      require(text.starts_with("/o/r/") || text.starts_with("/o/r.git/"));
      require(text.ends_with("/info/refs/") || text.ends_with("/git-upload-pack/") ||
              text.ends_with("/git-receive-pack/"));
    }
    origin = decoded(origin);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_target(text);
  check_target("/v1/" + text);
  for (const std::string_view method : {"GET", "POST"}) {
    for (const auto& target : {text, "/o/r" + text, "/O/R" + text + "/info/refs?service=git-upload-pack"}) {
      check_scope("github.com", method, target);
      check_scope("api.github.com", method, "/repos" + target);
    }
  }
  const auto query = policy::parse_query(text);
  require(!query || query->size() <= policy::kMaxQueryParameters);
  policy::DecisionQuery asked;
  asked.url = text;
  policy::PreparedQuery question(asked);
  const auto decision = question.ask(some_policy());
  require(!decision.allowed() || decision.rule.line != 0);
  return 0;
}
