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
  bool raw(const std::string& bytes) {
    return server_.receive(base::as_bytes(bytes), net::Clock::now()) == Session::Received::kSound;
  }
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

// As clients that use nghttp2 take an origin's fields; a client's own are as strict as before.
TEST_F(Http2Sessions, CleanTheFieldsOfOriginsAndRefuseThoseOfClients) {
  const auto asked = client_.request(get_request(), nullptr);
  exchange();
  requests_.at(0)->respond(
      {{":status", "200"}, {"x-a", " a b\t"}, {"x-b", " \t"}, {"x-c", "a\001b"}, {"x d", "e"}, {"x-e", "f"}}, nullptr);
  exchange();
  EXPECT_EQ(asked->head(), (Fields{{":status", "200"}, {"x-a", "a b"}, {"x-b", ""}, {"x-e", "f"}}));
  for (const Field& field : {Field{"x-a", " a"}, Field{"x-a", "a "}, Field{"x-c", "a\001b"}}) {
    Fields wrong = get_request();
    wrong.push_back(field);
    const auto refused = client_.request(wrong, nullptr);
    exchange();
    EXPECT_TRUE(refused->closed()) << field.name << ": " << field.value;
    EXPECT_EQ(requests_.size(), 1U);
  }
}

TEST_F(Http2Sessions, BoundInterimResponses) {
  const auto asked = client_.request(get_request(), nullptr);
  exchange();
  for (int i = 0; i < kMaxInterim + 1; ++i) requests_.at(0)->send_interim({{":status", "103"}});
  exchange();
  EXPECT_TRUE(asked->closed());
}

// --- What is held for a client.

class Accounted : public Http2Sessions {
 protected:
  Accounted() {
    server_.account_to(buffers_);
    client_.account_to(account_->of(base::IpAddress::parse("10.0.0.2").value()));
  }
  // All that the server holds for its client and, as a client, the client for its own.
  [[nodiscard]] std::size_t held() const { return account_->held(); }

  std::shared_ptr<net::BufferAccount> account_ = std::make_shared<net::BufferAccount>(net::BufferLimits{});
  std::shared_ptr<net::ClientBuffers> buffers_ = account_->of(base::IpAddress::parse("10.0.0.1").value());
};

constexpr std::size_t kPad = 50000;

// T220: a trailer counts on top of the head, and does not take its place.
TEST_F(Accounted, TrailersCountBesideTheHead) {
  auto fields = get_request();
  fields.push_back({"x-pad", std::string(kPad, 'p')});
  auto upload = std::make_shared<Body>();
  const auto asked = client_.request(fields, upload);
  exchange();
  const std::size_t head = buffers_->held();
  EXPECT_GE(head, kPad);
  upload->finish({{"x-t", "y"}});
  exchange();
  EXPECT_TRUE(requests_.at(0)->received()->finished());
  EXPECT_GE(buffers_->held(), head);
  EXPECT_LT(buffers_->held(), head + 1000);
}

TEST_F(Accounted, ATrailerOfTheSizeOfAHeadCountsAsMuch) {
  auto upload = std::make_shared<Body>();
  const auto asked = client_.request(get_request(), upload);
  upload->finish({{"x-pad", std::string(kPad, 'p')}});
  exchange();
  EXPECT_GE(buffers_->held(), held_for(kPad));
  EXPECT_LT(buffers_->held(), 2 * held_for(kPad));
}

TEST_F(Accounted, InterimAnswersCountUntilTheyAreTaken) {
  const auto asked = client_.request(get_request(), nullptr);
  exchange();
  const std::size_t before = held();
  for (int i = 0; i < 3; ++i) requests_.at(0)->send_interim({{":status", "103"}, {"link", std::string(kPad, 'l')}});
  EXPECT_GE(held(), before + 3 * kPad) << "not sent yet";
  exchange();
  EXPECT_GE(held(), before + held_for(3 * kPad));
  EXPECT_EQ(asked->take_interim().size(), 3U);
  EXPECT_EQ(held(), before);
}

TEST_F(Accounted, AnswersThatAreNotSentCount) {
  const auto asked = client_.request(get_request(), nullptr);
  exchange();
  const std::size_t before = buffers_->held();
  requests_.at(0)->respond({{":status", "200"}, {"x-pad", std::string(kPad, 'p')}}, nullptr);
  EXPECT_GE(buffers_->held(), before + kPad);
  exchange();
  EXPECT_LE(buffers_->held(), before);
}

TEST_F(Accounted, NothingIsHeldWhenAllIsOver) {
  auto fields = get_request();
  fields.push_back({"x-pad", std::string(kPad, 'p')});
  std::vector<std::shared_ptr<Stream>> asked;
  for (int i = 0; i < 6; ++i) {
    auto upload = body(std::string(30000, 'u'));
    if (i % 2 == 0) {
      upload = std::make_shared<Body>();
      upload->append(base::as_bytes(std::string(30000, 'u')));
      upload->finish({{"x-sum", std::string(2000, 's')}});
    }
    asked.push_back(client_.request(fields, upload));
  }
  exchange();
  ASSERT_EQ(requests_.size(), 6U);
  EXPECT_GT(held(), 6 * held_for(kPad));
  for (std::size_t i = 0; i < 6; ++i) {
    auto answer = std::make_shared<Body>();
    answer->account_to(buffers_);
    answer->append(base::as_bytes(std::string(100000, 'a')));
    if (i != 3) answer->finish({{"grpc-status", "0"}});
    requests_[i]->send_interim({{":status", "103"}, {"link", "</a>"}});
    requests_[i]->respond({{":status", "200"}, {"x-pad", std::string(kPad, 'p')}}, answer);
    requests_[i]->received()->consume(i * 5000);  // in part
  }
  exchange();
  asked[1]->received()->consume(50000);
  (void)taken(*asked[2]->received());
  asked[4]->reset(kCancel);
  requests_[5]->reset(kInternalError);
  exchange();
  client_.disconnected();
  server_.disconnected();
  requests_.clear();
  asked.clear();
  EXPECT_EQ(held(), 0U);
}

// T221: what counts is the storage of a body, and it shrinks with what is in it.
TEST(Bodies, CountTheirStorageAndLetGoOfIt) {
  const auto account = std::make_shared<net::BufferAccount>(net::BufferLimits{});
  Body body;
  body.account_to(account->of(base::IpAddress::parse("10.0.0.1").value()));
  const std::string piece(1000, 'x');
  std::string all;
  for (int i = 0; i < 262; ++i) {
    body.append(base::as_bytes(piece));
    all += piece;
  }
  EXPECT_GE(account->held(), all.size());
  EXPECT_GE(account->held(), all.capacity()) << "it grows as strings do";
  body.consume(all.size() - 100);
  EXPECT_EQ(body.size(), 100U);
  EXPECT_GE(account->held(), 100U);
  EXPECT_LT(account->held(), 200U);
  body.append(base::as_bytes(piece));
  EXPECT_EQ(base::as_text(body.bytes()), std::string(1100, 'x'));
  body.consume(1100);
  EXPECT_EQ(account->held(), 0U);
}

// T223: what memory waits for is read on; what would take more is not.
TEST_F(Accounted, AStreamThatSendsMoreWhereNoneMayIsResetAndOthersGoOn) {
  auto upload = std::make_shared<Body>();
  const auto asked = client_.request(get_request(), upload);
  const auto other = client_.request(get_request(), nullptr);
  exchange();
  upload->append(base::as_bytes(std::string(20000, 'u')));
  exchange();
  server_.refuse_data(true);
  upload->append(base::as_bytes(std::string(10, 'u')));
  upload->finish();
  exchange();
  EXPECT_TRUE(asked->closed());
  EXPECT_EQ(asked->error_code(), kEnhanceYourCalm);
  EXPECT_EQ(requests_.at(0)->received()->size(), 20000U) << "what comes is let go of";
  EXPECT_FALSE(requests_[0]->received()->finished()) << "cut short, it never passes for whole";
  EXPECT_TRUE(requests_[0]->received()->aborted());
  requests_.at(1)->respond({{":status", "200"}}, body("fine"));
  exchange();
  EXPECT_EQ(taken(*other->received()), "fine");
  server_.refuse_data(false);
  const auto later = client_.request(get_request(), body("again"));
  exchange();
  EXPECT_EQ(taken(*requests_.at(2)->received()), "again");
}

}  // namespace
}  // namespace soleroute::gateway::http2
