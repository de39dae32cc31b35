// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h2/session.h"

#include <boost/asio/co_spawn.hpp>
#include <utility>

#include "base/web_ports.h"
#include "gateway/audit/probe.h"
#include "gateway/flow/refusal.h"
#include "gateway/http/h2/response.h"
#include "gateway/http/header_injection.h"
#include "gateway/http/internal_site.h"
#include "policy/explanation.h"
#include "policy/observe.h"

namespace soleroute::gateway::http::h2 {
namespace {

namespace asio = boost::asio;
using policy::Reason;

// Streams that a client has given up may still be waiting for a dial: more than so many together are not begun.
constexpr std::size_t kMaxLive = 2 * std::size_t{http2::kMaxStreams};
// Trailers may not name what the header may not.
void leave_out_overrides(const policy::Decision& decision, http2::Body& body) {
  if (!decision.by_method && !decision.by_path) return;
  body.leave_out([by_method = decision.by_method, by_path = decision.by_path](const http2::Field& field) {
    policy::OverrideHeaders overrides;
    overrides.see(field.name, {});
    return (by_method && !overrides.method.empty()) || (by_path && !overrides.path.empty());
  });
}

constexpr int kMaxAttempts = 3;  // an origin may say GOAWAY between two of them

}  // namespace

struct Session::Progress {
  std::shared_ptr<http2::Stream> stream;
  audit::DecisionRecord record;
  net::Clock::time_point started = net::Clock::now();
  Request request{};
  policy::Decision decision{};  // borrows from the snapshot that decide() holds
  bool revoked = false;         // a reload has denied it
};

Session::Session(flow::Context& context, InspectedClient client, OriginSource& origins,
                 std::optional<OriginConnection> first)
    : context_(context),
      client_(std::move(client)),
      connection_(context.io.get_executor(), *client_.connection.stream, http2::Role::kServer,
                  {.request = [this](std::shared_ptr<http2::Stream> stream) { begin(std::move(stream)); },
                   .refused = [this] { log_fault(Reason::kMalformed, "not a request of HTTP/2"); },
                   .settings = {},
                   .wake = {}}),
      origins_(context, origins, std::move(first), [this] { connection_.session().offer_websockets(); }),
      stream_ended_(context.io.get_executor()) {
  const auto allowed = [this](const policy::Policy& policy) { return still_allowed(policy); };
  const auto close = [this] { connection_.close(); };
  entry_ = context_.registry.add(allowed, close);
}

asio::awaitable<void> Session::run() {
  co_await connection_.run();
  origins_.close();
  while (live_ > 0) co_await stream_ended_.wait();
  co_await origins_.end();
  const auto& fault = connection_.session().fault();
  if (!fault.empty()) log_fault(Reason::kMalformed, fault);
}

// Between streams a connection is asked about only for its host.
bool Session::still_allowed(const policy::Policy& policy) const {
  if (is_own_name(client_.name)) return true;
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kHttp;
  facts.client = client_.connection.peer.address;
  facts.sni = client_.name;
  facts.host = client_.name;
  facts.port = base::kHttpsPort;
  facts.scheme = policy::Scheme::kHttps;
  return policy::may_pass(policy, policy.decide(facts));
}

policy::FlowFacts Session::facts_of(const Request& request) const {
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kHttp;
  facts.client = client_.connection.peer.address;
  facts.original_destination = client_.connection.original_destination;
  facts.sni = client_.name;
  facts.host = request.host;
  facts.port = base::kHttpsPort;
  facts.scheme = policy::Scheme::kHttps;
  facts.method = request.method;
  facts.target = request.path;
  facts.overrides = policy::override_headers(request.fields, request.method);
  return facts;
}

audit::DecisionRecord Session::new_record() const {
  audit::DecisionRecord record;
  record.phase = policy::Phase::kHttp;
  record.client = client_.connection.peer.address;
  record.host = client_.name.text();
  record.scheme = "https";
  record.port = base::kHttpsPort;
  const auto& destination = client_.connection.original_destination;
  if (destination.address != base::IpAddress{}) record.destination = destination.to_string();
  return record;
}

void Session::begin(std::shared_ptr<http2::Stream> stream) {
  const bool room = net::has_room(client_.connection.stream->buffers());
  if (live_ == kMaxLive || !room) return stream->reset(http2::kRefusedStream);
  ++live_;
  auto task = serve(std::move(stream));
  asio::co_spawn(context_.io, std::move(task), [this](const std::exception_ptr&) {
    --live_;
    stream_ended_.set();
  });
}

asio::awaitable<void> Session::serve(std::shared_ptr<http2::Stream> stream) {
  ++context_.counters.http_requests;
  Progress progress{.stream = std::move(stream), .record = new_record()};
  auto request = read_request(progress.stream->head());
  if (progress.stream->head_too_large()) {
    request = std::unexpected(RequestFault{431, Reason::kTooLarge, "a header list too large"});
  } else if (request && !request->host) {
    request = std::unexpected(RequestFault{421, Reason::kNameMismatch, "an address, where TLS asked for a name"});
  }
  if (request) {
    progress.request = std::move(*request);
    co_return co_await decide(progress);
  }
  const auto fault = request.error();
  progress.record.reason = policy::to_string(fault.reason);
  progress.record.detail = fault.text;
  progress.record.status = fault.status;
  log(progress, false);
  auto page = fault_page(fault.status, progress.record.reason, fault.text);
  co_await answer(progress, std::move(page));
}

// gateway.internal: decided before any policy is asked, and no origin is.
asio::awaitable<void> Session::answer_about_ourselves(Progress& progress, const policy::Policy& policy) {
  auto& record = progress.record;
  const auto& request = progress.request;
  record.host = request.host->text();
  record.method = request.method;
  record.path = request.path.substr(0, request.path.find('?'));
  record.reason = policy::to_string(Reason::kAllowed);
  record.detail = "this gateway";
  const SiteRequest asked{request.method, request.path, client_.connection.peer.address, request.wants_json};
  Page page = own_page(context_, policy, asked);
  record.status = page.status;
  record.bytes_out = page.size();
  log(progress, true);
  co_await answer(progress, std::move(page));
}

asio::awaitable<void> Session::decide(Progress& progress) {
  const auto snapshot = context_.policy;  // the decision borrows from it
  const bool ours = is_own_name(progress.request.host) && progress.request.host == client_.name;
  if (ours) co_return co_await answer_about_ourselves(progress, *snapshot);
  const auto facts = facts_of(progress.request);
  progress.decision = snapshot->decide(facts);
  auto& record = progress.record;
  record.host = progress.request.host ? progress.request.host->text() : progress.request.host_text;
  record.method = progress.request.method;
  record.path = progress.request.path.substr(0, progress.request.path.find('?'));
  record.reason = policy::to_string(progress.decision.reason);
  record.matched_host = progress.decision.matched_host;
  record.rule = policy::place_of(progress.decision.rule);
  record.detail = progress.decision.override_header;
  if (!policy::may_pass(*snapshot, progress.decision)) co_return co_await refuse(progress, *snapshot, facts);
  const auto injected = prepare_injection(progress.decision, progress.request.fields, context_.secrets);
  if (!injected) {  // allowed, but the policy sets headers that cannot be set
    progress.decision.action = policy::Action::kDeny;
    progress.decision.reason = injected.error().reason;
    record.reason = policy::to_string(injected.error().reason);
    record.status = injected.error().status;
    record.detail = injected.error().detail;
    co_return co_await refuse(progress, *snapshot, facts);
  }
  inject(progress.decision.transforms, *injected, progress.request.fields, *progress.stream->received());
  leave_out_overrides(progress.decision, *progress.stream->received());
  if (has_doubtful_body(progress.decision, progress.request.method)) {  // framed by chunks, if HTTP/1 carries it
    std::erase_if(progress.request.fields, [](const http2::Field& field) { return field.name == "content-length"; });
  }
  co_await forward(progress, *snapshot, facts);
}

// DESIGN section 10. Of a body that is refused nothing is read but what had come.
asio::awaitable<void> Session::refuse(Progress& progress, const policy::Policy& policy,
                                      const policy::FlowFacts& facts) {
  const bool json = progress.request.wants_json;
  const int status = progress.decision.reason == Reason::kNameMismatch ? 421 : 403;
  Page page{progress.record.status.value_or(status), policy::to_string(progress.decision.reason), {}, json};
  page.body = json ? policy::refusal_json(policy, facts, progress.decision)
                   : policy::refusal_page(policy, facts, progress.decision);
  page.message = policy::refusal_message(policy, facts, progress.decision);
  progress.record.status = page.status;
  progress.record.bytes_out = page.size();
  log(progress, false);
  co_await answer(progress, std::move(page));
}

asio::awaitable<void> Session::answer(Progress& progress, Page page) {
  const bool to_head = progress.request.is_head();
  if (progress.request.grpc) {
    progress.stream->respond(grpc_head(page), nullptr);
  } else {
    const auto& buffers = client_.connection.stream->buffers();
    progress.stream->respond(page_head(page), to_head ? nullptr : page_body(page, buffers));
  }
  std::string().swap(page.body);  // a client that does not read holds its answer once, not twice
  co_await finish_answer(context_.wheel, *progress.stream);
}

// A request under way is asked about as it is.
flow::Registry::Entry Session::registered(Progress& progress) {
  const auto allowed = [this, &progress](const policy::Policy& policy) {
    return policy::may_pass(policy, policy.decide(facts_of(progress.request)));
  };
  const auto close = [&progress] {
    progress.revoked = true;
    progress.stream->reset(http2::kCancel);
  };
  return context_.registry.add(allowed, close);
}

asio::awaitable<std::expected<StreamResult, flow::DialFailure>> Session::ask_origin(Progress& progress) {
  auto& stream = *progress.stream;
  for (int attempt = 1;; ++attempt) {
    auto route = co_await origins_.route();
    if (!route) co_return std::unexpected(std::move(route.error()));
    StreamResult result;
    if (route->shared != nullptr && !stream.closed()) {
      result = co_await exchange_over_http2(context_.wheel, stream, route->shared->session(), progress.request);
    } else if (route->own && !stream.closed()) {
      result = co_await exchange_over_http1(context_.wheel, stream, *route->own->stream, progress.request, answers_);
    } else {
      result.reusable = true;  // the client has given up meanwhile
    }
    if (route->own && result.reusable) origins_.give_back(std::move(*route->own));
    if (!result.untouched || attempt == kMaxAttempts || stream.closed()) co_return result;
  }
}

asio::awaitable<void> Session::forward(Progress& progress, const policy::Policy& policy,
                                       const policy::FlowFacts& facts) {
  const auto entry = registered(progress);
  auto result = co_await ask_origin(progress);
  if (!result) co_return co_await answer_dial_failure(progress, policy, facts, std::move(result.error()));
  co_await finish(progress, std::move(*result));
}

// Allowed, but there is nobody to ask. A name that leads to non-public addresses gets the page that says how to list
// them.
asio::awaitable<void> Session::answer_dial_failure(Progress& progress, const policy::Policy& policy,
                                                   const policy::FlowFacts& facts, flow::DialFailure failure) {
  ++context_.counters.upstream_failures;
  auto& record = progress.record;
  progress.decision.action = policy::Action::kDeny;
  progress.decision.reason = failure.reason;
  record.reason = policy::to_string(failure.reason);
  record.detail = failure.message;
  record.status = failure.reason == Reason::kTimedOut ? 504 : 502;
  if (failure.reason == Reason::kPrivateAddress) co_return co_await refuse(progress, policy, facts);
  auto page = upstream_page(*record.status, record.reason, record.host, record.detail);
  record.bytes_out = page.body.size();
  log(progress, false);
  co_await answer(progress, std::move(page));
}

asio::awaitable<void> Session::finish(Progress& progress, StreamResult result) {
  auto& record = progress.record;
  if (result.status != 0) record.status = result.status;
  record.bytes_in = progress.stream->received()->total();
  record.bytes_out = result.to_client;
  record.detail = std::move(result.detail);
  const bool failed = result.failure != Reason::kAllowed;
  if (result.failure == Reason::kUpstreamFailed) ++context_.counters.upstream_failures;
  if (progress.revoked) record.detail = "reset: a new policy denies it";
  if (!progress.decision.allowed() && record.detail.empty()) record.detail = policy::kObservedDetail;
  const bool answers = failed && result.status == 0 && !progress.stream->closed();
  if (answers) record.status = result.failure == Reason::kTimedOut ? 504 : 502;
  log(progress, progress.decision.allowed());
  if (!answers) co_return;
  auto page = upstream_page(*record.status, policy::to_string(result.failure), record.host, record.detail);
  co_await answer(progress, std::move(page));
}

void Session::log_fault(Reason reason, std::string_view why) {
  Progress progress{.stream = nullptr, .record = new_record()};
  progress.record.reason = policy::to_string(reason);
  progress.record.detail = why;
  log(progress, false);
}

void Session::log(Progress& progress, bool allowed) {
  logged_ = true;
  auto& record = progress.record;
  record.allowed = allowed;
  const auto elapsed = net::Clock::now() - progress.started;
  record.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count();
  audit::count_decision(context_.counters, record);
  context_.counters.bytes_in += record.bytes_in.value_or(0);
  context_.counters.bytes_out += record.bytes_out.value_or(0);
  context_.log.decision(record);
}

}  // namespace soleroute::gateway::http::h2
