// Settings of sandbox-runtime (srt) and of Claude Code: JSON with network.allowedDomains and WebFetch(domain:…).
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "gateway/importers/formats.h"

namespace soleroute::gateway::importers {
namespace {

using nlohmann::json;

const json* member(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() ? nullptr : &*found;
}

template <class Visit>
void each_text(const json* list, const Visit& visit) {
  if (list == nullptr || !list->is_array()) return;
  for (const auto& item : *list) {
    if (item.is_string()) visit(item.get<std::string>());
  }
}

bool is_set(const json* value) {
  return value != nullptr && !value->is_null() && *value != false && !(value->is_array() && value->empty());
}

void read_network(const json& network, Draft& draft) {
  // "*.example.com" is the names below example.com; a port limits an entry to it.
  each_text(member(network, "allowedDomains"),
            [&](const std::string& text) { draft.target(Verdict::kAllow, text, Reach::kName, Reach::kBelow); });
  each_text(member(network, "deniedDomains"),
            [&](const std::string& text) { draft.target(Verdict::kDeny, text, Reach::kName, Reach::kBelow); });
  for (const char* key : {"allowUnixSockets", "allowAllUnixSockets", "allowLocalBinding", "allowMachLookup"}) {
    if (is_set(member(network, key))) draft.omit(key, "not about hosts; 'gateway run' has --allow-unix-socket");
  }
  for (const char* key : {"httpProxyPort", "socksProxyPort", "parentProxy"}) {
    if (is_set(member(network, key))) draft.omit(key, "another proxy; see --upstream-proxy");
  }
  for (const char* key : {"tlsTerminate", "filterRequest", "mitmProxy"}) {
    if (is_set(member(network, key))) draft.omit(key, "decides by a program; write rules of a host instead");
  }
}

// "WebFetch(domain:example.com)"
void read_permissions(const json& permissions, Draft& draft) {
  constexpr std::string_view kFetch = "WebFetch(domain:";
  const auto read = [&](const char* key, Verdict verdict) {
    each_text(member(permissions, key), [&](std::string_view rule) {
      if (!rule.starts_with("WebFetch")) return;
      if (!rule.starts_with(kFetch) || !rule.ends_with(')')) return draft.omit(rule, "names no domain");
      draft.target(verdict, rule.substr(kFetch.size(), rule.size() - kFetch.size() - 1), Reach::kName, Reach::kBelow);
    });
  };
  read("allow", Verdict::kAllow);
  read("deny", Verdict::kDeny);
  each_text(member(permissions, "ask"), [&](std::string_view rule) {
    if (rule.starts_with("WebFetch")) draft.omit(rule, "asks each time; see 'gateway watch'");
  });
}

}  // namespace

base::Status read_claude_settings(const Input& input, Draft& draft) {
  const json settings = json::parse(input.text, nullptr, false, true);
  if (!settings.is_object()) return base::usage_error(fmt::format("{}: not a JSON object", base::shown(input.name)));
  const json* sandbox = member(settings, "sandbox");
  const json* network = member(sandbox == nullptr ? settings : *sandbox, "network");
  draft.mean("A bare name covers this name alone, here and there.");
  if (network != nullptr) read_network(*network, draft);
  if (const json* permissions = member(settings, "permissions"); permissions != nullptr) {
    read_permissions(*permissions, draft);
  }
  if (is_set(member(settings, "filesystem")) || (sandbox != nullptr && is_set(member(*sandbox, "filesystem")))) {
    draft.omit("filesystem", "not about the network");
  }
  return {};
}

}  // namespace soleroute::gateway::importers
