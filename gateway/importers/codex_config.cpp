// The network sections of Codex' config.toml: [permissions.NAME.network], its domains, and older keys.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "gateway/importers/formats.h"
#include "gateway/importers/text_scan.h"
#include "gateway/importers/toml_tables.h"

namespace soleroute::gateway::importers {
namespace {

constexpr std::string_view kDomains = ".domains";
const std::vector<std::string> kReadMethods{"GET", "HEAD", "OPTIONS"};  // of mode = "limited"

class CodexReader {
 public:
  CodexReader(const std::vector<TomlSetting>& settings, Draft& draft) : settings_(settings), draft_(draft) {
    for (const auto& setting : settings_) {
      if (setting.table.empty() && setting.key == "default_permissions")
        profile_ = unquoted(setting.value).value_or("");
      if (is_network(setting.table) && setting.key == "mode" && setting.value == "\"limited\"") limited_ = true;
    }
  }

  bool read() {
    bool any = false;
    for (const auto& setting : settings_) {
      if (setting.key == "network_access" && setting.value == "true") {
        draft_.omit("network_access = true", "every host; list the hosts that are needed");
        any = true;
      }
      if (!is_network(setting.table)) continue;
      any = true;
      if (is_of_profile(setting.table)) read(setting);
    }
    return any;
  }

 private:
  static std::string_view without_domains(std::string_view table) {
    if (table.ends_with(kDomains)) table.remove_suffix(kDomains.size());
    return table;
  }
  static bool is_network(std::string_view table) {
    table = without_domains(table);
    return table == "experimental_network" || table.ends_with(".network") || table.ends_with("network_proxy");
  }
  // Of several profiles, the one that is the default.
  bool is_of_profile(std::string_view table) {
    if (profile_.empty() || !table.starts_with("permissions.")) return true;
    if (without_domains(table) == fmt::format("permissions.{}.network", profile_)) return true;
    draft_.omit(without_domains(table), "another profile than default_permissions");
    return false;
  }

  void read(const TomlSetting& setting) {
    if (setting.table.ends_with(kDomains)) return domain(setting);
    if (setting.key == "domains") {
      for (const auto& one : inline_table(setting.value)) domain(one);
      return;
    }
    const bool allowed = setting.key == "allowed_domains";
    if (allowed || setting.key == "denied_domains") {
      for (const auto name : quoted_strings(setting.value)) add(allowed ? Verdict::kAllow : Verdict::kDeny, name);
      return;
    }
    if (setting.key == "enabled") {
      if (setting.value == "false") draft_.omit("enabled = false", "this profile has no network; its hosts are listed");
      return;
    }
    if (setting.key != "mode") draft_.omit(setting.key, "not about hosts");
  }

  void domain(const TomlSetting& setting) {
    const auto verdict = unquoted(setting.value).value_or("");
    if (verdict == "allow") return add(Verdict::kAllow, setting.key);
    if (verdict == "deny") return add(Verdict::kDeny, setting.key);
    draft_.omit(fmt::format("{} = {}", setting.key, setting.value), "neither \"allow\" nor \"deny\"");
  }

  // "*.example.com" is the names below; "**.example.com" is example.com too.
  void add(Verdict verdict, std::string_view pattern) {
    const bool both = pattern.starts_with("**.");
    const std::string_view name = pattern.substr(both ? 3 : pattern.starts_with("*.") ? 2 : 0);
    const Reach reach = both ? Reach::kNameAndBelow : name.size() < pattern.size() ? Reach::kBelow : Reach::kName;
    std::vector<Terms> terms;
    if (limited_ && verdict == Verdict::kAllow) terms.push_back({.methods = kReadMethods});
    if (name.contains(':') || terms.empty())
      return draft_.target(verdict, both ? pattern.substr(1) : pattern, reach, reach);
    draft_.host(verdict, reach, name, terms);
  }

  const std::vector<TomlSetting>& settings_;
  Draft& draft_;
  std::string profile_;
  bool limited_ = false;
};

}  // namespace

base::Status read_codex(const Input& input, Draft& draft) {
  const auto settings = toml_settings(input.text);
  draft.mean("A bare name covers this name alone, here and there.");
  if (!CodexReader(settings, draft).read()) {
    return base::usage_error(
        fmt::format("{}: no network section ([permissions.NAME.network])", base::shown(input.name)));
  }
  return {};
}

}  // namespace soleroute::gateway::importers
