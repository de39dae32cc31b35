// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/service_catalog.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using Domains = std::vector<std::string>;

std::map<std::string, ServiceView> catalog() {
  std::map<std::string, ServiceView> out;
  const auto views = list_services();
  if (!views) {
    ADD_FAILURE() << views.error().message;
    return out;
  }
  for (const auto& view : *views) out[view.name] = view;
  return out;
}

TEST(ServiceCatalog, HasTheServicesThatAgentSandboxUsersKnow) {
  const std::map<std::string, Domains> expected{
      {"claude", {"*.anthropic.com", "*.claude.ai", "*.claude.com"}},
      {"codex", {"*.openai.com", "chatgpt.com", "*.chatgpt.com"}},
      {"github", {"github.com", "*.github.com", "githubusercontent.com", "*.githubusercontent.com"}},
      {"copilot",
       {"github.com", "api.github.com", "copilot-telemetry.githubusercontent.com", "collector.github.com",
        "default.exp-tas.com", "copilot-proxy.githubusercontent.com", "origin-tracker.githubusercontent.com",
        "*.githubcopilot.com", "*.individual.githubcopilot.com", "*.business.githubcopilot.com",
        "*.enterprise.githubcopilot.com", "*.githubassets.com"}},
      {"gemini", {"cloudcode-pa.googleapis.com", "generativelanguage.googleapis.com", "oauth2.googleapis.com"}},
      {"opencode", {"opencode.ai", "*.opencode.ai", "models.dev"}},
      {"factory", {"api.factory.ai", "api.workos.com"}},
      {"vscode",
       {"update.code.visualstudio.com", "marketplace.visualstudio.com", "mobile.events.data.microsoft.com",
        "main.vscode-cdn.net", "*.vsassets.io"}},
      {"jetbrains", {"plugins.jetbrains.com", "downloads.marketplace.jetbrains.com"}},
  };
  auto services = catalog();
  for (const auto& [name, domains] : expected) EXPECT_EQ(services[name].domains, domains) << name;
}

TEST(ServiceCatalog, HasTheBundlesToOptIn) {
  auto services = catalog();
  const std::map<std::string, std::string> reaches{
      {"npm", "registry.npmjs.org"},          {"pypi", "files.pythonhosted.org"},
      {"crates", "static.crates.io"},         {"go", "proxy.golang.org"},
      {"debian", "deb.debian.org"},           {"ubuntu", "archive.ubuntu.com"},
      {"docker-hub", "registry-1.docker.io"}, {"rubygems", "rubygems.org"},
      {"maven", "repo.maven.apache.org"}};
  for (const auto& [name, host] : reaches) {
    const auto policy = compile("services: [" + name + "]");
    EXPECT_TRUE(policy->decide(tls(host)).allowed()) << name;
    EXPECT_EQ(policy->decide(tls(host)).rule.file, "policy.yaml") << "the operator's own line decides";
    EXPECT_FALSE(policy->decide(tls("example.com")).allowed()) << name;
  }
}

TEST(ServiceCatalog, HoldsEveryFileOfTheFolderUnderItsOwnName) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SOLEROUTE_SOURCE_DIR "/policy/services")) {
    ++files;
    const auto stem = entry.path().stem().string();
    ASSERT_NE(find_service(stem), nullptr) << stem;
    const auto services = catalog();
    EXPECT_TRUE(services.contains(stem)) << "the name inside the file is another";
    EXPECT_FALSE(services.at(stem).description.empty());
  }
  EXPECT_EQ(files, service_files().size());
  EXPECT_EQ(find_service("nothing"), nullptr);
}

TEST(ServiceCatalog, HasTheAgentsBeyondThem) {
  const std::map<std::string, Domains> expected{
      {"amp", {"ampcode.com"}},     {"auggie", {"auth.augmentcode.com", "*.api.augmentcode.com"}},
      {"cline", {"api.cline.bot"}}, {"continue", {"api.continue.dev"}},
      {"pi", {"pi.dev"}},
  };
  auto services = catalog();
  for (const auto& [name, domains] : expected) EXPECT_EQ(services[name].domains, domains) << name;
  EXPECT_TRUE(compile("services: [qwen]")->decide(tls("dashscope.aliyuncs.com")).allowed());
}

TEST(ServiceCatalog, EveryServiceOfAnAgentSaysWhereItsHostsAreFrom) {
  for (const std::string name : {"amp", "auggie", "claude", "cline", "codex", "continue", "copilot", "factory",
                                 "gemini", "opencode", "pi", "qwen"}) {
    const auto* file = find_service(name);
    ASSERT_NE(file, nullptr) << name;
    EXPECT_NE(file->text.find("# Source"), std::string_view::npos) << name;
    EXPECT_NE(file->text.find("2026-"), std::string_view::npos) << name << ": no date";
  }
}

// A host where everybody can store leads data out whatever the service meant with it.
TEST(ServiceCatalog, OffersNoHostWhereEverybodyCanStore) {
  for (const auto& [name, view] : catalog()) {
    auto domains = view.domains;
    for (const auto& group : view.optional) domains.insert(domains.end(), group.domains.begin(), group.domains.end());
    for (const auto& domain : domains) EXPECT_EQ(domain.find("storage.googleapis.com"), std::string::npos) << name;
  }
}

TEST(ServiceCatalog, EveryOptionalGroupIsAddedByItsNameAlone) {
  std::size_t groups = 0;
  for (const auto& [name, view] : catalog()) {
    const auto plain = compile("services: [" + name + "]");
    for (const auto& group : view.optional) {
      ++groups;
      EXPECT_FALSE(group.description.empty()) << name << " " << group.name;
      const auto with = compile("services: [{name: " + name + ", optional: [" + group.name + "]}]");
      for (const auto& domain : group.domains) {
        const auto host = domain.starts_with("*.") ? domain.substr(2) : domain;
        EXPECT_FALSE(plain->decide(dns(host)).allowed()) << name << " has " << host << " without its group";
        EXPECT_TRUE(with->decide(dns(host)).allowed()) << name << " " << group.name << " " << host;
      }
    }
  }
  EXPECT_GE(groups, 15u);
}

TEST(ServiceCatalog, EveryServiceCompilesAlsoReadOnly) {
  for (const auto name : service_names()) {
    const std::string text(name);
    EXPECT_FALSE(compile("services: [" + text + "]")->denies_everything());
    const auto narrow = compile("services: [{name: " + text + ", readonly: true}]");
    const auto host = std::string(catalog()[text].domains.front());
    const auto asked = host.starts_with("*.") ? host.substr(2) : host;
    EXPECT_TRUE(narrow->decide(http(asked, "GET")).allowed()) << text;
    EXPECT_FALSE(narrow->decide(http(asked, "POST")).allowed()) << text;
  }
}

TEST(Examples, Compile) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SOLEROUTE_SOURCE_DIR "/policy/examples")) {
    ++files;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::vector<PolicySource> sources{{entry.path().filename().string(), text}};
    const auto policy = Policy::compile(sources);
    EXPECT_TRUE(policy) << policy.error().message;
    EXPECT_FALSE(policy && (*policy)->denies_everything()) << entry.path();
  }
  EXPECT_GE(files, 5u);
}

}  // namespace
}  // namespace soleroute::policy::testing
