// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h2/session.h"

#include <boost/asio/co_spawn.hpp>
#include <functional>
#include <utility>

#include "base/web_ports.h"
#include "gateway/http/ask_operator.h"
#include "gateway/http/h2/response.h"
#include "gateway/http/header_injection.h"

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

struct Session::Exchange {
  std::shared_ptr<http2::Stream> stream;
  RequestFlow flow;
  Request request{};
  bool revoked = false;  // a reload has denied it
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
  const auto allowed = [this](const policy::Policy& policy) { return new_flow().still_allowed(policy); };
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

// Before a request it is what a reload asks of a connection.
RequestFlow Session::new_flow() const {
  return {context_, client_.connection, client_.name, true};
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
  logged_ = true;  // as it will be
  Exchange exchange{.stream = std::move(stream), .flow = new_flow()};
  auto page = co_await decide(exchange);
  if (page) {
    exchange.flow.finish_page(page->size());
    co_await answer(exchange, std::move(*page));
  } else {
    co_await forward(exchange);
  }
}

// The page that the gateway answers with itself; nothing: the origin is asked.
asio::awaitable<std::optional<Page>> Session::decide(Exchange& exchange) {
  auto request = read_request(exchange.stream->head(), exchange.flow.default_port());
  if (exchange.stream->head_too_large()) {
    request = std::unexpected(Fault{431, Reason::kTooLarge, "a header list too large"});
  } else if (request && !request->host) {
    request = std::unexpected(Fault{421, Reason::kNameMismatch, "an address, but the TLS SNI is a name"});
  }
  RequestFlow& flow = exchange.flow;
  if (!request) {
    flow.begin_unread();
    if (flow.leads_to_denied_port()) co_return flow.decide();  // its authority names that port
    co_return flow.fault(request.error());
  }
  Request& asked = exchange.request = std::move(*request);
  flow.begin({.host = asked.host,
              .host_text = asked.host_text,
              .port = flow.default_port(),
              .method = asked.method,
              .target = asked.path,
              .overrides = policy::override_headers(asked.fields, asked.method),
              .form = {.body = asked.wants_json ? BodyForm::kJson : BodyForm::kText, .one_line = asked.grpc}});
  auto page = flow.decide();
  if (page && flow.may_be_held()) {
    std::function<bool()> has_left = [&exchange] { return exchange.stream->closed(); };
    page = co_await ask_operator(context_, flow, std::move(*page), std::move(has_left));
  }
  if (!page) page = flow.inject(asked.fields);
  if (page) co_return page;
  auto& body = *exchange.stream->received();
  inject(flow.decision().transforms, flow.injected(), asked.fields, body);
  leave_out_overrides(flow.decision(), body);
  if (has_doubtful_body(flow.decision(), asked.method)) {  // framed by chunks, if HTTP/1 carries it
    std::erase_if(asked.fields, [](const http2::Field& field) { return field.name == "content-length"; });
  }
  co_return std::nullopt;
}

asio::awaitable<void> Session::answer(Exchange& exchange, Page page) {
  const bool to_head = exchange.request.is_head();
  if (exchange.request.grpc) {
    exchange.stream->respond(grpc_head(page), nullptr);
  } else {
    const auto& buffers = client_.connection.stream->buffers();
    exchange.stream->respond(page_head(page), to_head ? nullptr : page_body(page, buffers));
  }
  std::string().swap(page.body);  // a client that does not read holds its answer once, not twice
  co_await finish_answer(context_.wheel, *exchange.stream);
}

// A request under way is asked about as it is.
flow::Registry::Entry Session::registered(Exchange& exchange) {
  const auto allowed = [&exchange](const policy::Policy& policy) { return exchange.flow.still_allowed(policy); };
  const auto close = [&exchange] {
    exchange.revoked = true;
    exchange.stream->reset(http2::kCancel);
  };
  return context_.registry.add(allowed, close);
}

asio::awaitable<std::expected<StreamResult, flow::DialFailure>> Session::ask_origin(Exchange& exchange) {
  auto& stream = *exchange.stream;
  for (int attempt = 1;; ++attempt) {
    auto route = co_await origins_.route();
    if (!route) co_return std::unexpected(std::move(route.error()));
    StreamResult result;
    if (route->shared != nullptr && !stream.closed()) {
      result = co_await exchange_over_http2(context_.wheel, stream, route->shared->session(), exchange.request);
    } else if (route->own && !stream.closed()) {
      result = co_await exchange_over_http1(context_.wheel, stream, *route->own->stream, exchange.request, answers_);
    } else {
      result.reusable = true;  // the client has given up meanwhile
    }
    if (route->own && result.reusable) origins_.give_back(std::move(*route->own));
    if (!result.untouched || attempt == kMaxAttempts || stream.closed()) co_return result;
  }
}

asio::awaitable<void> Session::forward(Exchange& exchange) {
  const auto entry = registered(exchange);
  auto result = co_await ask_origin(exchange);
  if (exchange.revoked) result = StreamResult{};
  if (result) co_return co_await finish(exchange, std::move(result->outcome));
  Page page = exchange.flow.dial_failed(result.error());
  exchange.flow.finish_page(page.size());
  co_await answer(exchange, std::move(page));
}

asio::awaitable<void> Session::finish(Exchange& exchange, Outcome outcome) {
  outcome.from_client = exchange.stream->received()->total();
  outcome.answerable = outcome.status == 0 && !exchange.stream->closed();
  outcome.revoked = exchange.revoked;
  auto page = exchange.flow.finish(std::move(outcome));
  if (page) co_await answer(exchange, std::move(*page));
}

void Session::log_fault(Reason reason, std::string_view why) {
  logged_ = true;
  auto flow = new_flow();
  flow.begin_unread();
  (void)flow.fault({0, reason, why});
  flow.finish_page(0);
}

}  // namespace soleroute::gateway::http::h2
