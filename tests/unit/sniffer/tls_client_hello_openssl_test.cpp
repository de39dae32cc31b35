// The ClientHello parser beside OpenSSL: on hellos that OpenSSL's client wrote, and on changed ones that its server
// reads.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "sniffer/tls_client_hello.h"
#include "tests/support/client_hello.h"

namespace soleroute::sniffer {
namespace {

using namespace testing::tls;
using Random = std::mt19937;

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Free<SSL_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;

std::size_t below(Random& random, std::size_t bound) {
  return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
}

std::string random_name(Random& random) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  std::string name;
  for (std::size_t label = 0; label < 1 + below(random, 4); ++label) {
    for (std::size_t i = 0; i < 1 + below(random, 20); ++i) name += kLetters[below(random, kLetters.size())];
    name += '.';
  }
  return name + "test";
}

std::string lowered(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

// What OpenSSL's client sends first.
std::string client_bytes(SSL* client) {
  SSL_set_connect_state(client);
  SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_do_handshake(client);
  char* data = nullptr;
  const long size = BIO_get_mem_data(SSL_get_wbio(client), &data);
  return {data, static_cast<std::size_t>(size)};
}

struct Written {
  std::string bytes;
  std::string name;  // empty: none
  std::vector<std::string> alpn;
  bool tls13 = false;
};

Written write_hello(SSL_CTX* context, Random& random) {
  const std::vector<std::vector<std::string>> kAlpn = {{}, {"h2", "http/1.1"}, {"http/1.1"}, {"dot", "acme-tls/1"}};
  std::vector<std::string> groups = {"X25519", "P-256:X25519", "P-521", "X448:P-384", "ffdhe3072:X25519"};
  Written written;
  const Session client(SSL_new(context));
  written.alpn = kAlpn[below(random, kAlpn.size())];
  std::string list;
  for (const auto& protocol : written.alpn) list += sized(protocol, 1);
  SSL_set_alpn_protos(client.get(), reinterpret_cast<const unsigned char*>(list.data()),
                      static_cast<unsigned>(list.size()));
  EXPECT_EQ(SSL_set1_groups_list(client.get(), groups[below(random, groups.size())].data()), 1);
  written.tls13 = below(random, 4) != 0;
  SSL_set_max_proto_version(client.get(), written.tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  if (below(random, 5) != 0) {
    written.name = random_name(random);
    EXPECT_EQ(SSL_set_tlsext_host_name(client.get(), written.name.data()), 1);
  }
  written.bytes = client_bytes(client.get());
  return written;
}

TEST(TlsClientHelloBesideOpenssl, ReadsWhatItsClientWrites) {
  const Context context(SSL_CTX_new(TLS_client_method()));
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    const Written written = write_hello(context.get(), random);
    const auto parsed = parse_client_hello(base::as_bytes(written.bytes));
    ASSERT_TRUE(parsed.complete()) << written.name << ": "
                                   << (parsed.malformed() ? parsed.fault().reason : "need more");
    const auto& hello = parsed.value();
    EXPECT_EQ(hello.server_name ? hello.server_name->text() : "", lowered(written.name));
    EXPECT_EQ(hello.alpn, written.alpn);
    EXPECT_EQ(hello.offers_tls13, written.tls13);
    EXPECT_EQ(hello.size, written.bytes.size());
  }
}

// An OpenSSL server that tells which name a hello gave it.
class Server {
 public:
  Server()
      : context_(SSL_CTX_new(TLS_server_method())),
        key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")),
        certificate_(X509_new()) {
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate_.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate_.get()), 3600);
    X509_set_pubkey(certificate_.get(), key_.get());
    X509_sign(certificate_.get(), key_.get(), EVP_sha256());
    SSL_CTX_use_certificate(context_.get(), certificate_.get());
    SSL_CTX_use_PrivateKey(context_.get(), key_.get());
    SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_security_level(context_.get(), 0);
    SSL_CTX_set_tlsext_servername_callback(context_.get(), &Server::take_name);
    SSL_CTX_set_tlsext_servername_arg(context_.get(), this);
  }

  // Nothing: refused, or not whole. Otherwise the name as the application sees it; empty: none.
  std::optional<std::string> read(const std::string& bytes) {
    asked_ = false;
    name_.clear();
    const Session session(SSL_new(context_.get()));
    SSL_set_accept_state(session.get());
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());
    BIO_write(in, bytes.data(), static_cast<int>(bytes.size()));
    SSL_set_bio(session.get(), in, out);
    SSL_do_handshake(session.get());
    ERR_clear_error();
    char* sent = nullptr;
    const long size = BIO_get_mem_data(out, &sent);
    const bool answered = size > 0 && sent[0] == 22;  // a ServerHello: the hello was accepted
    if (!answered) return std::nullopt;
    return name_;
  }

 private:
  static int take_name(SSL* session, int* alert, void* self) {
    (void)alert;
    auto* const server = static_cast<Server*>(self);
    server->asked_ = true;
    const char* const name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
    if (name != nullptr) server->name_ = name;
    return SSL_TLSEXT_ERR_OK;
  }

  Context context_;
  Key key_;
  Certificate certificate_;
  std::string name_;
  bool asked_ = false;
};

// What OpenSSL leaves to the application and this parser makes canonical.
std::string canonical(std::string name) {
  name = lowered(std::move(name));
  if (name.ends_with('.')) name.pop_back();
  return name;
}

struct Tally {
  int both = 0;
  int neither = 0;
  int only_openssl = 0;
  int only_here = 0;
};

// The property: whenever OpenSSL accepts and has name N, this parser has N or refuses.
void compare(Server& server, const std::string& bytes, Tally& tally) {
  const auto theirs = server.read(bytes);
  const auto ours = parse_client_hello(base::as_bytes(bytes));
  const bool complete = ours.complete();
  (theirs ? (complete ? tally.both : tally.only_openssl) : (complete ? tally.only_here : tally.neither)) += 1;
  if (!theirs || !complete) return;
  const auto& name = ours.value().server_name;
  ASSERT_EQ(name ? name->text() : "", canonical(*theirs));
}

std::string mutated(std::string bytes, Random& random) {
  for (std::size_t change = 0; change < 1 + below(random, 3); ++change) {
    const std::size_t at = below(random, bytes.size());
    switch (below(random, 4)) {
      case 0:
        bytes[at] = static_cast<char>(below(random, 256));
        break;
      case 1:
        bytes.erase(at, 1 + below(random, 4));
        break;
      case 2:
        bytes.insert(at, std::string(1 + below(random, 3), static_cast<char>(below(random, 256))));
        break;
      default:
        bytes[at] = static_cast<char>(bytes[at] ^ 1 << below(random, 8));
        break;
    }
    if (bytes.empty()) return bytes;
  }
  return bytes;
}

TEST(TlsClientHelloBesideOpenssl, NeverReadsAnotherNameThanItsServer) {
  const Context context(SSL_CTX_new(TLS_client_method()));
  Server server;
  Random random(2);
  Tally tally;
  for (int round = 0; round < 100; ++round) {
    const std::string bytes = write_hello(context.get(), random).bytes;
    compare(server, bytes, tally);
    compare(server, records(bytes.substr(5), 1 + below(random, 300)), tally);
    for (int i = 0; i < 40; ++i) compare(server, mutated(bytes, random), tally);
  }
  EXPECT_GT(tally.both, 500);
  EXPECT_GT(tally.neither, 1000);
  RecordProperty("only_openssl", tally.only_openssl);
}

// A change of one byte at every place.
TEST(TlsClientHelloBesideOpenssl, AgreesOnEverySingleByteChange) {
  Server server;
  Tally tally;
  const std::string bytes = ordinary("allowed.test");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int delta : {1, 2, 3, 4, 5, 16, 32, 64, 128, 251, 255}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] + delta);
      compare(server, changed, tally);
    }
  }
  EXPECT_GT(tally.both, 1000);
}

// Where this parser refuses what OpenSSL 3.0 accepts, and why. A change of either side shows here.
TEST(TlsClientHelloBesideOpenssl, IsStricterOnlyWhereListed) {
  Server server;
  const std::string usual = usual_extensions();
  const std::string good = server_name("allowed.test") + usual;
  const auto empties = [](std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += record("");
    return out;
  };
  HelloParts two_methods;
  two_methods.compressions = "\x01\0"s;
  struct Case {
    std::string why;
    std::string bytes;
    bool openssl;
    bool here;
  };
  const std::vector<Case> cases = {
      {"control", record(hello(good)), true, true},
      {"one empty record before", empties(1) + record(hello(good)), true, true},
      {"32 empty records before", empties(32) + record(hello(good)), true, true},
      {"33 empty records before", empties(33) + record(hello(good)), false, false},
      {"an unknown extension twice: RFC 8446 section 4.2 forbids it",
       record(hello(good + extension(0x1234, "") + extension(0x1234, ""))), true, false},
      {"an IP literal: RFC 6066 section 3 forbids it", record(hello(server_name("45.33.32.66") + usual)), true, false},
      {"an empty name", record(hello(server_name("") + usual)), true, false},
      {"bytes that no host name has", record(hello(server_name("allowed.test/x") + usual)), true, false},
      {"two names", record(hello(server_names({{"allowed.test"}, {"denied.test"}}) + usual)), false, false},
      {"a NUL in the name", record(hello(server_name("allowed.test\0"s) + usual)), false, false},
      {"a second message in the record: RFC 8446 section 5.1", record(hello(good) + hello(good)), false, false},
      {"14 KiB before the name", record(hello(padding(14336) + good)), true, true},
      {"record version 3.4", record(hello(good), 22, "\x03\x04"), true, true},
      {"record version 0x7f00", record(hello(good), 22, "\x7f\0"s), false, false},
      {"a warning alert before", record("\x01\x5a", 21) + record(hello(good)), false, false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(server.read(c.bytes).has_value(), c.openssl) << c.why;
    EXPECT_EQ(parse_client_hello(base::as_bytes(c.bytes)).complete(), c.here) << c.why;
  }
}

}  // namespace
}  // namespace soleroute::sniffer
