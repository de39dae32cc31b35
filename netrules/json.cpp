// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "netrules/ruleset.h"
#include "netrules/variant.h"

namespace soleroute::netrules {
namespace {

using Json = nlohmann::ordered_json;

Json compare(Json left, Json right, const char* op = "==") {
  return {{"match", {{"op", op}, {"left", std::move(left)}, {"right", std::move(right)}}}};
}

Json meta(const char* key) {
  return {{"meta", {{"key", key}}}};
}
Json ct(const char* key) {
  return {{"ct", {{"key", key}}}};
}
Json field(std::string_view protocol, const char* name) {
  return {{"payload", {{"protocol", protocol}, {"field", name}}}};
}
Json fib(const char* result, Json flags) {
  return {{"fib", {{"result", result}, {"flags", std::move(flags)}}}};
}

Json prefix_json(const base::Cidr& prefix) {
  const std::string address = prefix.address().to_string();
  if (prefix.prefix_length() == prefix.address().bits()) return address;
  return {{"prefix", {{"addr", address}, {"len", prefix.prefix_length()}}}};
}

Json one_of(Json elements) {
  if (elements.size() == 1) return elements.front();
  return {{"set", std::move(elements)}};
}

Json icmp_types(const IcmpTypeIs& match) {
  Json elements = Json::array();
  for (const std::uint8_t type : match.types) elements.push_back(icmp_type_text(match.protocol, type));
  return one_of(std::move(elements));
}

Json states(std::uint8_t any_of) {
  const auto names = state_names(any_of);
  if (names.size() == 1) return names.front();
  return names;
}

Json match_json(const Match& match) {
  return std::visit(
      Overloaded{
          [](const InputInterface& m) { return compare(meta("iifname"), m.name, m.negated ? "!=" : "=="); },
          [](const OutputInterface& m) { return compare(meta("oifname"), m.name, m.negated ? "!=" : "=="); },
          [](const FamilyIs& m) { return compare(meta("nfproto"), m.family == base::Family::kV4 ? "ipv4" : "ipv6"); },
          [](const ProtocolIs& m) { return compare(meta("l4proto"), to_string(m.protocol)); },
          [](const SourceIn& m) {
            return compare(field(ip_keyword(m.prefix.address().family()), "saddr"), prefix_json(m.prefix));
          },
          [](const DestinationIn& m) {
            return compare(field(ip_keyword(m.prefix.address().family()), "daddr"), prefix_json(m.prefix));
          },
          [](const DestinationPorts& m) { return compare(field(to_string(m.protocol), "dport"), one_of(m.ports)); },
          [](const DestinationPortRange& m) {
            return compare(field(to_string(m.protocol), "dport"), {{"range", {m.ports.first, m.ports.last}}});
          },
          [](const ConnectionState& m) { return compare(ct("state"), states(m.any_of), "in"); },
          [](const DestinationWasRedirected&) { return compare(ct("status"), "dnat", "in"); },
          [](const Direction& m) { return compare(ct("direction"), m.reply ? "reply" : "original"); },
          [](const ConnectionMark& m) { return compare(ct("mark"), m.mark); },
          [](const PacketMark& m) { return compare(meta("mark"), m.mark); },
          [](const DestinationIsLocal& m) {
            return compare(fib("type", m.on_input_interface ? Json{"daddr", "iif"} : Json{"daddr"}), "local");
          },
          [](const SourceIsNotLocal&) { return compare(fib("type", Json{"saddr"}), "local", "!="); },
          [](const SourceHasNoRouteBack&) { return compare(fib("oif", {"saddr", "iif"}), false); },
          [](const IcmpTypeIs& m) {
            return compare(field(m.protocol == Protocol::kIcmp ? "icmp" : "icmpv6", "type"), icmp_types(m));
          },
          [](const HasIpOptions&) { return compare(field("ip", "hdrlength"), 5, ">"); },
          [](const HasRoutingHeader&) { return compare({{"exthdr", {{"name", "rt"}}}}, true); },
          [](const NextHopIs& m) {
            return compare({{"rt", {{"key", "nexthop"}, {"family", ip_keyword(m.address.family())}}}},
                           m.address.to_string());
          },
          [](const WithinRate& m) {
            return Json{{"limit", {{"rate", m.per_second}, {"burst", m.burst}, {"per", "second"}}}};
          },
      },
      match);
}

Json statement_json(const Statement& statement) {
  return std::visit(
      Overloaded{
          [](const Count&) { return Json{{"counter", {{"packets", 0}, {"bytes", 0}}}}; },
          [](const SetConnectionMark& s) { return Json{{"mangle", {{"key", ct("mark")}, {"value", s.mark}}}}; },
          [](const NoTrack&) { return Json{{"notrack", nullptr}}; },
          [](const Accept&) { return Json{{"accept", nullptr}}; },
          [](const Drop&) { return Json{{"drop", nullptr}}; },
          [](const Return&) { return Json{{"return", nullptr}}; },
          [](const Jump& s) { return Json{{"jump", {{"target", s.chain}}}}; },
          [](const RejectWithReset&) { return Json{{"reject", {{"type", "tcp reset"}}}}; },
          [](const RejectAsProhibited&) { return Json{{"reject", {{"type", "icmpx"}, {"expr", "admin-prohibited"}}}}; },
          [](const RedirectTo& s) { return Json{{"redirect", {{"port", s.port}}}}; },
          [](const Queue& s) { return Json{{"queue", {{"num", s.number}}}}; },
          [](const CompatQueue& s) {
            return Json{{"xt", {{"type", "target"}, {"name", "NFQUEUE"}, {"num", s.number}}}};
          },
      },
      statement);
}

// libnftables' JSON has no form for xtables targets.
bool has_json_form(const Rule& rule) {
  for (const Statement& statement : rule.statements) {
    if (std::holds_alternative<CompatQueue>(statement)) return false;
  }
  return true;
}

Json chain_json(const std::string& table, const Chain& chain) {
  Json object{{"family", "inet"}, {"table", table}, {"name", chain.name}};
  if (chain.base) {
    object["type"] = to_string(chain.base->type);
    object["hook"] = to_string(chain.base->hook);
    object["prio"] = chain.base->priority;
    object["policy"] = to_string(chain.base->policy);
  }
  return {{"add", {{"chain", std::move(object)}}}};
}

Json rule_json(const std::string& table, const std::string& chain, const Rule& rule) {
  Json expressions = Json::array();
  for (const Match& match : rule.matches) expressions.push_back(match_json(match));
  for (const Statement& statement : rule.statements) expressions.push_back(statement_json(statement));
  Json object{{"family", "inet"}, {"table", table}, {"chain", chain}};
  if (!rule.comment.empty()) object["comment"] = rule.comment;
  object["expr"] = std::move(expressions);
  return {{"add", {{"rule", std::move(object)}}}};
}

}  // namespace

std::string to_json(const Ruleset& ruleset) {
  const Json table{{"table", {{"family", "inet"}, {"name", ruleset.table}}}};
  Json commands = Json::array(
      {{{"metainfo", {{"json_schema_version", 1}}}}, {{"add", table}}, {{"delete", table}}, {{"add", table}}});
  for (const Chain& chain : ruleset.chains) commands.push_back(chain_json(ruleset.table, chain));
  for (const Chain& chain : ruleset.chains) {
    for (const Rule& rule : chain.rules) {
      if (has_json_form(rule)) commands.push_back(rule_json(ruleset.table, chain.name, rule));
    }
  }
  return Json{{"nftables", std::move(commands)}}.dump(2) + "\n";
}

}  // namespace soleroute::netrules
