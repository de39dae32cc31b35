// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <string>

#include "tests/unit/http/h2_lab.h"

namespace soleroute::gateway::http::h2 {
namespace {

using http2::Fields;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Http2Streams = Http2Lab;

TEST_F(Http2Streams, GoToTheOriginAsTheyCameAndTheirAnswersBack) {
  connect();
  const Fields more{{"x-b", "2"}, {"x-a", "1"}, {"cookie", "a=1", true}, {"te", "trailers"}, {"cookie", "b=2", true}};
  const auto asked = ask(head("GET", "/A%2fb/%7e?q=1&q=2", "allowed.test", more));
  auto& request = at_origin();
  EXPECT_EQ(request.head(), head("GET", "/A%2fb/%7e?q=1&q=2", "allowed.test", more));
  request.respond({{":status", "200"}, {"x-z", "z"}, {"alt-svc", "h3=\":443\""}, {"x-y", "y"}}, body("hello"));
  answered(asked);
  EXPECT_EQ(asked->head(), (Fields{{":status", "200"}, {"x-z", "z"}, {"x-y", "y"}}));
  EXPECT_EQ(text(*asked), "hello");
  until([&] { return log_.records().size() == 1; });
  const auto record = log_.records().at(0);
  EXPECT_TRUE(record.allowed);
  EXPECT_EQ(record.host, "allowed.test");
  EXPECT_EQ(record.scheme, "https");
  EXPECT_EQ(record.method, "GET");
  EXPECT_EQ(record.path, "/A%2fb/%7e");
  EXPECT_EQ(record.status, 200);
  EXPECT_EQ(record.bytes_out, 5U);
}

TEST_F(Http2Streams, ThatOnlyObserveLetsPassAreLoggedAsObserved) {
  use("mode: observe\ndomains: [{host: allowed.test, rules: [{methods: [GET], path: {prefix: /ok}}]}]");
  connect();
  const auto denied = ask(head("GET", "/other"));
  at_origin(0).respond({{":status", "200"}}, body("hello"));
  answered(denied);
  EXPECT_EQ(status(*denied), "200");
  const auto allowed = ask(head("GET", "/ok"));
  at_origin(1).respond({{":status", "200"}}, body("hello"));
  answered(allowed);
  until([&] { return log_.records().size() == 2; });
  const auto observed = log_.records().at(0);
  EXPECT_FALSE(observed.allowed);
  EXPECT_TRUE(observed.observed);
  EXPECT_EQ(observed.reason, "no_rule_matched");
  EXPECT_THAT(observed.detail, HasSubstr("observe"));
  EXPECT_TRUE(log_.records().at(1).allowed) << "the control";
  EXPECT_FALSE(log_.records().at(1).observed);
}

TEST_F(Http2Streams, ThatAreRefusedGetThePageThatSaysWhereToLook) {
  use("domains: [{host: allowed.test, rules: [{methods: [GET], path: {prefix: /ok}}]}]");
  connect();
  const auto denied = ask(head("GET", "/other"));
  answered(denied);
  EXPECT_EQ(status(*denied), "403");
  EXPECT_THAT(text(*denied), StartsWith("Blocked by proxy policy: allowed.test"));
  EXPECT_THAT(text(*denied), HasSubstr("http://gateway.internal/policy\n"));
}

TEST_F(Http2Streams, ShareOneConnectionToTheOrigin) {
  connect();
  std::vector<std::shared_ptr<http2::Stream>> asked;
  for (int i = 0; i < 20; ++i) asked.push_back(ask(head("GET", "/" + std::to_string(i))));
  (void)at_origin(19);
  for (const auto& request : origins2_[0]->requests) {
    request->respond({{":status", "200"}}, body(http2::find(request->head(), ":path")->value));
  }
  for (int i = 0; i < 20; ++i) {
    answered(asked[static_cast<std::size_t>(i)]);
    EXPECT_EQ(text(*asked[static_cast<std::size_t>(i)]), "/" + std::to_string(i));
  }
  EXPECT_EQ(dials_, 1);
}

TEST_F(Http2Streams, AreRefusedWhileTheirClientHasNoRoom) {
  const auto account = std::make_shared<net::BufferAccount>(net::BufferLimits{.all = 1 << 20, .client = 1 << 20});
  buffers_ = account->of(base::IpAddress::parse("10.0.0.9").value());
  net::HeldBytes others(buffers_, 1 << 20);
  connect();
  const auto refused = ask(head());
  until([&] { return refused->closed(); });
  EXPECT_EQ(refused->error_code(), http2::kRefusedStream);
  EXPECT_EQ(dials_, 0);
  others.set(0);
  const auto asked = ask(head());
  at_origin().respond({{":status", "200"}}, body("hello"));
  answered(asked);
  EXPECT_EQ(text(*asked), "hello") << "the control: the same connection, with room";
}

// T102, T104
TEST_F(Http2Streams, ToAnotherAuthorityAre421AndTheOthersGoOn) {
  connect();
  for (const char* const other : {"denied.test", "other.test", "45.33.32.20"}) {
    const auto asked = ask(head("GET", "/canary", other));
    answered(asked);
    EXPECT_EQ(status(*asked), "421") << other;
    EXPECT_EQ(http2::find(asked->head(), "x-soleroute-reason")->value, "name_mismatch");
  }
  EXPECT_EQ(dials_, 0);
  const auto fine = ask(head("GET", "/", "ALLOWED.test:443"));  // the control
  at_origin().respond({{":status", "204"}}, nullptr);
  answered(fine);
  EXPECT_EQ(status(*fine), "204");
  until([&] { return log_.records().size() == 4; });
  EXPECT_EQ(log_.about("denied.test").at(0).reason, "name_mismatch");
  EXPECT_FALSE(log_.about("denied.test").at(0).allowed);
}

TEST_F(Http2Streams, ToADeniedHostGetThePage) {
  connect("denied.test");
  const auto asked = ask(head("GET", "/secret?token=x", "denied.test"));
  const auto json = ask(head("GET", "/", "denied.test", {{"accept", "application/json"}}));
  const auto to_head = ask(head("HEAD", "/", "denied.test"));
  for (const auto& each : {asked, json, to_head}) {
    answered(each);
    EXPECT_EQ(status(*each), "403");
    EXPECT_EQ(http2::find(each->head(), "x-soleroute-reason")->value, "host_not_allowed");
  }
  EXPECT_THAT(text(*asked), StartsWith("Blocked by proxy policy: denied.test"));
  EXPECT_EQ(http2::find(asked->head(), "cache-control")->value, "no-store");
  EXPECT_THAT(text(*json), StartsWith("{"));
  EXPECT_EQ(text(*to_head), "");
  EXPECT_EQ(dials_, 0);
  EXPECT_EQ(log_.records().at(0).path, "/secret");
}

// Clients of gRPC show their own status and message, and no message beside a status of HTTP that is not 200.
TEST_F(Http2Streams, OfGrpcGetTheReasonAsTheirsIs) {
  connect("denied.test");
  const auto asked =
      ask(head("POST", "/pkg.Service/Call", "denied.test", {{"content-type", "application/grpc+proto"}}));
  const auto web = ask(head("POST", "/", "denied.test", {{"content-type", "application/grpc-web+proto"}}));
  answered(asked);
  answered(web);
  EXPECT_EQ(status(*asked), "200");
  EXPECT_EQ(http2::find(asked->head(), "content-type")->value, "application/grpc");
  EXPECT_EQ(http2::find(asked->head(), "grpc-status")->value, "7");
  EXPECT_THAT(http2::find(asked->head(), "grpc-message")->value, StartsWith("Blocked by proxy policy: denied.test. "));
  EXPECT_EQ(http2::find(asked->head(), "x-soleroute-reason")->value, "host_not_allowed");
  EXPECT_EQ(text(*asked), "");
  EXPECT_EQ(status(*web), "403");
  EXPECT_EQ(dials_, 0);
  EXPECT_EQ(log_.records().at(0).status, 403) << "what was decided";
}

// A body that nobody wants is ended by the gateway, and takes nothing of the connection's window.
TEST_F(Http2Streams, RefusedWithABodyAreEndedAtOnce) {
  connect("denied.test");
  for (int i = 0; i < 10; ++i) {
    auto upload = std::make_shared<http2::Body>();
    upload->append(base::as_bytes(std::string(http2::kClientStreamWindow, 'x')));
    const auto asked = ask(head("POST", "/", "denied.test"), upload);
    until([&] { return asked->closed(); });
    ASSERT_EQ(status(*asked), "403") << i;
    EXPECT_EQ(asked->error_code(), http2::kNoError);
  }
}

// T103
TEST_F(Http2Streams, WithAHostOfTheirOwnAreHeldToIt) {
  connect();
  const auto differs = ask(head("GET", "/", "allowed.test", {{"host", "denied.test"}}));
  answered(differs);
  EXPECT_EQ(status(*differs), "400");
  const auto same = ask(head("GET", "/", "allowed.test", {{"host", "allowed.test"}}));
  EXPECT_EQ(at_origin().head(), head());  // one authority is sent on
  at_origin().respond({{":status", "204"}}, nullptr);
  answered(same);
  const auto host_only = ask({{":method", "GET"}, {":scheme", "https"}, {":path", "/"}, {"host", "allowed.test"}});
  EXPECT_EQ(at_origin(1).head(), head());
  at_origin(1).respond({{":status", "204"}}, nullptr);
  answered(host_only);
}

// T086, T087, T096, T106
TEST_F(Http2Streams, ThatNoPolicyCanAllowAreFaults) {
  connect();
  const std::tuple<Fields, const char*, const char*> cases[] = {
      {head("TRACE"), "405", "TRACE"},
      {{{":method", "CONNECT"}, {":authority", "allowed.test:443"}}, "405", "plain CONNECT"},
      {{{":method", "CONNECT"}, {":authority", "evil.test:443"}}, "405", "plain CONNECT elsewhere"},
      {head("GET", "/", "allowed.test:22"), "400", "another port"},
      {head("GET", "/", "user@allowed.test"), "400", "userinfo"},
      {head("GET", "/", "allowed.test@denied.test"), "400", "userinfo"},
      {head("GET", "/", "allowed.test%2edenied.test"), "400", "a percent sign"},
      {{{":method", "GET"}, {":scheme", "http"}, {":authority", "allowed.test"}, {":path", "/"}}, "400", "http"},
      {head("GET", "/" + std::string(10000, 'x')), "414", "a long path"},
      {head("GET", "/#fragment"), "400", "a fragment"},
      {head(std::string(40, 'X')), "501", "a long method"},
      {head("POST", "/", "allowed.test", {{"expect", "miracles"}}), "417", "an expectation"},
  };
  for (const auto& [fields, expected, what] : cases) {
    const auto asked = ask(fields);
    answered(asked);
    EXPECT_EQ(status(*asked), expected) << what;
  }
  EXPECT_EQ(dials_, 0);
  EXPECT_EQ(log_.records().size(), std::size(cases));
  const auto fine = ask(head("OPTIONS", "*"));
  at_origin().respond({{":status", "204"}}, nullptr);
  answered(fine);
}

// T109
TEST_F(Http2Streams, WithTooManyFieldsGet431) {
  connect();
  Fields many(http2::kMaxFields, {"x", "y"});
  const auto asked = ask(head("GET", "/", "allowed.test", many));
  answered(asked);
  EXPECT_EQ(status(*asked), "431");
  EXPECT_EQ(log_.records().at(0).reason, "too_large");
}

// C09
TEST_F(Http2Streams, StreamBothWaysAtOnceAndEndInTrailers) {
  connect();
  auto up = std::make_shared<http2::Body>();
  auto down = std::make_shared<http2::Body>();
  const auto asked = ask(head("POST", "/a.Service/Chat"), up);
  auto& request = at_origin();
  request.respond({{":status", "200"}, {"content-type", "application/grpc"}}, down);
  until([&] { return asked->has_head(); });
  for (const char* const word : {"one", "two", "three"}) {
    up->append(base::as_bytes(word));
    until([&] { return text(request) == word; });
    request.received()->consume(request.received()->size());
    down->append(base::as_bytes(word));
    until([&] { return text(*asked) == word; });  // no buffering: each arrives before the next is sent
    asked->received()->consume(asked->received()->size());
  }
  up->finish({{"x-up", "1"}});
  until([&] { return request.received()->finished(); });
  EXPECT_EQ(request.received()->trailers(), (Fields{{"x-up", "1"}}));
  down->finish({{"grpc-status", "0"}, {"grpc-message", ""}});
  answered(asked);
  EXPECT_EQ(asked->received()->trailers(), (Fields{{"grpc-status", "0"}, {"grpc-message", ""}}));
  until([&] { return asked->closed(); });
  EXPECT_EQ(asked->error_code(), http2::kNoError);
}

TEST_F(Http2Streams, CarryInterimResponses) {
  connect();
  auto up = std::make_shared<http2::Body>();
  const auto asked = ask(head("POST", "/", "allowed.test", {{"expect", "100-continue"}}), up);
  auto& request = at_origin();
  EXPECT_FALSE(request.received()->finished());
  request.send_interim({{":status", "100"}});
  std::vector<Fields> interim;
  until([&] {
    for (auto& each : asked->take_interim()) interim.push_back(std::move(each));
    return !interim.empty();
  });
  EXPECT_EQ(interim, (std::vector<Fields>{{{":status", "100"}}}));
  up->append(base::as_bytes("body"));
  up->finish();
  until([&] { return request.received()->finished(); });
  request.respond({{":status", "201"}}, nullptr);
  answered(asked);
  EXPECT_EQ(status(*asked), "201");
}

TEST_F(Http2Streams, GivenUpByTheClientAreGivenUpAtTheOrigin) {
  connect();
  const auto asked = ask(head());
  auto& request = at_origin();
  const auto other = ask(head("GET", "/other"));
  (void)at_origin(1);
  asked->reset(http2::kCancel);
  until([&] { return request.closed(); });
  EXPECT_EQ(request.error_code(), http2::kCancel);
  EXPECT_FALSE(at_origin(1).closed());
  at_origin(1).respond({{":status", "204"}}, nullptr);
  answered(other);
  EXPECT_EQ(status(*other), "204");
}

TEST_F(Http2Streams, ResetByTheOriginAreResetToTheClient) {
  connect();
  const auto asked = ask(head());
  auto& request = at_origin();
  request.respond({{":status", "200"}}, std::make_shared<http2::Body>());
  until([&] { return asked->has_head(); });
  request.reset(http2::kEnhanceYourCalm);
  until([&] { return asked->closed(); });
  EXPECT_EQ(asked->error_code(), http2::kEnhanceYourCalm);
  EXPECT_TRUE(asked->received()->aborted());
}

TEST_F(Http2Streams, AreWholeThatEndWithTheirConnectionBeforeTheClientHasTakenThem) {
  connect();
  const auto asked = ask(head());
  auto& origin = at_origin();
  origin.respond({{":status", "200"}}, body(std::string(900'000, 'x')));
  until([&] { return origin.sent_end(); });
  origins2_[0]->connection.close();
  until([&] { return origins2_[0]->ended; });
  std::size_t taken = 0;
  until([&] {
    const auto count = asked->received()->size();
    taken += count;
    if (count > 0) asked->received()->consume(count);
    return asked->received()->at_end() || asked->closed();
  });
  EXPECT_TRUE(asked->received()->at_end());
  EXPECT_EQ(taken, 900'000u);
}

TEST_F(Http2Streams, ResetByTheOriginBeforeAnAnswerGet502) {
  connect();
  const auto asked = ask(head("POST"), body("x"));
  at_origin().reset(http2::kInternalError);
  answered(asked);
  EXPECT_EQ(status(*asked), "502");
  EXPECT_THAT(text(*asked), HasSubstr("allowed.test"));
  until([&] { return log_.records().size() == 1; });
}

TEST_F(Http2Streams, RefusedByTheOriginAreAskedOnAnotherConnection) {
  connect();
  const auto asked = ask(head());
  auto& request = at_origin();
  origins2_[0]->connection.session().go_away(http2::kNoError);
  request.reset(http2::kRefusedStream);
  at_origin(0, 1).respond({{":status", "200"}}, body("second"));
  answered(asked);
  EXPECT_EQ(text(*asked), "second");
  EXPECT_EQ(dials_, 2);
}

TEST_F(Http2Streams, AfterGoAwayGoToANewConnectionWhileTheOldOneFinishes) {
  connect();
  const auto first = ask(head("GET", "/1"));
  auto& old = at_origin();
  origins2_[0]->connection.session().go_away(http2::kNoError);
  const auto second = ask(head("GET", "/2"));
  at_origin(0, 1).respond({{":status", "200"}}, body("2"));
  answered(second);
  old.respond({{":status", "200"}}, body("1"));
  answered(first);
  EXPECT_EQ(text(*first) + text(*second), "12");
}

TEST_F(Http2Streams, WhoseOriginCannotBeReachedSayWhy) {
  failure_ = flow::DialFailure{policy::Reason::kUpstreamFailed, "allowed.test: its certificate has expired"};
  connect();
  const auto asked = ask(head());
  answered(asked);
  EXPECT_EQ(status(*asked), "502");
  EXPECT_THAT(text(*asked), HasSubstr("certificate has expired"));
  failure_.reset();
  const auto control = ask(head());
  at_origin().respond({{":status", "204"}}, nullptr);
  answered(control);
  EXPECT_EQ(status(*control), "204");
}

// C06: what the client does not take, the origin cannot send.
TEST_F(Http2Streams, PassPressureOnToTheOrigin) {
  connect();
  const auto asked = ask(head());
  auto down = std::make_shared<http2::Body>();
  const std::size_t much = 16 << 20;
  down->append(base::as_bytes(std::string(much, 'x')));
  at_origin().respond({{":status", "200"}}, down);
  const std::size_t most = http2::kOriginStreamWindow * 2 + (4 << 20);  // windows of both sides, and the sockets
  until([&] { return asked->received()->size() >= http2::kOriginStreamWindow; });
  const auto other = ask(head("GET", "/other"));  // goes on beside it
  at_origin(1).respond({{":status", "204"}}, nullptr);
  answered(other);
  EXPECT_GT(down->size(), much - most);
  down->finish();
  std::size_t got = 0;
  until([&] {
    got += asked->received()->size();
    asked->received()->consume(asked->received()->size());
    return asked->received()->at_end();
  });
  EXPECT_EQ(got, much);
}

// RFC 8441
TEST_F(Http2Streams, BecomeWebSocketsWhereTheOriginTakesThem) {
  first_ = make_origin();
  origins2_[0]->connection.session().offer_websockets();
  connect();
  until([&] { return client_->connection.session().peer_takes_websockets(); });
  auto up = std::make_shared<http2::Body>();
  auto down = std::make_shared<http2::Body>();
  Fields extended = head("CONNECT", "/socket");
  extended.insert(extended.begin() + 4, {":protocol", "websocket"});
  extended.push_back({"sec-websocket-version", "13"});
  const auto asked = ask(extended, up);
  auto& request = at_origin();
  EXPECT_EQ(request.head(), extended);
  request.respond({{":status", "200"}}, down);
  until([&] { return asked->has_head(); });
  up->append(base::as_bytes("ping"));
  until([&] { return text(request) == "ping"; });
  down->append(base::as_bytes("pong"));
  until([&] { return text(*asked) == "pong"; });
  up->finish();
  down->finish();
  until([&] { return log_.records().size() == 1; });
  EXPECT_EQ(log_.records()[0].method, "GET");  // as over HTTP/1: one rule speaks of both
  // T106: other protocols over extended CONNECT are none of ours.
  extended[4].value = "connect-udp";
  const auto udp = ask(extended, std::make_shared<http2::Body>());
  answered(udp);
  EXPECT_EQ(status(*udp), "405");
}

TEST_F(Http2Streams, AreResetWhenAReloadDeniesTheirHost) {
  connect();
  const auto asked = ask(head());
  auto& request = at_origin();
  reload("domains: [other.test]");
  until([&] { return asked->closed() && request.closed(); });
  EXPECT_NE(asked->error_code(), http2::kNoError);
}

TEST_F(Http2Streams, AreDecidedByTheirPathsEach) {
  use("domains: [{host: allowed.test, rules: [{schemes: [https], path: {prefix: /ok/}}]}]");
  connect();
  const auto open = ask(head("GET", "/ok/open"));
  auto& at = at_origin();
  const auto denied = ask(head("GET", "/denied"));
  const auto around = ask(head("GET", "/ok/../denied"));
  answered(denied);
  answered(around);
  EXPECT_EQ(status(*denied), "403");
  EXPECT_EQ(status(*around), "403");
  EXPECT_EQ(http2::find(denied->head(), "x-soleroute-reason")->value, "no_rule_matched");
  at.respond({{":status", "200"}}, body("fine"));
  answered(open);
  EXPECT_EQ(text(*open), "fine");
  EXPECT_EQ(origins2_[0]->requests.size(), 1U);
}

TEST_F(Http2Streams, AreResetWhenAReloadDeniesThemAndNoOthers) {
  connect();
  const auto stays = ask(head("GET", "/ok/stays"));
  (void)at_origin(0);
  const auto goes = ask(head("GET", "/goes"));
  (void)at_origin(1);
  reload("domains: [{host: allowed.test, rules: [{schemes: [https], path: {prefix: /ok/}}]}]");
  until([&] { return goes->closed() && at_origin(1).closed(); });
  EXPECT_NE(goes->error_code(), http2::kNoError);
  at_origin(0).respond({{":status", "200"}}, body("still here"));
  answered(stays);
  EXPECT_EQ(text(*stays), "still here");
}

TEST_F(Http2Streams, GoOnWhenAReloadStillAllowsThem) {
  connect();
  const auto asked = ask(head());
  auto& request = at_origin();
  reload("domains: [allowed.test]");
  request.respond({{":status", "200"}}, body("still here"));
  answered(asked);
  EXPECT_EQ(text(*asked), "still here");
}

// T108: what a client gives up at once costs the origin few connections.
TEST_F(Http2Streams, InARapidResetEndTheConnection) {
  connect();
  const auto at_origins = [this] {
    std::size_t count = 0;
    for (const auto& origin : origins2_) count += origin->requests.size();
    return count;
  };
  std::size_t asked = 0;
  for (; asked < 5000 && !client_->ended; ++asked) {
    const auto stream = ask(head());
    until([&] { return client_->ended || at_origins() > asked; });
    stream->reset(http2::kCancel);
  }
  until([&] { return client_->ended && *served_; });
  EXPECT_GE(asked, 200U);
  EXPECT_LE(dials_, 5);
  EXPECT_EQ(log_.records().back().reason, "malformed");
}

}  // namespace
}  // namespace soleroute::gateway::http::h2
