// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/origin_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <span>
#include <utility>

#include "gateway/inspect/certificate_fault.h"
#include "gateway/inspect/certificate_names.h"
#include "gateway/inspect/revocation.h"

namespace soleroute::gateway::inspect {
namespace {

namespace asio = boost::asio;
using Kind = HandshakeFault::Kind;

// Symmetric strength of 112 bits: RSA from 2048, no SHA-1.
constexpr int kSecurityLevel = 2;

// RFC 8446 section 6.2.
enum Alert : std::uint8_t {
  kHandshakeFailure = 40,
  kBadCertificate = 42,
  kProtocolVersion = 70,
  kUnrecognizedName = 112,
  kCertificateRequired = 116,
  kNoApplicationProtocol = 120
};

// What OpenSSL's callbacks need to know of one connection, and find out.
struct Connecting {
  std::optional<base::HostName> name;        // none: an address is expected
  std::string shown;                         // name or address
  std::shared_ptr<OriginSessions> sessions;  // null: none are kept
  std::string certificate_fault{};
  bool asked_for_certificate = false;
};

Connecting& of(const SSL* ssl) {
  return *static_cast<Connecting*>(SSL_get_app_data(ssl));
}

// A certificate of a CA is not one of a server, unless it is trusted as it stands (RFC 5280 section 4.2.1.9).
bool is_authority_as_server(X509_STORE_CTX* store, X509* certificate) {
  const bool authority = (X509_get_extension_flags(certificate) & EXFLAG_CA) != 0;
  return authority && X509_STORE_CTX_get_error_depth(store) == 0 && sk_X509_num(X509_STORE_CTX_get0_chain(store)) > 1;
}

// OpenSSL's star takes no '_', browsers' and curl's does.
bool is_covered_after_all(X509_STORE_CTX* store, X509* certificate, const std::optional<base::HostName>& name) {
  return name && X509_STORE_CTX_get_error(store) == X509_V_ERR_HOSTNAME_MISMATCH &&
         X509_STORE_CTX_get_error_depth(store) == 0 && wildcard_covers_underscore(certificate, *name);
}

int on_certificate(int sound, X509_STORE_CTX* store) {
  const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  X509* certificate = X509_STORE_CTX_get_current_cert(store);
  if (sound != 1 && is_covered_after_all(store, certificate, of(ssl).name)) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  }
  if (sound == 1 && is_authority_as_server(store, certificate)) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
    sound = 0;
  }
  if (sound == 1) return 1;
  of(ssl).certificate_fault = certificate_fault(X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_error_depth(store),
                                                certificate, of(ssl).shown);
  return 0;
}

// What the origin staples to its handshake.
int on_stapled_answer(SSL* ssl, void* /*unused*/) {
  const unsigned char* bytes = nullptr;
  const long size = SSL_get_tlsext_status_ocsp_resp(ssl, &bytes);
  if (bytes == nullptr || size <= 0) return 1;
  const auto answer = std::as_bytes(std::span(bytes, static_cast<std::size_t>(size)));
  X509_STORE* roots = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
  if (!says_revoked(answer, SSL_get0_verified_chain(ssl), roots)) return 1;
  of(ssl).certificate_fault = "its certificate is revoked (stapled OCSP response)";
  return 0;
}

// Asked for one: none is given. What follows decides whether it was needed.
int on_certificate_request(SSL* ssl, X509** /*certificate*/, EVP_PKEY** /*key*/) {
  of(ssl).asked_for_certificate = true;
  return 0;
}

int on_session(SSL* ssl, SSL_SESSION* session) {
  const Connecting& connecting = of(ssl);
  if (!connecting.sessions || !connecting.name) return 0;
  connecting.sessions->keep(*connecting.name, SslSessionPtr(session));
  return 1;  // it is kept
}

// Of TLS 1.2, a session that was resumed can be resumed again and is not always offered anew.
void keep_resumed(SSL* ssl, Connecting& connecting) {
  if (!connecting.sessions || !connecting.name) return;
  if (SSL_session_reused(ssl) != 1 || SSL_version(ssl) != TLS1_2_VERSION) return;
  connecting.sessions->keep(*connecting.name, SslSessionPtr(SSL_get1_session(ssl)));
}

base::Status add_roots(X509_STORE* store, std::string_view pem) {
  const auto free_bio = [](BIO* bio) { BIO_free(bio); };
  const std::unique_ptr<BIO, decltype(free_bio)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                     free_bio);
  while (const X509Ptr root{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    if (X509_STORE_add_cert(store, root.get()) != 1) return base::system_error("cannot use a trusted root");
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) return base::system_error("a trusted root is not a PEM certificate");
  return {};
}

// As one file where there is one, read whole: a folder would be looked into in the middle of each handshake. It takes
// some 50 ms, which a start that inspects nothing should not.
void add_system_roots(SSL_CTX* context) {
  const char* named = std::getenv(X509_get_default_cert_file_env());
  for (const char* const file : {named, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                 "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"}) {
    if (file != nullptr && ::access(file, R_OK) == 0 && SSL_CTX_load_verify_file(context, file) == 1) return;
  }
  SSL_CTX_set_default_verify_paths(context);
  ERR_clear_error();
}

std::string wire_form(const std::vector<std::string>& protocols) {
  std::string out;
  for (const auto& protocol : protocols) out.append(1, static_cast<char>(protocol.size())).append(protocol);
  return out;
}

std::string sentence(const HandshakeFault& fault, const Connecting& connecting) {
  if (!connecting.certificate_fault.empty()) return connecting.certificate_fault;
  switch (fault.kind) {
    case Kind::kTimedOut:
      return "its TLS handshake took too long";
    case Kind::kClosed:
      return "it closed the connection during the TLS handshake";
    case Kind::kRefused:
      if (fault.reason == SSL_R_UNSUPPORTED_PROTOCOL) return "it speaks no TLS 1.2 or newer";
      if (fault.reason == SSL_R_WRONG_VERSION_NUMBER) return "it does not speak TLS";
      return "its TLS handshake failed: " + fault.message;
    case Kind::kAlert:
      break;
  }
  if (connecting.asked_for_certificate && (fault.alert == kHandshakeFailure || fault.alert == kBadCertificate)) {
    return kWantsClientCertificate;
  }
  switch (fault.alert) {
    case kCertificateRequired:
      return kWantsClientCertificate;
    case kProtocolVersion:
      return "it speaks no TLS 1.2 or newer";
    case kUnrecognizedName:
      return "it refused the TLS handshake: it does not know this name";
    case kNoApplicationProtocol:
      return "it refused the TLS handshake: it speaks none of the protocols that were offered";
    default:
      return "it refused the TLS handshake: " + fault.message;
  }
}

}  // namespace

base::Result<std::shared_ptr<const OriginTls>> OriginTls::make(std::string_view roots_pem) {
  SslContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) {
    return base::system_error("OpenSSL has no TLS 1.2");
  }
  SSL_CTX_set_security_level(context.get(), kSecurityLevel);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, on_certificate);
  SSL_CTX_set_tlsext_status_type(context.get(), TLSEXT_STATUSTYPE_ocsp);
  SSL_CTX_set_tlsext_status_cb(context.get(), on_stapled_answer);
  SSL_CTX_set_client_cert_cb(context.get(), on_certificate_request);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), on_session);
  X509_VERIFY_PARAM* verify = SSL_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  X509_VERIFY_PARAM_set_flags(verify, X509_V_FLAG_PARTIAL_CHAIN);  // an intermediate of --trust is trusted
  if (!roots_pem.empty()) {
    SR_TRY(add_roots(SSL_CTX_get_cert_store(context.get()), roots_pem));
  }
  return std::shared_ptr<const OriginTls>(std::unique_ptr<OriginTls>(new OriginTls(std::move(context))));
}

// Whom the certificate must name.
struct OriginTls::Expected {
  std::optional<base::HostName> name{};
  std::optional<base::IpAddress> address{};
  std::vector<std::string> protocols{};
  std::shared_ptr<OriginSessions> sessions{};

  [[nodiscard]] std::string shown() const { return name ? name->text() : address->to_string(); }
  // False: a handshake would not be verified.
  [[nodiscard]] bool ask(SSL* ssl) const {
    if (!name) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), shown().c_str()) == 1;
    bool sound = SSL_set1_host(ssl, name->text().c_str()) == 1;
    sound = sound && SSL_set_tlsext_host_name(ssl, name->text().c_str()) == 1;
    const auto session = sessions ? sessions->take(*name) : nullptr;
    return sound && (!session || SSL_set_session(ssl, session.get()) == 1);
  }
};

asio::awaitable<std::expected<std::unique_ptr<TlsStream>, OriginFault>> OriginTls::connect(
    std::unique_ptr<net::Stream> below, base::HostName name, std::vector<std::string> protocols,
    std::shared_ptr<OriginSessions> sessions) const {
  Expected expected{.name = std::move(name), .protocols = std::move(protocols), .sessions = std::move(sessions)};
  return connect_to(std::move(below), std::move(expected));
}

asio::awaitable<std::expected<std::unique_ptr<TlsStream>, OriginFault>> OriginTls::connect_name(
    std::unique_ptr<net::Stream> below, base::HostName name) const {
  Expected expected{.name = std::move(name)};
  return connect_to(std::move(below), std::move(expected));
}

asio::awaitable<std::expected<std::unique_ptr<TlsStream>, OriginFault>> OriginTls::connect_address(
    std::unique_ptr<net::Stream> below, base::IpAddress address) const {
  Expected expected{.address = address};
  return connect_to(std::move(below), std::move(expected));
}

asio::awaitable<std::expected<std::unique_ptr<TlsStream>, OriginFault>> OriginTls::connect_to(
    std::unique_ptr<net::Stream> below, Expected expected) const {
  std::call_once(system_roots_, [this] { add_system_roots(context_.get()); });
  SslPtr ssl(SSL_new(context_.get()));
  auto connecting = std::make_shared<Connecting>(expected.name, expected.shown(), expected.sessions);
  SSL* const handle = ssl.get();  // the stream's, as long as it lives
  if (ssl) {
    const std::string alpn = wire_form(expected.protocols);
    SSL_set_app_data(ssl.get(), connecting.get());
    SSL_set_connect_state(ssl.get());
    const bool sound =
        expected.ask(ssl.get()) && SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(alpn.data()),
                                                       static_cast<unsigned int>(alpn.size())) == 0;
    if (!sound) ssl.reset();  // unverified is not an option: the handshake fails
  }
  auto stream = std::make_unique<TlsStream>(std::move(below), std::move(ssl), std::vector<std::byte>{}, connecting);
  const auto done = co_await stream->handshake();
  if (done) {
    keep_resumed(handle, *connecting);
    co_return std::move(stream);
  }
  const bool refused = done.error().kind == Kind::kAlert && done.error().alert == kNoApplicationProtocol;
  OriginFault fault{done.error().kind == Kind::kTimedOut, refused, !connecting->certificate_fault.empty(),
                    expected.shown() + ": " + sentence(done.error(), *connecting)};
  co_return std::unexpected(std::move(fault));
}

}  // namespace soleroute::gateway::inspect
