// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/github_scope.h"

#include <initializer_list>
#include <string_view>
#include <utility>

#include "policy/policy_document.h"

namespace soleroute::policy {
namespace {

constexpr std::string_view kGitHost = "github.com";
constexpr std::string_view kApiHost = "api.github.com";
constexpr std::string_view kTokenUser = "x-access-token";  // whose password is a token, of any kind

// Rules of one host about one repository after another.
class Rules {
 public:
  Rules(Position position, std::vector<HeaderTransform> transforms)
      : position_(position), transforms_(std::move(transforms)) {}

  void about(std::string_view before, const GithubRepository& repository) {
    prefix_ = before;
    folded_ = {static_cast<std::uint32_t>(before.size()), 0};
    prefix_ += repository.owner + "/" + repository.name;
    folded_.end = static_cast<std::uint32_t>(prefix_.size());
  }

  // Methods sorted, as RuleTerms wants them.
  void add(std::initializer_list<std::string_view> methods, PathMatch match, std::string_view rest,
           std::optional<QueryParameters> query = std::nullopt) {
    LocatedRule rule{.terms = {}, .position = position_};
    rule.terms.http = false;
    rule.terms.methods.assign(methods.begin(), methods.end());
    rule.terms.path_match = match;
    rule.terms.path = prefix_ + std::string(rest);
    rule.terms.folded = folded_;
    rule.terms.query = std::move(query);
    rule.terms.transforms = transforms_;
    rules_.push_back(std::move(rule));
  }

  [[nodiscard]] std::vector<LocatedRule> take() { return std::move(rules_); }

 private:
  Position position_;
  std::vector<HeaderTransform> transforms_;
  std::string prefix_;
  FoldedPart folded_;
  std::vector<LocatedRule> rules_;
};

void add_git_service(Rules& rules, std::string_view suffix, std::string_view service) {
  const std::string base(suffix);
  rules.add({"GET", "HEAD"}, PathMatch::kExact, base + "/info/refs",
            QueryParameters{{"service", std::string(service)}});
  rules.add({"POST"}, PathMatch::kExact, base + "/" + std::string(service), QueryParameters{});
}

void add_git(Rules& rules, const GithubRepository& repository, bool write) {
  rules.about("/", repository);
  for (const std::string_view suffix : {".git", ""}) {
    add_git_service(rules, suffix, "git-upload-pack");
    if (write) add_git_service(rules, suffix, "git-receive-pack");
  }
}

void add_api(Rules& rules, const GithubRepository& repository, bool write) {
  rules.about("/repos/", repository);
  rules.add({"GET", "HEAD"}, PathMatch::kExact, "");
  rules.add({"GET", "HEAD"}, PathMatch::kPrefix, "/");
  if (!write) return;
  for (const std::string_view family : {"/issues", "/pulls"}) {
    rules.add({"POST"}, PathMatch::kExact, family);
    rules.add({"PATCH", "POST"}, PathMatch::kPrefix, std::string(family) + "/");
  }
}

std::vector<HeaderTransform> authorization(const GithubAccess& access, HeaderForm form) {
  if (access.secret.empty()) return {};
  return {{.name = "Authorization",
           .form = form,
           .username = form == HeaderForm::kBasic ? std::string(kTokenUser) : std::string(),
           .secret = access.secret,
           .replace = access.replace}};
}

DomainEntry entry(std::string_view host, Position position, Rules& rules) {
  return {.host = {*base::HostName::parse(host)}, .position = position, .rules = rules.take()};
}

}  // namespace

std::vector<DomainEntry> expand(const GithubScope& scope, Position position) {
  std::vector<DomainEntry> out;
  if (scope.git) {
    Rules rules(position, authorization(*scope.git, HeaderForm::kBasic));
    for (const auto& repository : scope.repositories) add_git(rules, repository, scope.git->write);
    out.push_back(entry(kGitHost, position, rules));
  }
  if (scope.api) {
    Rules rules(position, authorization(*scope.api, HeaderForm::kBearer));
    for (const auto& repository : scope.repositories) add_api(rules, repository, scope.api->write);
    out.push_back(entry(kApiHost, position, rules));
  }
  return out;
}

}  // namespace soleroute::policy
