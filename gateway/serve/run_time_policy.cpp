// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/run_time_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "base/host_name.h"
#include "base/text.h"
#include "policy/policy_edit.h"

namespace soleroute::gateway::serve {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kTryAgain{1};

std::string dumped(const json& object) {
  return object.dump(-1, ' ', true, json::error_handler_t::replace);
}

std::string refused(const base::Error& error) {
  json object{{"accepted", false}, {"detail", error.message}};
  if (error.kind == base::ErrorKind::kSystem) object["system"] = true;
  return dumped(object);
}

// "api.example.com", "api.example.com for agent reviewer"
std::string subject_of(const RunTimeEntry& entry) {
  const std::string host = base::shown(entry.host);
  return entry.agent.empty() ? host : fmt::format("{} for agent {}", host, entry.agent);
}

std::string sentence_of(const RunTimeEntry& entry, const ControlQuestion& question) {
  return fmt::format("{} is {} {}", subject_of(entry),
                     entry.action == RunTimeEntry::Action::kAllow ? "allowed" : "denied",
                     question.lasts ? "for " + duration_text(*question.lasts) : "until the gateway stops");
}

// An allowed host that the policy denies all the same: by an exception of a file, which no entry takes back.
base::Status check_not_denied(const RunTimeEntry& entry, const policy::Policy& policy) {
  auto name = base::HostName::parse(entry.host);
  if (entry.action != RunTimeEntry::Action::kAllow || !name) return {};
  policy::FlowFacts facts;
  facts.host = std::move(*name);
  const auto* asked = entry.agent.empty() ? &policy : policy.of_agent(entry.agent);
  if (asked == nullptr) return {};
  const auto decision = asked->decide_itself(facts);
  if (decision.reason != policy::Reason::kDeniedByPolicy) return {};
  return base::usage_error(fmt::format("{} denies {}, and a deny always wins. Remove that line to allow the host",
                                       policy::place_of(decision.rule), base::shown(entry.host)));
}

base::Result<std::shared_ptr<const policy::Policy>> compile(std::vector<policy::PolicySource> layers,
                                                            const RunTimeEntries& entries) {
  if (!entries.all().empty()) layers.push_back(entries.layer());
  return policy::Policy::compile(layers);
}

}  // namespace

bool RunTimePolicy::answers(std::string_view ask) {
  return ask == "allow" || ask == "deny" || ask == "allowed" || ask == "forget" || ask == "answer";
}

base::Result<RunTimePolicy::Laid> RunTimePolicy::lay_over(std::vector<policy::PolicySource> files,
                                                          std::vector<std::string> paths) const {
  Laid laid{.policy = {}, .files = std::move(files), .paths = std::move(paths), .entries = entries_, .dropped = {}};
  auto policy = compile(laid.files, laid.entries);
  if (!policy) {
    laid.dropped = laid.entries.drop_those_of_agents();
    if (laid.dropped.empty()) return std::unexpected(std::move(policy.error()));
    policy = compile(laid.files, laid.entries);
  }
  if (!policy) return std::unexpected(std::move(policy.error()));
  laid.policy = std::move(*policy);
  return laid;
}

void RunTimePolicy::use(Laid laid) {
  files_ = std::move(laid.files);
  paths_ = std::move(laid.paths);
  entries_ = std::move(laid.entries);
  for (const RunTimeEntry& entry : laid.dropped) {
    log_.error(
        fmt::format("{}: this entry was removed, the policy files have no such agent any more", subject_of(entry)));
  }
  await_next_end();
}

void RunTimePolicy::answer(const ControlQuestion& question, const ControlSocket::Reply& reply) {
  if (question.ask == "allowed") return reply(fmt::format("{{\"entries\":{}}}", entries_json()));
  if (question.ask == "forget") return forget(question, reply);
  if (question.ask == "answer") return answer_held(question, reply);
  add(question, reply);
}

void RunTimePolicy::add(const ControlQuestion& question, const ControlSocket::Reply& reply) {
  auto entry = parse_run_time_entry(question, Clock::now());
  if (!entry) return reply(refused(entry.error()));
  if (question.save && question.lasts) {
    return reply(refused({.message = "what is saved has no end: 'for_s' and 'save' contradict each other",
                          .kind = base::ErrorKind::kUsage}));
  }
  Told told{.sentence = sentence_of(*entry, question), .added = *entry};
  Layers layers{files_, entries_};
  auto status = layers.entries.add(*entry);
  if (status && question.save) {
    if (auto saved = save(*entry, layers)) {
      told.sentence =
          fmt::format("{} is {} and saved to {}", subject_of(*entry),
                      entry->action == RunTimeEntry::Action::kAllow ? "allowed" : "denied", base::shown(*saved));
      told.saved = std::move(*saved);
    } else {
      told.warning = "not saved: " + saved.error().message;
    }
  }
  if (status) status = change(std::move(layers), std::move(told), reply);
  if (!status) reply(refused(status.error()));
}

void RunTimePolicy::answer_held(const ControlQuestion& question, const ControlSocket::Reply& reply) {
  const auto request = held_ == nullptr ? std::nullopt : held_->find(question.id);
  if (!request) {
    return reply(
        refused({.message = fmt::format("no request {} waits: it was answered, or its time is over", question.id),
                 .kind = base::ErrorKind::kUsage}));
  }
  const auto accepted = [&](const std::string& sentence) {
    log_.lifecycle("operator_answer", sentence);
    reply(dumped({{"accepted", true}, {"detail", sentence}}));
  };
  const std::string item = base::shown(request->item);
  if (question.verdict == "no") {
    held_->settle(question.id, flow::HeldRequests::Verdict::kNo);
    return accepted(item + " stays denied");
  }
  if (question.verdict == "once") {
    const auto passed = pass_once(*request);
    return passed ? accepted(item + " passes this once") : reply(refused(passed.error()));
  }
  const bool lasts = question.verdict == "for" && question.lasts;
  if (!lasts && question.verdict != "always") {
    return reply(refused(
        {.message = "'verdict' must be once, for (with 'for_s'), always or no", .kind = base::ErrorKind::kUsage}));
  }
  held_->expect(question.id, lasts ? flow::HeldRequests::Verdict::kFor : flow::HeldRequests::Verdict::kAlways);
  // For the agent that asked, unless the answer names another one.
  const auto& agent = question.agent.empty() ? request->record.agent : question.agent;
  ControlQuestion allow{.ask = "allow", .host = request->item, .agent = agent, .save = !lasts};
  if (lasts) allow.lasts = question.lasts;
  add(allow, reply);
}

// Under a policy that is made for this one request and is in force nowhere else.
base::Status RunTimePolicy::pass_once(const flow::HeldRequests::Request& request) {
  SR_LET(entry,
         parse_run_time_entry({.ask = "allow", .host = request.item, .agent = request.record.agent}, Clock::now()));
  RunTimeEntries entries = entries_;
  SR_TRY(entries.add(*entry));
  SR_LET(policy, compile(files_, entries));
  SR_TRY(check_not_denied(*entry, **policy));
  if (held_->settle(request.id, flow::HeldRequests::Verdict::kOnce, *policy)) return {};
  return base::usage_error("it does not wait any more");
}

base::Result<std::string> RunTimePolicy::save(const RunTimeEntry& entry, Layers& layers) const {
  // What is wrong with the entry is found before a file is touched.
  SR_LET(tried, compile(layers.files, layers.entries));
  SR_TRY(check_not_denied(entry, **tried));
  const policy::NewEntry wanted{.list = entry.action == RunTimeEntry::Action::kDeny ? "deny" : entry.item.list,
                                .item = entry.item.flow,
                                .agent = entry.agent};
  base::Error error{.message = "there is no policy file; start the gateway with --policy FILE",
                    .kind = base::ErrorKind::kUsage};
  // The last layer first: what it says goes over the others. An agent may be described in an earlier one.
  for (auto file = layers.files.rbegin(); file != layers.files.rend(); ++file) {
    if (std::ranges::find(paths_, file->name) == paths_.end()) continue;
    auto text = policy::with_entries(*file, std::span(&wanted, 1));
    if (text) {
      SR_TRY(write_(file->name, file->text, *text));
      file->text = std::move(*text);
      layers.entries.forget(entry);
      return file->name;
    }
    error = std::move(text.error());
    if (entry.agent.empty()) break;
  }
  return std::unexpected(std::move(error));
}

void RunTimePolicy::forget(const ControlQuestion& question, const ControlSocket::Reply& reply) {
  const auto like = parse_run_time_entry(question, Clock::now());
  if (!like) return reply(refused(like.error()));
  Layers layers{files_, entries_};
  if (layers.entries.forget(*like) == 0) {
    return reply(refused({.message = fmt::format("no such entry: {}. To list them: gateway allowed", subject_of(*like)),
                          .kind = base::ErrorKind::kUsage}));
  }
  Told told{.sentence = fmt::format("removed the entry for {}", subject_of(*like))};
  const auto status = change(std::move(layers), std::move(told), reply);
  if (!status) reply(refused(status.error()));
}

base::Status RunTimePolicy::change(Layers layers, Told told, ControlSocket::Reply reply) {
  SR_LET(fresh, compile(layers.files, layers.entries));
  if (told.added) SR_TRY(check_not_denied(*told.added, **fresh));
  auto taken = [told, reply = std::move(reply)](const base::Result<PolicyInForce>& done) {
    if (!reply) return;
    if (!done) return reply(refused(done.error()));
    json object{{"accepted", true}, {"version", done->version}, {"detail", told.sentence}};
    if (!told.saved.empty()) object["saved"] = told.saved;
    if (!told.warning.empty()) object["warning"] = told.warning;
    if (!done->behind.empty()) object["behind"] = done->behind;
    reply(dumped(object));
  };
  SR_TRY(put_(std::move(*fresh), std::move(taken)));
  log_.lifecycle("operator_entry", told.sentence);
  files_ = std::move(layers.files);
  entries_ = std::move(layers.entries);
  await_next_end();
  return {};
}

void RunTimePolicy::await_next_end() {
  const auto next = entries_.next_end();
  end_.cancel();
  if (!next) return;
  end_.expires_at(*next);
  end_.async_wait([this](const boost::system::error_code& error) {
    if (!error) end_those_whose_time_is_over();
  });
}

void RunTimePolicy::end_those_whose_time_is_over() {
  Layers left{files_, entries_};
  std::string say;
  for (const RunTimeEntry& entry : left.entries.drop_ended(Clock::now())) {
    say += fmt::format("{}{}", say.empty() ? "the time is over of the entry for " : ", ", subject_of(entry));
  }
  if (say.empty()) return await_next_end();
  const auto status = change(std::move(left), {.sentence = say}, {});
  if (status) return;
  log_.error(fmt::format("{}, and it cannot be removed yet: {}", say, status.error().message));
  end_.expires_after(kTryAgain);
  end_.async_wait([this](const boost::system::error_code& error) {
    if (!error) end_those_whose_time_is_over();
  });
}

std::string RunTimePolicy::entries_json() const {
  json entries = json::array();
  const auto now = Clock::now();
  for (const RunTimeEntry& entry : entries_.all()) {
    json one{{"action", to_string(entry.action)}, {"host", entry.host}};
    if (!entry.agent.empty()) one["agent"] = entry.agent;
    if (entry.until) {
      one["left_s"] = std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::seconds>(*entry.until - now).count());
    }
    entries.push_back(std::move(one));
  }
  return dumped(entries);
}

}  // namespace soleroute::gateway::serve
