// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/run_time_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"

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
  const bool allowed = entry.action == RunTimeEntry::Action::kAllow;
  const std::string how_long =
      question.lasts ? "for " + duration_text(*question.lasts) : std::string("until the gateway stops");
  return fmt::format("{} is {} {}", subject_of(entry), allowed ? "allowed" : "denied", how_long);
}

base::Result<std::shared_ptr<const policy::Policy>> compile(std::vector<policy::PolicySource> layers,
                                                            const RunTimeEntries& entries) {
  if (!entries.all().empty()) layers.push_back(entries.layer());
  return policy::Policy::compile(layers);
}

}  // namespace

bool RunTimePolicy::answers(std::string_view ask) {
  return ask == "allow" || ask == "deny" || ask == "allowed" || ask == "forget";
}

base::Result<RunTimePolicy::Laid> RunTimePolicy::lay_over(std::vector<policy::PolicySource> files) const {
  Laid laid{.policy = {}, .files = std::move(files), .entries = entries_, .dropped = {}};
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
  entries_ = std::move(laid.entries);
  for (const RunTimeEntry& entry : laid.dropped) {
    log_.error(
        fmt::format("{}: this entry was removed, the policy files have no such agent any more", subject_of(entry)));
  }
  await_next_end();
}

void RunTimePolicy::answer(const ControlQuestion& question, ControlSocket::Reply reply) {
  if (question.ask == "allowed") return reply(fmt::format("{{\"entries\":{}}}", entries_json()));
  if (question.ask == "forget") return forget(question, std::move(reply));
  add(question, std::move(reply));
}

void RunTimePolicy::add(const ControlQuestion& question, ControlSocket::Reply reply) {
  auto entry = parse_run_time_entry(question, Clock::now());
  if (!entry) return reply(refused(entry.error()));
  const std::string sentence = sentence_of(*entry, question);
  RunTimeEntries entries = entries_;
  auto status = entries.add(std::move(*entry));
  if (status) status = change(std::move(entries), sentence, reply);
  if (!status) reply(refused(status.error()));
}

void RunTimePolicy::forget(const ControlQuestion& question, ControlSocket::Reply reply) {
  const auto like = parse_run_time_entry(question, Clock::now());
  if (!like) return reply(refused(like.error()));
  RunTimeEntries entries = entries_;
  if (entries.forget(*like) == 0) {
    return reply(refused({.message = fmt::format("no such entry: {}. To list them: gateway allowed", subject_of(*like)),
                          .kind = base::ErrorKind::kUsage}));
  }
  const auto status = change(std::move(entries), fmt::format("removed the entry for {}", subject_of(*like)), reply);
  if (!status) reply(refused(status.error()));
}

base::Status RunTimePolicy::change(RunTimeEntries entries, std::string say, ControlSocket::Reply reply) {
  SR_LET(fresh, compile(files_, entries));
  auto taken = [say, reply = std::move(reply)](const base::Result<PolicyInForce>& done) {
    if (!reply) return;
    if (!done) return reply(refused(done.error()));
    json object{{"accepted", true}, {"version", done->version}, {"detail", say}};
    if (!done->behind.empty()) object["behind"] = done->behind;
    reply(dumped(object));
  };
  SR_TRY(put_(std::move(*fresh), std::move(taken)));
  log_.lifecycle("operator_entry", say);
  entries_ = std::move(entries);
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
  RunTimeEntries left = entries_;
  std::string say;
  for (const RunTimeEntry& entry : left.drop_ended(Clock::now())) {
    say += fmt::format("{}{}", say.empty() ? "the time is over of the entry for " : ", ", subject_of(entry));
  }
  if (say.empty()) return await_next_end();
  const auto status = change(std::move(left), say, {});
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
