// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http2/session.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/support/http2_wire.h"

namespace soleroute::gateway::http2 {
namespace {

using namespace test::h2;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::size_t kAll = 1 << 30;

Fields get_request(const std::string& authority = "a.test", const std::string& path = "/") {
  return {{":method", "GET"}, {":scheme", "https"}, {":authority", authority}, {":path", path}};
}

// A client and a server whose bytes the test carries.
class Http2Sessions : public ::testing::Test {
 protected:
  void exchange() {
    for (int i = 0; i < 100; ++i) {
      const bool forth = carry(client_, server_);
      const bool back = carry(server_, client_);
      if (!forth && !back) return;
    }
  }
  bool carry(Session& from, Session& to) {
    std::string bytes;
    from.collect(bytes, kAll);
    if (!bytes.empty()) (void)to.receive(base::as_bytes(bytes), net::Clock::now());
    return !bytes.empty();
  }
  // Bytes of a client that no library would be.
  bool raw(const std::string& bytes) { return server_.receive(base::as_bytes(bytes), net::Clock::now()); }
  std::string said() {
    std::string bytes;
    server_.collect(bytes, kAll);
    return bytes;
  }
  // Of a body that is sent from here.
  static std::shared_ptr<Body> body(const std::string& text) {
    auto made = std::make_shared<Body>();
    made->append(base::as_bytes(text));
    made->finish();
    return made;
  }
  static std::string taken(Body& body) {
    std::string out(base::as_text(body.bytes()));
    body.consume(body.size());
    return out;
  }

  std::vector<std::shared_ptr<Stream>> requests_;
  int refused_ = 0;
  Session server_{Role::kServer,
                  {.request = [this](std::shared_ptr<Stream> stream) { requests_.push_back(std::move(stream)); },
                   .refused = [this] { ++refused_; },
                   .settings = {},
                   .wake = {}}};
  Session client_{Role::kClient, {}};
};

TEST_F(Http2Sessions, CarryARequestAndItsAnswer) {
  auto head = get_request();
  head.push_back({"x-second", "2", true});
  head.push_back({"cookie", "a=1", true});  // nghttp2 treats short ones so
  head.push_back({"cookie", "b=2", true});
  const auto asked = client_.request(head, nullptr);
  exchange();
  ASSERT_EQ(requests_.size(), 1U);
  EXPECT_EQ(requests_[0]->head(), head);  // in order, crumbs apart, and what is sensitive still is
  EXPECT_TRUE(requests_[0]->received()->at_end());
  requests_[0]->respond({{":status", "200"}, {"x-a", "b"}}, body("hello"));
  exchange();
  EXPECT_EQ(find(asked->head(), ":status")->value, "200");
  EXPECT_EQ(taken(*asked->received()), "hello");
  EXPECT_TRUE(asked->received()->at_end());
  EXPECT_TRUE(asked->closed());
  EXPECT_EQ(asked->error_code(), kNoError);
  EXPECT_EQ(client_.open_streams() + server_.open_streams(), 0U);
}

TEST_F(Http2Sessions, CarryTrailersBothWaysAndInterimResponses) {
  auto upload = std::make_shared<Body>();
  const auto asked = client_.request(get_request(), upload);
  exchange();
  requests_.at(0)->send_interim({{":status", "103"}, {"link", "</a>"}});
  exchange();
  EXPECT_EQ(asked->take_interim().at(0).at(1).value, "</a>");
  EXPECT_FALSE(asked->has_head());
  upload->append(base::as_bytes("up"));
  upload->finish({{"x-sum", "1"}});
  auto answer = std::make_shared<Body>();
  requests_[0]->respond({{":status", "200"}}, answer);
  answer->finish({{"grpc-status", "0"}});
  exchange();
  EXPECT_EQ(taken(*requests_[0]->received()), "up");
  EXPECT_EQ(requests_[0]->received()->trailers(), (Fields{{"x-sum", "1"}}));
  EXPECT_EQ(asked->received()->trailers(), (Fields{{"grpc-status", "0"}}));
  EXPECT_TRUE(asked->closed());
}

TEST_F(Http2Sessions, GiveNoMoreWindowThanWasTaken) {
  auto upload = std::make_shared<Body>();
  upload->append(base::as_bytes(std::string(2 * kClientStreamWindow, 'x')));
  const auto asked = client_.request(get_request(), upload);
  exchange();
  auto& received = *requests_.at(0)->received();
  EXPECT_EQ(received.size(), kClientStreamWindow);
  received.consume(kClientStreamWindow);
  exchange();
  EXPECT_EQ(received.size(), kClientStreamWindow);
}

TEST_F(Http2Sessions, BytesThatNobodyTookDoNotNarrowTheConnection) {
  for (int i = 0; i < 20; ++i) {  // more than the connection's window in all
    const auto asked = client_.request(get_request(), body(std::string(kClientStreamWindow / 2, 'x')));
    exchange();
    ASSERT_EQ(requests_.size(), 1U) << i;
    ASSERT_EQ(requests_[0]->received()->total(), kClientStreamWindow / 2) << i;
    requests_[0]->respond({{":status", "403"}}, nullptr);
    exchange();
    requests_.clear();
  }
}

TEST_F(Http2Sessions, TellTheOtherSideOfAReset) {
  auto upload = std::make_shared<Body>();
  const auto asked = client_.request(get_request(), upload);
  exchange();
  asked->reset(kCancel);
  exchange();
  EXPECT_TRUE(requests_.at(0)->closed());
  EXPECT_EQ(requests_[0]->error_code(), kCancel);
  EXPECT_TRUE(requests_[0]->received()->aborted());
}

TEST_F(Http2Sessions, CloseTheirStreamsWithTheConnection) {
  const auto asked = client_.request(get_request(), nullptr);
  exchange();
  client_.disconnected();
  EXPECT_TRUE(asked->closed());
  EXPECT_NE(asked->error_code(), kNoError);
  EXPECT_TRUE(asked->received()->aborted());
  const auto late = client_.request(get_request(), nullptr);
  EXPECT_TRUE(late->closed());
  EXPECT_EQ(late->error_code(), kRefusedStream);
}

TEST_F(Http2Sessions, ReportRequestsThatGoAwayLeavesBehindAsRefused) {
  const auto first = client_.request(get_request(), nullptr);
  exchange();
  server_.go_away(kNoError);
  const auto second = client_.request(get_request(), nullptr);  // meets the GOAWAY
  carry(server_, client_);
  exchange();
  EXPECT_FALSE(first->closed());
  EXPECT_TRUE(second->closed());
  EXPECT_EQ(second->error_code(), kRefusedStream);
  EXPECT_FALSE(client_.takes_requests());
}

TEST_F(Http2Sessions, OfferWebSocketsOnlyWhenTold) {
  exchange();
  EXPECT_FALSE(client_.peer_takes_websockets());
  server_.offer_websockets();
  exchange();
  EXPECT_TRUE(client_.peer_takes_websockets());
}

// T106
TEST_F(Http2Sessions, ResetExtendedConnectThatWasNotOffered) {
  ASSERT_TRUE(raw(opening() +
                  frame(kHeaders, kEndHeaders, 1,
                        literal(":method", "CONNECT") + literal(":protocol", "websocket") +
                            literal(":scheme", "https") + literal(":authority", "a.test") + literal(":path", "/"))));
  EXPECT_THAT(said(), HasSubstr(frame(kRst, 0, 1, u32(kProtocolError))));
  EXPECT_TRUE(requests_.empty());
  EXPECT_EQ(refused_, 1);
}

// RFC 9113 sections 8.2 and 8.3; GHSA-847f-9342-265h
TEST_F(Http2Sessions, ResetRequestsThatAreNone) {
  const std::string fine = request_block("a.test");
  const std::pair<std::string, const char*> cases[] = {
      {fine + literal("connection", "close"), "connection-specific"},
      {fine + literal("transfer-encoding", "chunked"), "connection-specific"},
      {fine + literal("upgrade", "h2c"), "connection-specific"},
      {fine + literal("te", "gzip"), "te other than trailers"},
      {fine + literal("Upper", "case"), "upper case"},
      {fine + literal("x-a", "b\r\nx-c: d"), "a line break in a value"},
      {fine + literal("x-a", std::string("b\0c", 3)), "NUL in a value"},
      {fine + literal("x a", "b"), "a space in a name"},
      {fine + literal("host", "a.test") + literal("host", "b.test"), "two hosts"},
      {fine + literal(":authority", "b.test"), "two authorities"},
      {literal("x-a", "b") + fine, "pseudo fields after others"},
      {literal(":method", "GET") + literal(":scheme", "https") + literal(":path", "/"), "no authority, no host"},
      {request_block("a.test", "/a b"), "a space in the path"},
      {request_block("a.test", "no-slash"), "not origin-form"},
      {request_block("a.test", "/", "G T"), "not a method"},
      {fine + literal("content-length", "5, 5"), "not a length"},
  };
  std::uint32_t id = 1;
  ASSERT_TRUE(raw(opening()));
  for (const auto& [block, what] : cases) {
    ASSERT_TRUE(raw(frame(kHeaders, kEndStream | kEndHeaders, id, block))) << what;
    EXPECT_THAT(said(), HasSubstr(frame(kRst, 0, id, u32(kProtocolError)))) << what;
    id += 2;
  }
  EXPECT_TRUE(requests_.empty());
  EXPECT_EQ(refused_, static_cast<int>(std::size(cases)));
  ASSERT_TRUE(raw(get(id, "a.test")));  // the control: the connection goes on
  EXPECT_EQ(requests_.size(), 1U);
}

// T109
TEST_F(Http2Sessions, MarkHeaderListsThatAreTooLarge) {
  std::string block = request_block("a.test");
  for (int i = 0; i < 5; ++i) block += literal("x-a", std::string(10000, 'x'));
  ASSERT_TRUE(raw(opening() + frame(kHeaders, kEndStream, 1, block.substr(0, 16000)) +
                  frame(kContinuation, 0, 1, block.substr(16000, 16000)) +
                  frame(kContinuation, 0, 1, block.substr(32000, 16000)) +
                  frame(kContinuation, kEndHeaders, 1, block.substr(48000))));
  ASSERT_EQ(requests_.size(), 1U);
  EXPECT_FALSE(requests_[0]->head_too_large());
  std::string many = request_block("a.test");
  for (std::size_t i = 0; i < kMaxFields; ++i) many += literal("x", "y");
  ASSERT_TRUE(raw(frame(kHeaders, kEndStream | kEndHeaders, 3, many)));
  ASSERT_EQ(requests_.size(), 2U);
  EXPECT_TRUE(requests_[1]->head_too_large());
}

// T109: a value of 4 KiB in the table, then thousands of references to it of one byte each.
TEST_F(Http2Sessions, DoNotUnpackABomb) {
  const std::string value(3900, 'x');
  std::string indexed = "\x40\x01x\x7f";
  std::size_t rest = value.size() - 127;
  for (; rest >= 128; rest /= 128) indexed += static_cast<char>(rest % 128 + 128);
  indexed += static_cast<char>(rest);
  indexed += value;
  const std::string references(12000, '\xbe');
  ASSERT_TRUE(
      raw(opening() + frame(kHeaders, kEndStream | kEndHeaders, 1, request_block("a.test") + indexed + references)));
  EXPECT_TRUE(requests_.empty());
  EXPECT_THAT(said(), HasSubstr(frame(kRst, 0, 1, u32(kInternalError))));
  ASSERT_TRUE(raw(get(3, "a.test")));
  EXPECT_EQ(requests_.size(), 1U);
}

// T109
TEST_F(Http2Sessions, EndAtMalformedCompression) {
  const std::string cases[] = {
      std::string(1, '\x80'),                           // index 0
      std::string("\xff\xff\xff\xff\xff\xff\xff\x7f"),  // an integer out of range
      std::string(1, '\xbe'),                           // beyond the table
      std::string("\x10\x81\xff\x00", 4),               // Huffman padding of eight bits
      std::string("\x3f\xe2\x7f"),                      // a table larger than allowed
  };
  for (const auto& block : cases) {
    Session server(Role::kServer, {});
    const std::string bytes = opening() + frame(kHeaders, kEndStream | kEndHeaders, 1, block);
    (void)server.receive(base::as_bytes(bytes), net::Clock::now());
    std::string out;
    server.collect(out, kAll);
    EXPECT_THAT(out, HasSubstr(u32(9))) << block.size();  // COMPRESSION_ERROR
    EXPECT_TRUE(server.over());
  }
}

// T108
TEST_F(Http2Sessions, EndAfterTooManyRapidResets) {
  ASSERT_TRUE(raw(opening()));
  std::uint32_t id = 1;
  for (; raw(get(id, "a.test") + frame(kRst, 0, id, u32(8))); id += 2) {
    (void)said();
    ASSERT_LT(id, 10000U);
  }
  EXPECT_THAT(said(), HasSubstr(u32(kEnhanceYourCalm)));
  EXPECT_TRUE(server_.over());
  EXPECT_FALSE(raw(get(id, "a.test")));
}

// T108
TEST_F(Http2Sessions, EndAfterTooManyResetsThatWereProvoked) {
  ASSERT_TRUE(raw(opening()));
  std::uint32_t id = 1;
  while (raw(get(id, "a.test") + frame(kWindowUpdate, 0, id, u32(0x7fffffffU)))) {
    (void)said();
    id += 2;
    ASSERT_LT(id, 10000U);
  }
  EXPECT_GT(id, kResetBurst);
  EXPECT_TRUE(server_.over() || !said().empty());
}

// T107
TEST_F(Http2Sessions, RefuseMoreStreamsThanAreOffered) {
  ASSERT_TRUE(raw(opening()));
  for (std::uint32_t i = 0; i < kMaxStreams; ++i) ASSERT_TRUE(raw(get(2 * i + 1, "a.test")));
  (void)said();
  ASSERT_TRUE(raw(get(2 * kMaxStreams + 1, "a.test")));
  EXPECT_THAT(said(), HasSubstr(frame(kRst, 0, 2 * kMaxStreams + 1, u32(kRefusedStream))));
  EXPECT_EQ(requests_.size(), kMaxStreams);
}

TEST_F(Http2Sessions, TreatAPushAsAnError) {
  Session client(Role::kClient, {});
  const auto asked = client.request(get_request(), nullptr);
  std::string out;
  client.collect(out, kAll);
  const std::string bytes =
      frame(kSettings, 0, 0) + frame(kSettings, 1, 0) + frame(kPush, kEndHeaders, 1, u32(2) + request_block("a.test"));
  (void)client.receive(base::as_bytes(bytes), net::Clock::now());
  out.clear();
  client.collect(out, kAll);
  EXPECT_THAT(out, HasSubstr(std::string("\0\0\0\x01", 4)));  // PROTOCOL_ERROR
  EXPECT_TRUE(client.over());
}

TEST_F(Http2Sessions, BoundInterimResponses) {
  const auto asked = client_.request(get_request(), nullptr);
  exchange();
  for (int i = 0; i < kMaxInterim + 1; ++i) requests_.at(0)->send_interim({{":status", "103"}});
  exchange();
  EXPECT_TRUE(asked->closed());
}

}  // namespace
}  // namespace soleroute::gateway::http2
