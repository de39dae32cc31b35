// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/importers/draft.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ascii.h"
#include "base/ip_address.h"
#include "base/web_ports.h"
#include "policy/policy.h"
#include "policy/service_catalog.h"
#include "policy/source_text.h"

namespace soleroute::gateway::importers {
namespace {

constexpr std::string_view kStar = "*.";

std::string_view list_of(Verdict verdict) {
  return verdict == Verdict::kDeny ? "deny" : "domains";
}

std::string term_text(const Terms& terms) {
  std::vector<std::string> parts;
  const auto list = [](const std::vector<std::string>& items) { return fmt::format("[{}]", fmt::join(items, ", ")); };
  if (!terms.schemes.empty()) parts.push_back("schemes: " + list(terms.schemes));
  if (!terms.methods.empty()) parts.push_back("methods: " + list(terms.methods));
  if (!terms.path.empty()) parts.push_back("path: " + terms.path);
  return fmt::format("{{{}}}", fmt::join(parts, ", "));
}

bool is_everything(const Terms& terms) {
  return terms.schemes.empty() && terms.methods.empty() && terms.path.empty();
}

// "policy:1:12: what is wrong\n…" without the place and what follows.
std::string reason_of(const base::Error& error) {
  std::string_view text = error.message;
  text = text.substr(0, text.find('\n'));
  const auto colon = text.find(": ");
  return std::string(colon == std::string_view::npos ? text : text.substr(colon + 2));
}

// The error of a policy that has this item alone; empty: there is none.
std::string fault_of(const std::string& list, const std::string& item) {
  const policy::NewEntry entry{.list = list, .item = item};
  const auto text = policy::with_entries({"item", ""}, std::span(&entry, 1));
  return text ? std::string{} : reason_of(text.error());
}

struct Target {
  std::string scheme{};
  std::string_view name;
  std::uint16_t port = 0;
  std::string_view path{};
};

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (fault != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// Nothing: a port that is none.
std::optional<Target> target_of(std::string_view text) {
  Target target;
  for (const std::string_view scheme : {"https", "http"}) {
    const std::string prefix = fmt::format("{}://", scheme);
    if (!text.starts_with(prefix)) continue;
    target.scheme = scheme;
    text.remove_prefix(prefix.size());
    break;
  }
  const auto slash = std::min(text.find('/'), text.size());
  target.path = text.substr(slash);
  target.name = text.substr(0, slash);
  const auto colon = target.name.rfind(':');
  if (colon == std::string_view::npos || target.name.find(':') != colon) return target;  // an IPv6 address has several
  const auto port = port_of(target.name.substr(colon + 1));
  if (!port) return std::nullopt;
  target.name = target.name.substr(0, colon);
  target.port = *port;
  return target;
}

}  // namespace

std::string yaml_text(std::string_view text) {
  const auto is_plain = [](char c) { return base::is_alphanumeric(c) || c == '.' || c == '-' || c == '_'; };
  const bool name = !text.empty() && (base::is_lower(text.front()) || base::is_upper(text.front())) &&
                    text.contains('.') && !text.ends_with('.') && std::ranges::all_of(text, is_plain);
  return name ? std::string(text) : policy::yaml_quoted(std::string(text));
}

std::string exact_path(std::string_view path) {
  return fmt::format("{{exact: {}}}", policy::yaml_quoted(std::string(path)));
}

std::string path_prefix(std::string_view path) {
  return fmt::format("{{prefix: {}}}", policy::yaml_quoted(std::string(path)));
}

void Draft::omit(std::string_view what, std::string_view why, Verdict verdict) {
  const bool known =
      std::ranges::any_of(omissions_, [&](const auto& one) { return one.what == what && one.why == why; });
  if (!known) omissions_.push_back({std::string(what), std::string(why), verdict == Verdict::kDeny});
}

void Draft::mean(std::string_view sentence) {
  if (std::ranges::find(meanings_, sentence) == meanings_.end()) meanings_.emplace_back(sentence);
}

void Draft::item(std::string list, std::string item, std::string_view written, std::string remark) {
  if (seen_.contains({list, item})) return;
  if (auto fault = fault_of(list, item); !fault.empty()) {
    return omit(written, fault, list == list_of(Verdict::kDeny) ? Verdict::kDeny : Verdict::kAllow);
  }
  seen_.emplace(list, item);
  entries_.push_back({.list = std::move(list), .item = std::move(item), .remark = std::move(remark)});
}

void Draft::host(Verdict verdict, Reach reach, std::string_view name, const std::vector<Terms>& terms,
                 std::uint16_t port) {
  if (name == "*" || name == "**") {
    return omit(name, verdict == Verdict::kAllow ? "every host; list the hosts that are needed" : "every host",
                verdict);
  }
  const std::string pattern = (reach == Reach::kName ? "" : std::string(kStar)) + std::string(name);
  std::vector<std::string> pairs;
  const bool whole = terms.empty() || std::ranges::any_of(terms, is_everything);
  if (port != 0) pairs.push_back(fmt::format("ports: [{}]", port));
  if (!whole) {
    std::vector<std::string> rules;
    for (const auto& one : terms) rules.push_back(term_text(one));
    pairs.push_back(fmt::format("rules: [{}]", fmt::join(rules, ", ")));
  }
  const std::string text =
      pairs.empty() ? yaml_text(pattern) : fmt::format("{{host: {}, {}}}", yaml_text(pattern), fmt::join(pairs, ", "));
  const std::string remark = reach == Reach::kBelow ? fmt::format("and {}", name) : "";
  if (reach == Reach::kBelow) mean("\"*.\" here covers the name itself too; there it does not.");
  item(std::string(list_of(verdict)), text, pairs.empty() ? pattern : text, remark);
}

void Draft::target(Verdict verdict, std::string_view text, Reach bare, Reach starred) {
  const auto target = target_of(text);
  if (!target) return omit(text, "not a host with a port", verdict);
  std::string_view name = target->name;
  Reach reach = bare;
  for (const std::string_view star : {"**.", "*.", "."}) {
    if (!name.starts_with(star)) continue;
    reach = starred;
    name.remove_prefix(star.size());
    break;
  }
  const bool web = target->port == 0 || base::is_web_port(target->port);
  if (base::IpAddress::parse(name) || name.contains('/')) {
    return omit(text, "an address: list it under endpoints, with its ports", verdict);
  }
  Terms terms;
  if (!target->scheme.empty()) terms.schemes = {target->scheme};
  if (target->port == base::kHttpsPort) terms.schemes = {"https"};
  if (target->port == base::kHttpPort) terms.schemes = {"http"};
  if (target->path.size() > 1) terms.path = path_prefix(target->path);
  if (web) return host(verdict, reach, name, {terms});
  const std::string pattern = (reach == Reach::kName ? "" : std::string(kStar)) + std::string(name);
  item(verdict == Verdict::kDeny ? "deny" : "endpoints",
       fmt::format("{{host: {}, port: {}}}", yaml_text(pattern), target->port), text);
}

void Draft::endpoint(std::string_view host_or_range, std::uint16_t port) {
  const bool range = base::Cidr::parse(host_or_range).has_value() || base::IpAddress::parse(host_or_range).has_value();
  item("endpoints", fmt::format("{{{}: {}, port: {}}}", range ? "cidr" : "host", yaml_text(host_or_range), port),
       fmt::format("{}:{}", host_or_range, port));
}

void Draft::service(std::string_view name, std::string_view written) {
  if (policy::find_service(name) == nullptr) return omit(written, "no service of that name here; list its hosts");
  item("services", std::string(name), written);
}

}  // namespace soleroute::gateway::importers
