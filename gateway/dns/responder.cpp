// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/responder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "gateway/audit/decision_record.h"
#include "gateway/audit/probe.h"
#include "gateway/dns/long_label.h"
#include "gateway/dns/reply_data.h"
#include "gateway/net/own_address.h"
#include "policy/address_class.h"
#include "policy/host_pattern.h"
#include "policy/host_service.h"
#include "policy/observe.h"
#include "policy/special_names.h"

namespace soleroute::gateway::dns {
namespace {

using policy::SpecialName;
using sniffer::DnsQuery;
using sniffer::DnsRcode;
using sniffer::DnsReply;
using sniffer::DnsReplyRecord;
using sniffer::DnsType;

constexpr std::uint32_t kLoopbackTtl = 3600;  // seconds: it does not change

// How long an address of this gateway is known to have stood in for a name.
constexpr std::chrono::minutes kStandInKnown{5};
// No reason of the policy: the name may be allowed, a record of this type is not fetched for anyone.
constexpr std::string_view kNoSuchName = "no such name";
constexpr std::string_view kTypeNotAnswered = "type_not_answered";

std::size_t reply_limit(const DnsQuery& query, policy::Transport transport) {
  if (transport == policy::Transport::kTcp) return Responder::kTcpLimit;
  if (!query.edns) return sniffer::kPlainUdpSize;
  return std::clamp(query.edns->udp_size, sniffer::kPlainUdpSize, sniffer::kEdnsSize);
}

audit::DecisionRecord record_of(const base::IpAddress& client, std::string host, std::string_view reason) {
  audit::DecisionRecord record;
  record.phase = policy::Phase::kDns;
  record.client = client;
  record.host = std::move(host);
  record.reason = reason;
  return record;
}

audit::DecisionRecord record_of(const PendingLookup& question, std::string_view reason) {
  auto record = record_of(question.client, question.name.text(), {});
  audit::set_decision(record, question.decision);
  record.reason = reason;
  return record;
}

}  // namespace

Responder::Responder(ServerOptions options, Resolver& resolver, std::shared_ptr<ReverseNames> names, DenialLog& denials,
                     audit::DecisionLog& log, audit::Counters& counters)
    : options_(std::move(options)),
      resolver_(resolver),
      names_(std::move(names)),
      denials_(denials),
      log_(log),
      counters_(counters) {
  names_->set_own_addresses(options_.own_addresses);
  names_->use_denied(options_.denied);
}

std::variant<Message, PendingLookup> Responder::begin(base::Bytes message, const base::IpAddress& client,
                                                      policy::Transport transport) {
  const auto header = sniffer::parse_dns_header(message);
  if (!header || header->is_response()) return Message{};  // answering an answer would make a loop
  ++counters_.dns_queries;
  if (header->opcode() != 0) return sniffer::build_dns_error(*header, DnsRcode::kNotImp);
  const auto parsed = sniffer::parse_dns_query(message);
  if (!parsed.complete()) return malformed(message, client, parsed.fault().reason);

  const DnsQuery& query = parsed.value();
  const ClientQuery asked{query, client, reply_limit(query, transport)};
  const auto refuse = [&](DnsRcode rcode) { return sniffer::build_dns_reply(query, bare(rcode), asked.limit); };
  if (query.edns && query.edns->version != 0) return refuse(DnsRcode::kBadVers);
  if (query.question.klass != sniffer::kDnsClassIn) return refuse(DnsRcode::kRefused);
  if (is_meta(query.question.type)) return refuse(DnsRcode::kNotImp);

  if (transport == policy::Transport::kUdp && options_.must_use_tcp(client)) return truncated_reply(query, asked.limit);
  const auto name = query.question.name.host_name();
  if (!name) {
    auto record = record_of(client, query.question.name.text(), policy::to_string(policy::Reason::kInvalidName));
    record.detail = type_detail(query.question.type);
    log_denied(std::move(record));
    const auto rcode = query.question.name.is_root() ? DnsRcode::kNoError : DnsRcode::kNxDomain;
    auto why = error_for(query, sniffer::DnsErrorCode::kBlocked, "no host can have this name");
    return sniffer::build_dns_reply(query, negative(rcode, kDenialTtl, std::move(why)), asked.limit);
  }
  return decide(asked, *name);
}

Message Responder::malformed(base::Bytes message, const base::IpAddress& client, std::string_view why) {
  auto record = record_of(client, {}, policy::to_string(policy::Reason::kMalformed));
  record.detail = fmt::format("dns: {}", why);
  log_denied(std::move(record));
  return sniffer::build_dns_error(*sniffer::parse_dns_header(message), DnsRcode::kFormErr);
}

std::variant<Message, PendingLookup> Responder::decide(const ClientQuery& asked, const base::HostName& name) {
  const auto policy = options_.policy(asked.client);
  const base::HostName decided = named_by(name, asked.query.question.type, *policy);
  const SpecialName kind = policy::special_name(decided);
  if (kind == SpecialName::kLoopback) return loopback(asked, name);
  if (auto reply = kind == SpecialName::kReverse ? pointer_reply(asked, name) : std::nullopt) return std::move(*reply);
  if (kind != SpecialName::kNone && kind != SpecialName::kLocal) return special(asked, name);

  PendingLookup question{.query = asked.query,
                         .name = name,
                         .client = asked.client,
                         .policy = policy,
                         .decision = {},
                         .limit = asked.limit};
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kDns;
  facts.client = asked.client;
  facts.host = decided;
  question.decision = question.policy->decide(facts);
  const auto& decision = question.decision;
  if (!policy::may_pass(*question.policy, decision)) {
    const bool exception = decision.reason == policy::Reason::kDeniedByPolicy;  // a person wrote this very name
    auto reply = exception ? std::nullopt : if_completed(asked, question);
    if (reply) return std::move(*reply);
    return denied(asked, name, decision);
  }
  if (!decision.allowed()) {
    const auto judged = options_.searched->judge(asked.client, name, *question.policy, Clock::now());
    question.completed =
        judged.verdict == SearchedNames::Verdict::kCompleted || judged.verdict == SearchedNames::Verdict::kMeant;
  }
  names_->asked(asked.client, name, false);
  if (policy::lists_host_service(*question.policy, decision, name.text())) return host_service_reply(asked, question);
  const DnsType type = asked.query.question.type;
  if (!Cache::is_cacheable(type) || (type == DnsType::kTxt && !decision.txt)) {
    auto record = record_of(question, kTypeNotAnswered);
    record.detail = type_detail(type);
    log_denied(std::move(record));
    return sniffer::build_dns_reply(asked.query, negative(DnsRcode::kNoError, kDenialTtl), asked.limit);
  }
  if (auto known = resolver_.cached(name, type, asked.client)) return finish(question, std::move(known));
  return question;
}

// The host is reached through the gateway alone: its own loopback says nothing to a client.
Message Responder::host_service_reply(const ClientQuery& asked, const PendingLookup& question) {
  names_->remember(question.name, options_.own_addresses, Clock::now() + kStandInKnown);
  log_allowed(question, audit::kOwnAddress);
  return own_address_reply(asked, std::nullopt);
}

std::optional<Message> Responder::if_completed(const ClientQuery& asked, const PendingLookup& question) {
  const auto judged = options_.searched->judge(asked.client, question.name, *question.policy, Clock::now());
  if (judged.verdict == SearchedNames::Verdict::kTyped) return std::nullopt;
  if (judged.verdict == SearchedNames::Verdict::kMeant) {
    policy::FlowFacts facts;
    facts.phase = policy::Phase::kDns;
    facts.client = asked.client;
    facts.host = judged.typed;
    return denied(asked, *judged.typed, question.policy->decide(facts));
  }
  if (judged.verdict == SearchedNames::Verdict::kGuessed) {
    log_guessed(question);
  } else {
    log_.debug(fmt::format("{}: {} is {} and a search domain: answered that it does not exist",
                           asked.client.to_string(), question.name.text(), judged.typed->text()));
  }
  auto why = error_for(asked.query, sniffer::DnsErrorCode::kBlocked,
                       shown(question.name) + " is not in the policy, and looks like a search domain's");
  return sniffer::build_dns_reply(asked.query, negative(DnsRcode::kNxDomain, kDenialTtl, std::move(why)), asked.limit);
}

// RFC 6761 section 6.3: the client itself, in whatever network it is.
Message Responder::loopback(const ClientQuery& asked, const base::HostName& name) {
  const DnsType type = asked.query.question.type;
  auto record = record_of(asked.client, name.text(), policy::to_string(policy::Reason::kAllowed));
  record.allowed = true;
  record.detail = type_detail(type) + ", the client itself";
  audit::write(log_, counters_, record);
  DnsReply reply = negative(DnsRcode::kNoError, kLoopbackTtl);
  if (type == DnsType::kA) reply.answers.push_back({type, kLoopbackTtl, rdata_of(base::IpAddress::v4(0x7f000001))});
  if (type == DnsType::kAaaa) {
    reply.answers.push_back({type, kLoopbackTtl, rdata_of(*base::IpAddress::parse("::1"))});
  }
  if (!reply.answers.empty()) reply.negative_ttl.reset();
  return sniffer::build_dns_reply(asked.query, reply, asked.limit);
}

Message Responder::special(const ClientQuery& asked, const base::HostName& name) {
  const SpecialName kind = policy::special_name(name);
  names_->asked(asked.client, name, kind != SpecialName::kGateway);
  if (kind == SpecialName::kGateway) {
    auto record = record_of(asked.client, name.text(), policy::to_string(policy::Reason::kAllowed));
    record.allowed = true;
    record.detail = fmt::format("{}, {}", type_detail(asked.query.question.type), audit::kOwnAddress);
    audit::write(log_, counters_, record);
    return own_address_reply(asked, std::nullopt);
  }
  const auto reason = kind == SpecialName::kLocal ? policy::Reason::kHostNotAllowed : policy::Reason::kSpecialUseName;
  auto record = record_of(asked.client, name.text(), policy::to_string(reason));
  record.detail = type_detail(asked.query.question.type) + ", special-use name";
  log_denied(std::move(record));
  const auto rcode = kind == SpecialName::kReverse ? DnsRcode::kNoError : DnsRcode::kNxDomain;
  auto why = kind == SpecialName::kLocal ? blocked(asked.query, name) : std::nullopt;
  return sniffer::build_dns_reply(asked.query, negative(rcode, kDenialTtl, std::move(why)), asked.limit);
}

Message Responder::denied(const ClientQuery& asked, const base::HostName& name, const policy::Decision& decision) {
  if (policy::special_name(name) == SpecialName::kLocal) return special(asked, name);
  names_->asked(asked.client, name, true);
  auto record = record_of(asked.client, name.text(), {});
  audit::set_decision(record, decision);
  record.detail = type_detail(asked.query.question.type);
  log_denied(std::move(record));
  auto why = blocked(asked.query, name);
  if (options_.policy(asked.client)->denied_names() == policy::DeniedNames::kNxdomain) {
    return sniffer::build_dns_reply(asked.query, negative(DnsRcode::kNxDomain, kDenialTtl, std::move(why)),
                                    asked.limit);
  }
  return denied_address_reply(asked, name, std::move(why));
}

// An address that stands for this name alone, so that a packet to it says which name was meant; the gateway's own where
// there is none to give. Only of families in which the gateway has an address: in others nothing leads to it.
Message Responder::denied_address_reply(const ClientQuery& asked, const base::HostName& name,
                                        std::optional<sniffer::DnsExtendedError> why) const {
  const DnsType type = asked.query.question.type;
  const auto is_of_type = [type](const base::IpAddress& own) {
    return type == (own.is_v4() ? DnsType::kA : DnsType::kAaaa);
  };
  if (std::ranges::none_of(options_.own_addresses, is_of_type)) return own_address_reply(asked, std::move(why));
  const auto given = options_.denied->give(asked.client, name, Clock::now());
  const auto& address = type == DnsType::kA ? given.v4 : given.v6;
  if (!address) return own_address_reply(asked, std::move(why));
  DnsReply reply = bare(DnsRcode::kNoError, std::move(why));
  reply.answers.push_back(DnsReplyRecord{type, kDenialTtl, rdata_of(*address)});
  return sniffer::build_dns_reply(asked.query, reply, asked.limit);
}

// The gateway's addresses of the family asked for; for every other type, nothing.
Message Responder::own_address_reply(const ClientQuery& asked, std::optional<sniffer::DnsExtendedError> why) const {
  DnsReply reply = negative(DnsRcode::kNoError, kDenialTtl, std::move(why));
  const DnsType type = asked.query.question.type;
  for (const auto& address : options_.own_addresses) {
    const bool fits = type == (address.is_v4() ? DnsType::kA : DnsType::kAaaa);
    if (fits) reply.answers.push_back(DnsReplyRecord{type, kDenialTtl, rdata_of(address)});
  }
  if (!reply.answers.empty()) reply.negative_ttl.reset();
  return sniffer::build_dns_reply(asked.query, reply, asked.limit);
}

Message Responder::finish(const PendingLookup& question, const base::Result<std::shared_ptr<const RecordSet>>& found) {
  if (!found || (*found)->failed) {
    std::string_view why = "no upstream DNS server gave an answer";
    if (!found) why = found.error().message;
    if (const auto cause = why.rfind(": "); cause != std::string_view::npos) why.remove_prefix(cause + 2);
    if (auto reply = stand_in_reply(question, why)) return std::move(*reply);
    log_failed(question, policy::to_string(policy::Reason::kUpstreamFailed), why);
    return sniffer::build_dns_reply(question.query, bare(DnsRcode::kServFail, upstream_error(question.query, why)),
                                    question.limit);
  }
  const RecordSet& set = **found;
  if (is_address(question.query.question.type) && !set.addresses.empty()) return addresses_reply(question, set);
  if (!set.services.empty()) return services_reply(question, set);
  if (!set.locations.empty()) return locations_reply(question, set);
  if (!set.texts.empty()) return texts_reply(question, set);
  if (!set.name_exists && is_typed(question)) {
    if (auto reply = stand_in_reply(question, kNoSuchName)) return std::move(*reply);
  }
  std::string detail(set.name_exists ? "no such record" : kNoSuchName);
  if (set.stale_since) detail += ", " + remark_on(set);
  log_allowed(question, detail);
  const auto rcode = set.name_exists ? DnsRcode::kNoError : DnsRcode::kNxDomain;
  return sniffer::build_dns_reply(question.query, negative(rcode, remaining_ttl(set), stale(question.query, set)),
                                  question.limit);
}

Message Responder::overloaded(const PendingLookup& question, std::string_view why) {
  log_failed(question, policy::to_string(policy::Reason::kUpstreamFailed), why);
  auto error = error_for(question.query, sniffer::DnsErrorCode::kOther, why);
  return sniffer::build_dns_reply(question.query, bare(DnsRcode::kServFail, std::move(error)), question.limit);
}

bool Responder::may_tell(const PendingLookup& question, const net::OwnAddresses& now,
                         const base::IpAddress& address) const {
  const auto permitted = question.decision.permitted_addresses;
  if (options_.denied->contains(address)) return false;
  const auto is_here = [&](const base::IpAddress& each) {
    const auto among = [&](const auto& addresses) { return std::ranges::find(addresses, each) != addresses.end(); };
    return among(options_.own_addresses) || among(options_.local_addresses) || now.contains(each);
  };
  const auto nat64 = resolver_.nat64();
  const bool here = is_here(address) || now.contains(policy::beyond_nat64(address)) ||
                    std::ranges::any_of(nat64->beyond(address), is_here);
  return here ? net::means_own_address(permitted, address) : nat64->may(address, [&](const base::IpAddress& each) {
    return policy::may_dial(each, permitted) || policy::may_dial_static(each, question.decision.static_addresses);
  });
}

// Loopback of the gateway's machine, where an entry permits it, would be the client's own: the gateway stands in for it
// and dials it when the name comes back in an SNI, a Host or an endpoint.
std::vector<base::IpAddress> Responder::as_reachable(const PendingLookup& question,
                                                     std::vector<base::IpAddress> told) const {
  const auto is_loopback = [](const base::IpAddress& address) { return policy::address_class(address) == "loopback"; };
  if (std::erase_if(told, is_loopback) == 0) return told;
  const bool v4 = question.query.question.type == DnsType::kA;
  std::ranges::copy_if(options_.own_addresses, std::back_inserter(told),
                       [v4](const base::IpAddress& own) { return own.is_v4() == v4; });
  names_->remember(question.name, options_.own_addresses, Clock::now() + kStandInKnown);
  return told;
}

// No word about the name: a client asks again.
Message Responder::unknown_here(const PendingLookup& question) {
  constexpr std::string_view kWhy = "the list of the gateway machine's own addresses is not known yet";
  log_failed(question, policy::to_string(policy::Reason::kUpstreamFailed), kWhy);
  auto error = error_for(question.query, sniffer::DnsErrorCode::kNotReady, kWhy);
  return sniffer::build_dns_reply(question.query, bare(DnsRcode::kServFail, std::move(error)), question.limit);
}

Message Responder::addresses_reply(const PendingLookup& question, const RecordSet& set) {
  const auto here = options_.here ? options_.here->now() : nullptr;
  if (!here) return unknown_here(question);
  std::vector<base::IpAddress> told;
  std::ranges::copy_if(set.addresses, std::back_inserter(told),
                       [&](const base::IpAddress& address) { return may_tell(question, *here, address); });
  if (told.empty()) {
    if (auto reply = stand_in_reply(question, "not a public address here")) return std::move(*reply);
    log_private_address(question, set.addresses.front());
    auto why = error_for(question.query, sniffer::DnsErrorCode::kFiltered,
                         filtered_text(question.name, set.addresses.front()));
    return sniffer::build_dns_reply(question.query, negative(DnsRcode::kNoError, kDenialTtl, std::move(why)),
                                    question.limit);
  }
  // The name may have been let go since it came: endpoints are decided by these names.
  if (names_->is_kept(question.name)) names_->remember(question.name, set.addresses, set.expires);
  told = as_reachable(question, std::move(told));
  if (told.empty()) {  // loopback of a family that this gateway has no address of
    log_allowed(question, "the gateway has no address of this family to answer instead of loopback");
    return sniffer::build_dns_reply(question.query, negative(DnsRcode::kNoError, kDenialTtl), question.limit);
  }
  std::ranges::rotate(told, told.begin() + static_cast<std::ptrdiff_t>(rotation_++ % told.size()));
  DnsReply reply = bare(DnsRcode::kNoError, stale(question.query, set));
  std::optional<sniffer::DnsName> owner;
  if (const auto alias = told_alias(question, set)) {
    owner = sniffer::DnsName::from_host(*alias);
    reply.answers.push_back({.type = DnsType::kCname, .ttl = remaining_ttl(set), .rdata = wire_of(*owner)});
  }
  for (const auto& address : told) {
    reply.answers.push_back({question.query.question.type, remaining_ttl(set), rdata_of(address), owner});
  }
  log_allowed(question, remark_on(set));
  return sniffer::build_dns_reply(question.query, reply, question.limit);
}

bool Responder::is_allowed(const PendingLookup& question, const base::HostName& name) const {
  policy::FlowFacts facts;
  facts.client = question.client;
  facts.host = name;
  return question.policy->decide(facts).allowed();
}

// Where the aliases of the name end, if the policy allows that name too: others stay hidden.
std::optional<base::HostName> Responder::told_alias(const PendingLookup& question, const RecordSet& set) const {
  if (set.canonical.empty()) return std::nullopt;
  auto target = base::HostName::parse(set.canonical);
  if (!target || !is_allowed(question, *target)) return std::nullopt;
  return std::move(*target);
}

// Only of targets that the client may look up too: the others are recorded, so that a person can list them.
Message Responder::locations_reply(const PendingLookup& question, const RecordSet& set) {
  DnsReply reply = bare(DnsRcode::kNoError, stale(question.query, set));
  std::size_t hidden = 0;
  for (const auto& location : set.locations) {
    const auto target = location.target.host_name();
    if (!location.target.is_root() && (!target || !is_allowed(question, *target))) {
      if (hidden++ > 0 || !target) continue;  // one record for all: the owner of the zone chooses how many there are
      auto record = record_of(question.client, target->text(), policy::to_string(policy::Reason::kHostNotAllowed));
      record.detail = fmt::format("{}, target of {}", type_detail(DnsType::kSrv), question.name.text());
      log_denied(std::move(record));
      continue;
    }
    reply.answers.push_back({.type = DnsType::kSrv, .ttl = remaining_ttl(set), .rdata = rdata_of(location)});
  }
  if (reply.answers.empty()) reply.negative_ttl = kDenialTtl;
  log_allowed(question, hidden == 0 ? remark_on(set) : fmt::format("{} targets are not in the policy", hidden));
  return sniffer::build_dns_reply(question.query, reply, question.limit);
}

Message Responder::texts_reply(const PendingLookup& question, const RecordSet& set) {
  DnsReply reply = bare(DnsRcode::kNoError, stale(question.query, set));
  for (const auto& text : set.texts) {
    reply.answers.push_back({.type = DnsType::kTxt, .ttl = remaining_ttl(set), .rdata = text});
  }
  log_allowed(question, remark_on(set));
  return sniffer::build_dns_reply(question.query, reply, question.limit);
}

// The name for which this client got the address last. Nothing: it is an address like any other.
std::optional<Message> Responder::pointer_reply(const ClientQuery& asked, const base::HostName& name) {
  const auto address = asked.query.question.type == DnsType::kPtr ? reversed(name) : std::nullopt;
  if (!address || names_->is_denied(*address) || names_->is_own(*address)) return std::nullopt;
  const auto known = names_->looked_up_as(asked.client, *address);
  if (!known) return std::nullopt;
  const auto policy = options_.policy(asked.client);
  const auto decision = policy->decide({.client = asked.client, .host = *known});
  if (!decision.allowed()) return std::nullopt;
  auto record = record_of(asked.client, name.text(), {});
  audit::set_decision(record, decision);
  record.detail = fmt::format("{}, {}", type_detail(DnsType::kPtr), known->text());
  audit::write(log_, counters_, record);
  DnsReply reply = bare(DnsRcode::kNoError);
  reply.answers.push_back(
      {.type = DnsType::kPtr, .ttl = kDenialTtl, .rdata = wire_of(sniffer::DnsName::from_host(*known))});
  return sniffer::build_dns_reply(asked.query, reply, asked.limit);
}

Message Responder::services_reply(const PendingLookup& question, const RecordSet& set) {
  const auto here = options_.here ? options_.here->now() : nullptr;
  if (!here) return unknown_here(question);
  DnsReply reply = bare(DnsRcode::kNoError, stale(question.query, set));
  for (const auto& service : set.services) {
    const auto usable = [&](const base::IpAddress& hint) { return may_tell(question, *here, hint); };
    auto rdata = sniffer::encode_service_binding(service, usable);
    reply.answers.push_back({question.query.question.type, remaining_ttl(set), std::move(rdata)});
  }
  log_allowed(question, remark_on(set));
  return sniffer::build_dns_reply(question.query, reply, question.limit);
}

void Responder::log_allowed(const PendingLookup& question, std::string_view detail) {
  if (question.completed && detail.starts_with(kNoSuchName)) {
    return log_.debug(fmt::format("{}: {} is a name and a search domain: no such name", question.client.to_string(),
                                  question.name.text()));
  }
  auto record = record_of(question, policy::to_string(question.decision.reason));
  audit::count_decision(counters_, record);
  record.detail = type_detail(question.query.question.type);
  audit::set_passed(record, question.decision);
  if (!detail.empty()) record.detail += fmt::format(", {}", detail);
  if (policy::is_wildcard(record.matched_host) && has_long_label(question.name)) {
    record.detail += ", long label under a wildcard: data in names?";
  }
  if (record.allowed) log_.decision(record);
  if (!record.allowed) denials_.write(record);  // held to the same bounds as those that are refused
}

// Allowed by name, and still not answered.
void Responder::log_failed(const PendingLookup& question, std::string_view reason, std::string_view detail) {
  auto record = record_of(question, reason);
  record.detail = fmt::format("{}, {}", type_detail(question.query.question.type), detail);
  log_denied(std::move(record));
}

void Responder::log_private_address(const PendingLookup& question, const base::IpAddress& refused) {
  auto record = record_of(question, policy::to_string(policy::Reason::kPrivateAddress));
  record.resolved = refused.to_string();
  record.detail =
      fmt::format("{}, {} is {}", type_detail(question.query.question.type), record.resolved,
                  policy::is_public(refused) ? "an address of the gateway's machine" : policy::address_class(refused));
  const auto nat64 = resolver_.nat64();
  if (const auto inside = nat64->meant(refused)) {
    record.resolved = inside->to_string();
    record.detail += fmt::format(", and means {}: {}", record.resolved, policy::address_class(*inside));
  } else if (const auto* prefix = nat64->unconfirmed(refused)) {
    record.detail +=
        fmt::format(", of this network's NAT64 prefix: start the gateway with --nat64 {}", prefix->range().to_string());
  }
  if (policy::placeholder_range(refused)) record.detail += fmt::format(": {}", policy::kPlaceholderResolver);
  log_denied(std::move(record));
}

// An allowed name with something behind it that may be a search domain of the client's.
void Responder::log_guessed(const PendingLookup& question) {
  auto record = record_of(question, policy::to_string(question.decision.reason));
  record.detail = fmt::format("{}, {}", type_detail(question.query.question.type), audit::kMaybeSearched);
  log_denied(std::move(record));
}

void Responder::log_denied(audit::DecisionRecord record) {
  record.allowed = false;
  audit::count_decision(counters_, record);
  if (!audit::is_probe(record)) ++counters_.dns_denied;
  denials_.write(record);
}

}  // namespace soleroute::gateway::dns
