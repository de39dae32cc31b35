// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/service_catalog.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "policy/host_pattern.h"
#include "policy/policy_document.h"
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
  const std::map<std::string, std::string> reaches{{"npm", "registry.npmjs.org"},
                                                   {"pypi", "files.pythonhosted.org"},
                                                   {"crates", "static.crates.io"},
                                                   {"go", "proxy.golang.org"},
                                                   {"debian", "deb.debian.org"},
                                                   {"ubuntu", "archive.ubuntu.com"},
                                                   {"docker-hub", "registry-1.docker.io"},
                                                   {"rubygems", "rubygems.org"},
                                                   {"maven", "repo.maven.apache.org"},
                                                   {"dotnet", "api.nuget.org"},
                                                   {"php", "repo.packagist.org"},
                                                   {"dart", "pub.dev"},
                                                   {"swift", "download.swift.org"},
                                                   {"terraform", "registry.terraform.io"},
                                                   {"playwright", "cdn.playwright.dev"},
                                                   {"huggingface", "us.aws.cdn.hf.co"},
                                                   {"conda", "conda.anaconda.org"},
                                                   {"nix", "cache.nixos.org"},
                                                   {"alpine", "dl-cdn.alpinelinux.org"},
                                                   {"fedora", "mirrors.fedoraproject.org"},
                                                   {"helm", "get.helm.sh"},
                                                   {"elixir", "repo.hex.pm"},
                                                   {"haskell", "hackage.haskell.org"},
                                                   {"cursor", "api2.cursor.sh"}};
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

TEST(ServiceCatalog, EveryServiceSaysWhereItsHostsAreFromAndWhen) {
  for (const auto& [name, view] : catalog()) {
    EXPECT_FALSE(view.source.empty()) << name;
    EXPECT_TRUE(is_date(view.date)) << name << " " << view.date;
  }
  const SourceText undated("x.yaml", "name: x\ndescription: x\nsource: x\ndate: yesterday\ndomains: [x.example]\n");
  EXPECT_FALSE(read_service(undated));
  for (const auto* wrong : {"", "2026-13-01", "2026-00-10", "2026-1-01", "26-12-01", "2026-12-32", "2026-12-01 "}) {
    EXPECT_FALSE(is_date(wrong)) << wrong;
  }
}

Domains all_domains(const ServiceView& view) {
  auto domains = view.domains;
  for (const auto& group : view.optional) domains.insert(domains.end(), group.domains.begin(), group.domains.end());
  return domains;
}

TEST(ServiceCatalog, EveryHostIsWellFormedAndNoPublicSuffix) {
  std::size_t hosts = 0;
  for (const auto& [name, view] : catalog()) {
    for (const auto& domain : all_domains(view)) {
      const auto pattern = parse_host_pattern(domain);
      ASSERT_TRUE(pattern) << name << " " << domain;
      EXPECT_EQ(pattern->text(), domain) << name << ": not as the gateway writes it";
      EXPECT_NE(domain.find('.'), std::string::npos) << name << " " << domain;
      EXPECT_FALSE(is_public_suffix(pattern->name.text())) << name << " " << domain;
      const bool shared = pattern->wildcard && is_shared_suffix(pattern->name.text());
      EXPECT_EQ(shared, domain == "*.githubusercontent.com")
          << name << " " << domain;  // GitHub alone gives these names
      ++hosts;
    }
  }
  EXPECT_GE(hosts, 150u);
}

TEST(ServiceCatalog, EveryServiceIsDocumented) {
  std::ifstream file(SOLEROUTE_SOURCE_DIR "/docs/policy/schema.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const auto begin = page.find("\n## services\n");
  const auto list = page.substr(begin, page.find("An item is a name, or a mapping:", begin) - begin);
  for (const auto name : service_names()) {
    EXPECT_NE(list.find("`" + std::string(name) + "`"), std::string::npos) << name;
  }
}

// T275: a host where anybody can store can lead data out. There only reading is allowed, below a path that its owner
// has.
TEST(ServiceCatalog, AllowsOnlyReadingWhereAnybodyCanStore) {
  for (const auto& [name, view] : catalog()) {
    for (const auto& domain : all_domains(view)) {
      if (domain.find("storage.googleapis.com") == std::string::npos) continue;
      EXPECT_EQ(view.limited, Domains{domain}) << name;
    }
  }
  const auto dart = compile("services: [dart]");
  const std::string bucket = "/dartlang-pub-public-packages/packages/a-1.0.0.tar.gz";
  EXPECT_TRUE(dart->decide(https("storage.googleapis.com", "GET", bucket)).allowed());
  EXPECT_FALSE(dart->decide(https("storage.googleapis.com", "PUT", bucket)).allowed());
  EXPECT_FALSE(dart->decide(https("storage.googleapis.com", "GET", "/another-bucket/x")).allowed());
  EXPECT_FALSE(dart->decide(https("storage.googleapis.com", "GET", "/dart-archive/../another-bucket/x")).allowed());
  const auto models = compile("services: [huggingface]");
  EXPECT_TRUE(models->decide(https("huggingface.co", "GET", "/api/models/a/b")).allowed());
  EXPECT_FALSE(models->decide(https("huggingface.co", "POST", "/api/models/a/b/commit/main")).allowed());
  EXPECT_FALSE(models->decide(https("cas-server.xethub.hf.co", "POST", "/v1/xorbs/default/x")).allowed());
  const auto narrow = compile("services: [{name: huggingface, readonly: true}]");
  EXPECT_FALSE(narrow->decide(https("huggingface.co", "OPTIONS", "/")).allowed()) << "readonly never adds a method";
}

TEST(ServiceCatalog, ASharedHostOfAServiceTakesNothingFromAWildcard) {
  const auto wide = compile("services: [dart]\ndomains: ['*.googleapis.com']\n");
  EXPECT_TRUE(wide->decide(https("storage.googleapis.com", "PUT", "/my-bucket/x")).allowed());
  const auto denied = compile("services: [dart]\ndeny: [storage.googleapis.com]\n");
  EXPECT_FALSE(denied->decide(https("storage.googleapis.com", "GET", "/dart-archive/x")).allowed());
  EXPECT_TRUE(denied->decide(https("pub.dev", "GET", "/")).allowed());
}

TEST(ServiceCatalog, FindsAServiceByAWordOfItsDescription) {
  EXPECT_EQ(service_hint("droid"), ", did you mean 'factory'?");
  EXPECT_EQ(service_hint("python"), ", did you mean 'pypi'?");
  EXPECT_EQ(service_hint("NuGet"), ", did you mean 'dotnet'?");
  EXPECT_EQ(service_hint("githb"), ", did you mean 'github'?");
  EXPECT_EQ(service_hint("packages"), "") << "a word of many";
  EXPECT_EQ(service_hint(""), "");
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
