// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/operator_desk.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>

#include "gateway/host/policy_write.h"
#include "gateway/jail/rights_of.h"
#include "gateway/serve/control_places.h"
#include "gateway/serve/control_socket.h"
#include "gateway/serve/operator_link.h"
#include "gateway/serve/reload_watch.h"
#include "gateway/serve/rule_intent.h"
#include "gateway/serve/run_time_policy.h"
#include "gateway/serve/serving_status.h"

namespace soleroute::gateway::jail {
namespace {

namespace asio = boost::asio;

constexpr const char* kFixedNetwork =
    "the network of a running command cannot get further ports or addresses. Stop the command and start it with: "
    "gateway run --allow";

// Of the command's user; what sudo has is root's.
std::string_view runtime_directory(const Identity& identity) {
  const char* value = identity.borrowed ? nullptr : std::getenv("XDG_RUNTIME_DIR");
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

// The rules inside were made before the command started, and nobody may change them any more.
bool same_rules(const policy::Policy& first, const policy::Policy& second) {
  const auto rules = [](const policy::Policy& policy) {
    auto intent = jail_intent(policy);
    for (auto& endpoint : intent.endpoints) endpoint.comment.clear();
    return intent;
  };
  const auto one = rules(first);
  const auto other = rules(second);
  return one.endpoints == other.endpoints && one.capture_all_tcp == other.capture_all_tcp;
}

}  // namespace

std::optional<std::string> make_control_folder(const Identity& identity) {
  const RightsOf rights(identity);
  if (!rights.complete()) return std::nullopt;
  return serve::make_run_control_folder(identity.uid, runtime_directory(identity));
}

std::vector<std::string> control_folders_to_hide(const Identity& identity) {
  return serve::existing_run_control_folders(identity.uid, runtime_directory(identity));
}

netrules::Intent jail_intent(const policy::Policy& policy) {
  serve::ServeOptions options;
  options.topology = netrules::Topology::kJail;
  return serve::intent_of(options, policy);
}

struct OperatorDesk::State {
  State(audit::DecisionLog& next, std::chrono::milliseconds ask, std::string command)
      : link(next, ask, std::move(command)), log(next) {}

  serve::OperatorLink link;
  audit::DecisionLog& log;
  asio::io_context io;
  workers::Runtime* runtime = nullptr;
  const audit::Counters* counters = nullptr;
  DeskOptions options;
  std::shared_ptr<const policy::Policy> policy;
  std::uint64_t version = 1;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::vector<policy::PolicySource> written;
  serve::ReloadWatch reloads{io, log, [this] { return runtime->behind(); }};
  serve::RunTimePolicy run_time{io, log,
                                [this](std::shared_ptr<const policy::Policy> fresh, serve::RunTimePolicy::Taken taken) {
                                  return put_in_force(std::move(fresh), std::move(taken));
                                },
                                [this](const std::string& path, std::string_view old_text, std::string_view text) {
                                  return write(path, old_text, text);
                                }};
  std::unique_ptr<serve::ControlSocket> control;
  std::thread thread;

  base::Status put_in_force(std::shared_ptr<const policy::Policy> fresh, serve::RunTimePolicy::Taken taken) {
    if (!same_rules(*options.policy, *fresh)) return base::usage_error(kFixedNetwork);
    policy = std::move(fresh);
    ++version;
    reloads.begin({version, "an operator's entry"}, std::move(taken));
    runtime->reload(policy, [this, now = version] { asio::post(io, [this, now] { reloads.taken(now); }); });
    return {};
  }

  base::Status write(const std::string& path, std::string_view old_text, std::string_view text) {
    SR_TRY(host::replace_policy_file(path, old_text, text));
    std::erase_if(written, [&path](const policy::PolicySource& file) { return file.name == path; });
    written.push_back({path, std::string(text)});
    return {};
  }

  std::string status() const {
    const auto up = std::chrono::steady_clock::now() - started;
    const serve::ServingStatus status{.health = "healthy",
                                      .version = options.version,
                                      .uptime = std::chrono::duration_cast<std::chrono::seconds>(up),
                                      .topology = "jail",
                                      .policy_files = options.paths,
                                      .hosts = policy->host_count(),
                                      .policy_version = version,
                                      .behind = runtime->behind(),
                                      .allowed = run_time.entries_json(),
                                      .held = link.held() ? link.held()->size() : 0,
                                      .workers = runtime->worker_count(),
                                      .capacity = runtime->capacity(),
                                      .rules = "open"};
    return serve::to_json(status, *counters);
  }

  void answer(const serve::ControlQuestion& question, const serve::ControlSocket::Reply& reply) {
    if (serve::RunTimePolicy::answers(question.ask)) return run_time.answer(question, reply);
    reply(question.ask == "status" ? status() : std::string{});
  }
};

OperatorDesk::OperatorDesk(audit::DecisionLog& next, std::chrono::milliseconds ask, std::string command)
    : state_(std::make_unique<State>(next, ask, std::move(command))) {
  state_->link.connect(state_->io, state_->run_time);
}

OperatorDesk::~OperatorDesk() {
  close();
}

audit::DecisionLog& OperatorDesk::log() {
  return state_->link.log();
}

std::shared_ptr<flow::HeldRequests> OperatorDesk::held() const {
  return state_->link.held();
}

base::Status OperatorDesk::open(DeskOptions options, workers::Runtime& runtime, const audit::Counters& counters) {
  State* const state = state_.get();
  state->runtime = &runtime;
  state->counters = &counters;
  state->policy = options.policy;
  SR_LET(laid, state->run_time.lay_over(options.layers, options.paths));
  state->run_time.use(std::move(*laid));
  state->options = std::move(options);
  SR_LET(control, serve::ControlSocket::open(
                      state->io, serve::run_control_socket(state->options.folder, ::getpid()),
                      [state](const serve::ControlQuestion& question, const serve::ControlSocket::Reply& reply) {
                        state->answer(question, reply);
                      },
                      [state](audit::DecisionFeed::News news) { return state->link.watch(std::move(news)); },
                      serve::ControlSocket::Peers::kOfThisNetwork));
  state->control = std::move(*control);
  state->thread = std::thread([state] {
    ::pthread_setname_np(::pthread_self(), "operator");
    const auto work = asio::make_work_guard(state->io);
    state->io.run();
  });
  return {};
}

std::vector<policy::PolicySource> OperatorDesk::close() {
  if (state_->thread.joinable()) {
    asio::post(state_->io, [state = state_.get()] {
      state->control.reset();
      state->link.close();
      state->io.stop();
    });
    state_->thread.join();
  }
  return std::exchange(state_->written, {});
}

}  // namespace soleroute::gateway::jail
