// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/origin_tls.h"

#include <gmock/gmock.h>
#include <openssl/ocsp.h>

#include <future>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/await.h"
#include "tests/support/socket_pair.h"
#include "tests/support/tls_peer.h"

namespace soleroute::gateway::inspect {
namespace {

using test::TlsPeer;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing::Issued;
using ::testing::StartsWith;
using testing::TestAuthority;
using testing::Wanted;

class OriginCertificates : public ::testing::Test {
 protected:
  // What comes of connecting to a server with this context: "" or the fault. `heard`: did it see a byte of a request?
  std::string fault_with(SSL_CTX* server, const std::string& name = "allowed.test",
                         const std::function<void(TlsPeer&)>& then = {}) {
    auto [far, near] = test::tcp_pair();
    auto served = std::async(std::launch::async, [&, fd = std::make_shared<base::Fd>(std::move(far))] {
      TlsPeer peer(std::move(*fd), server);
      if (peer.accept() && then) then(peer);
      heard_ = peer.rest();
    });
    std::string out;
    {
      auto below = std::make_unique<net::TcpStream>(io_, wheel_, std::move(near));
      below->expires_after(std::chrono::seconds(20));
      auto task = tls_->connect(std::move(below), base::HostName::parse(name).value(), {"http/1.1"}, sessions_);
      auto connected = testing::await(io_, std::move(task));
      if (!connected) out = connected.error().message;
      if (connected) resumed_ = (*connected)->resumed();
      if (connected && then) last_read_ = read(**connected);
      if (connected) (*connected)->shutdown_send();
    }
    served.get();
    return out;
  }
  std::string fault_of(const Issued& issued, X509* intermediate = nullptr) {
    const auto context = test::server_context(issued, intermediate);
    return fault_with(context.get());
  }
  std::string read(TlsStream& stream) {
    std::vector<std::byte> into(100);
    auto count = testing::await(io_, stream.read_some(into));
    return count ? std::string(base::as_text(std::span(into).first(*count))) : count.error().message;
  }
  static Wanted sound() { return {.common_name = "origin", .alternative_names = "DNS:allowed.test"}; }

  boost::asio::io_context io_{1};
  net::DeadlineWheel wheel_{io_};
  TestAuthority root_{"Test root"};
  std::shared_ptr<const OriginTls> tls_ = OriginTls::make(root_.pem()).value();
  std::shared_ptr<OriginSessions> sessions_ = std::make_shared<OriginSessions>();
  std::string heard_;
  std::string last_read_;
  bool resumed_ = false;
};

// T113
TEST_F(OriginCertificates, AreRefusedForWhatIsWrongWithThem) {
  const TestAuthority stranger("Nobody's root");
  const TestAuthority middle(root_, TestAuthority::as_authority("Middle"));
  Wanted constrained = TestAuthority::as_authority("Narrow");
  constrained.name_constraints = "critical,permitted;DNS:elsewhere.test";
  const TestAuthority narrow(root_, constrained);
  const auto with = [&](auto change) {
    Wanted wanted = sound();
    change(wanted);
    return root_.issue(wanted);
  };
  EXPECT_EQ(fault_of(root_.issue(sound())), "") << "the control";
  EXPECT_EQ(fault_of(middle.issue(sound()), middle.certificate()), "") << "the control with an intermediate";

  EXPECT_THAT(fault_of(with([](Wanted& w) { w.until = -testing::kDay / 2; })),
              StartsWith("allowed.test: its certificate expired on 20"));
  EXPECT_THAT(fault_of(with([](Wanted& w) { w.from = testing::kDay; })),
              StartsWith("allowed.test: its certificate is not valid before 20"));
  EXPECT_THAT(fault_of(TestAuthority::lonely(sound())), HasSubstr("its certificate is self-signed"));
  EXPECT_THAT(fault_of(stranger.issue(sound())), HasSubstr("was issued by \"Nobody's root\", which is unknown here"));
  EXPECT_THAT(fault_of(stranger.issue(sound()), stranger.certificate()),
              HasSubstr("chain ends at the root \"Nobody's root\", which is not trusted"));
  EXPECT_THAT(fault_of(middle.issue(sound())), HasSubstr("was issued by \"Middle\""));
  EXPECT_THAT(fault_of(with([](Wanted& w) { w.digest = EVP_sha1(); })), HasSubstr("too weak"));
  EXPECT_THAT(fault_of(with([](Wanted& w) {
                w.rsa_bits = 1024;
                w.usage = "digitalSignature,keyEncipherment";
              })),
              HasSubstr("has a key that is too small"));
  EXPECT_THAT(fault_of(with([](Wanted& w) { w.extended_usage = "clientAuth"; })), HasSubstr("is not one for servers"));
  EXPECT_THAT(fault_of(with([](Wanted& w) { w.basic_constraints = "critical,CA:TRUE"; })),
              HasSubstr("is not one for servers"));
  EXPECT_THAT(fault_of(narrow.issue(sound()), narrow.certificate()), HasSubstr("its issuer may not vouch for"));
}

// T114
TEST_F(OriginCertificates, MustNameTheHost) {
  const auto named = [&](const std::string& names, const std::string& common = "allowed.test") {
    return root_.issue({.common_name = common, .alternative_names = names});
  };
  EXPECT_EQ(fault_of(named("DNS:other.test")), "allowed.test: its certificate is for other.test, not for allowed.test");
  EXPECT_THAT(fault_of(named("")), HasSubstr("its certificate is for no host name")) << "a common name is none";
  EXPECT_THAT(fault_of(named("DNS:*.test")), HasSubstr("is for *.test, not for"));
  EXPECT_THAT(fault_of(named("DNS:*.allowed.test")), HasSubstr("is for *.allowed.test"));
  EXPECT_THAT(fault_of(named("URI:https://allowed.test/, IP:127.0.0.1")), HasSubstr("is for no host name"));
  const auto wild = [&](const std::string& pattern, const std::string& host) {
    const auto context = test::server_context(named("DNS:" + pattern));
    return fault_with(context.get(), host);
  };
  EXPECT_EQ(wild("*.wild.test", "a.wild.test"), "") << "the control";
  EXPECT_THAT(wild("*.wild.test", "a.b.wild.test"), HasSubstr("not for a.b.wild.test"));
  EXPECT_THAT(wild("*.*.wild.test", "a.b.wild.test"), HasSubstr("not for a.b.wild.test"));
  EXPECT_THAT(wild("x*.wild.test", "xn--80a.wild.test"), HasSubstr("not for xn--80a.wild.test"));
  EXPECT_THAT(wild("x*.wild.test", "xy.wild.test"), HasSubstr("not for xy.wild.test"));
}

// Names with a '_', which browsers and curl take below a star as any other.
TEST_F(OriginCertificates, MayNameAHostWithAnUnderscoreByAStar) {
  const auto wild = [&](const std::string& names, const std::string& host) {
    const auto context =
        test::server_context(root_.issue({.common_name = "x", .alternative_names = "DNS:wild.test, DNS:" + names}));
    return fault_with(context.get(), host);
  };
  EXPECT_EQ(wild("*.wild.test", "a_b.wild.test"), "");
  EXPECT_EQ(wild("*.WILD.test", "_a.wild.test"), "");
  EXPECT_EQ(wild("a_b.wild.test", "a_b.wild.test"), "") << "the control, by its name";
  EXPECT_THAT(wild("*.wild.test", "a_b.c.wild.test"), HasSubstr("not for a_b.c.wild.test"));
  EXPECT_THAT(wild("*.other.test", "a_b.wild.test"), HasSubstr("not for a_b.wild.test"));
  EXPECT_THAT(wild("a-b.wild.test", "a_b.wild.test"), HasSubstr("not for a_b.wild.test"));
  EXPECT_THAT(wild("x*.wild.test", "x_b.wild.test"), HasSubstr("not for x_b.wild.test"));
  const TestAuthority stranger("Nobody's root");
  const Issued unknown = stranger.issue({.common_name = "x", .alternative_names = "DNS:*.wild.test"});
  const auto context = test::server_context(unknown);
  EXPECT_THAT(fault_with(context.get(), "a_b.wild.test"), HasSubstr("which is unknown here"));
}

TEST_F(OriginCertificates, WithNulInANameAreForTheWholeName) {
  Issued issued = root_.issue(sound());
  const std::string evil("allowed.test\0.evil.test", 23);
  GENERAL_NAMES* names = sk_GENERAL_NAME_new_null();
  GENERAL_NAME* name = GENERAL_NAME_new();
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  ASN1_STRING_set(text, evil.data(), static_cast<int>(evil.size()));
  GENERAL_NAME_set0_value(name, GEN_DNS, text);
  sk_GENERAL_NAME_push(names, name);
  const TestAuthority own("Own");
  issued = TestAuthority::lonely({.common_name = "x"});
  X509_add1_ext_i2d(issued.certificate.get(), NID_subject_alt_name, names, 0, X509V3_ADD_APPEND);
  X509_sign(issued.certificate.get(), issued.key.get(), EVP_sha256());
  GENERAL_NAMES_free(names);
  tls_ = OriginTls::make(TestAuthority::pem_of(issued.certificate.get())).value();
  EXPECT_THAT(fault_of(issued), HasSubstr("is for allowed.test?.evil.test, not for allowed.test"));
}

// T113: an answer for the very certificate, by its issuer or by somebody else.
std::string ocsp_answer(const Issued& issued, X509* issuer, int status, X509* signer, EVP_PKEY* key) {
  OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
  OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), issued.certificate.get(), issuer);
  ASN1_TIME* now = X509_gmtime_adj(nullptr, -60);
  ASN1_TIME* later = X509_gmtime_adj(nullptr, 3600);
  const bool revoked = status == V_OCSP_CERTSTATUS_REVOKED;
  OCSP_basic_add1_status(basic, id, status, 0, revoked ? now : nullptr, now, later);
  OCSP_basic_sign(basic, signer, key, EVP_sha256(), nullptr, 0);
  OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
  unsigned char* bytes = nullptr;
  const int size = i2d_OCSP_RESPONSE(response, &bytes);
  std::string out(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  OCSP_RESPONSE_free(response);
  ASN1_TIME_free(now);
  ASN1_TIME_free(later);
  OCSP_CERTID_free(id);
  OCSP_BASICRESP_free(basic);
  return out;
}

int staple(SSL* ssl, void* answer) {
  const auto& text = *static_cast<const std::string*>(answer);
  auto* copy = static_cast<unsigned char*>(OPENSSL_memdup(text.data(), text.size()));
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<int>(text.size()));
  return SSL_TLSEXT_ERR_OK;
}

TEST_F(OriginCertificates, ThatBringAnAnswerThatTheyAreRevokedAreRefused) {
  const Issued issued = root_.issue(sound());
  const TestAuthority stranger("Nobody's root");
  const auto context = test::server_context(issued);
  const auto fault_with_answer = [&](int status, const TestAuthority& signer) {
    std::string answer = ocsp_answer(issued, root_.certificate(), status, signer.certificate(), signer.key());
    SSL_CTX_set_tlsext_status_cb(context.get(), staple);
    SSL_CTX_set_tlsext_status_arg(context.get(), &answer);
    sessions_ = std::make_shared<OriginSessions>();
    return fault_with(context.get());
  };
  EXPECT_EQ(fault_with_answer(V_OCSP_CERTSTATUS_GOOD, root_), "") << "the control";
  EXPECT_THAT(fault_with_answer(V_OCSP_CERTSTATUS_REVOKED, root_), HasSubstr("its certificate is revoked"));
  EXPECT_EQ(fault_with_answer(V_OCSP_CERTSTATUS_REVOKED, stranger), "") << "not its issuer's word";
}

TEST_F(OriginCertificates, OfTlsThatIsTooOldAreNotLookedAt) {
  const auto context = test::server_context(root_.issue(sound()));
  SSL_CTX_set_max_proto_version(context.get(), TLS1_1_VERSION);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
  EXPECT_EQ(fault_with(context.get()), "allowed.test: it speaks no TLS 1.2 or newer");
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  EXPECT_EQ(fault_with(context.get()), "") << "the control";
}

TEST_F(OriginCertificates, NothingIsSentBeforeTheyAreVerified) {
  EXPECT_NE(fault_of(TestAuthority::lonely(sound())), "");
  EXPECT_THAT(heard_, AnyOf("", "<cut>"));
}

TEST_F(OriginCertificates, AClientCertificateThatIsWantedIsSaidToBeMissing) {
  for (const int newest : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto context = test::server_context(root_.issue(sound()));
    SSL_CTX_set_max_proto_version(context.get(), newest);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    last_read_.clear();
    const std::string fault = fault_with(context.get(), "allowed.test", [](TlsPeer&) {});
    // In TLS 1.3 the client is up before the server has looked.
    EXPECT_EQ(fault.empty(), newest == TLS1_3_VERSION);
    EXPECT_THAT(fault + last_read_, AllOf(HasSubstr("it wants a client certificate"), HasSubstr("tls: passthrough")));
  }
}

TEST_F(OriginCertificates, SessionsAreResumedForTheirNameAlone) {
  const auto context =
      test::server_context(root_.issue({.common_name = "x", .alternative_names = "DNS:allowed.test, DNS:other.test"}));
  SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>("x"), 1);
  const auto greet = [](TlsPeer& peer) { peer.send("hello"); };
  for (const int newest : {TLS1_3_VERSION, TLS1_2_VERSION}) {
    SSL_CTX_set_max_proto_version(context.get(), newest);
    sessions_ = std::make_shared<OriginSessions>();
    EXPECT_EQ(fault_with(context.get(), "allowed.test", greet), "");
    EXPECT_EQ(last_read_, "hello");
    EXPECT_FALSE(resumed_);
    EXPECT_EQ(fault_with(context.get(), "other.test", greet), "");
    EXPECT_FALSE(resumed_);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(fault_with(context.get(), "allowed.test", greet), "");
      EXPECT_TRUE(resumed_);
    }
  }
}

TEST(OriginRoots, AreCertificatesOrAnError) {
  EXPECT_FALSE(OriginTls::make("not a certificate\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
  EXPECT_TRUE(OriginTls::make(""));
  EXPECT_TRUE(OriginTls::make(TestAuthority("a").pem() + "\n# and\n" + TestAuthority("b").pem()));
}

}  // namespace
}  // namespace soleroute::gateway::inspect
