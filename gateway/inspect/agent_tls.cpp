// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/agent_tls.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "base/byte_reader.h"

namespace soleroute::gateway::inspect {
namespace {

constexpr long kTicketLifetime = 3600;  // seconds

// The one host_name of a server_name extension (RFC 6066 section 3). The gateway's own parser has seen the first hello;
// the one after a HelloRetryRequest is seen here alone.
std::optional<base::HostName> server_name(std::string_view extension) {
  constexpr std::size_t kHead = 5;  // length of the list, type, length of the name
  if (extension.size() < kHead || extension[2] != 0) return std::nullopt;
  auto name = base::HostName::parse(extension.substr(kHead));
  return name ? std::optional(std::move(*name)) : std::nullopt;
}

int on_client_hello(SSL* ssl, int* alert, void* /*unused*/) {
  const auto* expected = static_cast<const Accepting*>(SSL_get_app_data(ssl));
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  const bool named = SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) == 1;
  if (named && server_name({reinterpret_cast<const char*>(bytes), size}) == expected->name) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  *alert = SSL_AD_ACCESS_DENIED;
  return SSL_CLIENT_HELLO_ERROR;
}

int on_alpn(SSL* ssl, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
            unsigned int offered_size, void* /*unused*/) {
  const auto* expected = static_cast<const Accepting*>(SSL_get_app_data(ssl));
  if (expected->alpn.empty()) return SSL_TLSEXT_ERR_NOACK;
  std::string_view left(reinterpret_cast<const char*>(offered), offered_size);
  while (!left.empty()) {
    const auto length = static_cast<unsigned char>(left.front());
    const std::string_view protocol = left.substr(1, length);
    left.remove_prefix(std::min<std::size_t>(left.size(), 1U + length));
    if (protocol != expected->alpn) continue;
    *chosen = reinterpret_cast<const unsigned char*>(protocol.data());
    *size = length;
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

void SslContextDeleter::operator()(SSL_CTX* context) const {
  SSL_CTX_free(context);
}

base::Result<std::shared_ptr<const AgentTls>> AgentTls::make() {
  SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) {
    return base::system_error("OpenSSL has no TLS 1.2");
  }
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_PRIORITIZE_CHACHA |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);  // tickets alone
  SSL_CTX_set_timeout(context.get(), kTicketLifetime);
  SSL_CTX_set_max_early_data(context.get(), 0);
  SSL_CTX_set_client_hello_cb(context.get(), on_client_hello, nullptr);
  SSL_CTX_set_alpn_select_cb(context.get(), on_alpn, nullptr);
  return std::shared_ptr<const AgentTls>(std::unique_ptr<AgentTls>(new AgentTls(std::move(context))));
}

std::unique_ptr<TlsStream> AgentTls::accept(std::unique_ptr<net::Stream> below, std::vector<std::byte> read,
                                            Accepting what, const Leaf& leaf) const {
  SslPtr ssl(SSL_new(context_.get()));
  auto expected = std::make_shared<Accepting>(std::move(what));
  if (ssl) {
    // A session that was made for another name is as good as none.
    std::array<unsigned char, SHA256_DIGEST_LENGTH> bound{};
    const auto name = base::as_bytes(expected->name.text());
    SHA256(reinterpret_cast<const unsigned char*>(name.data()), name.size(), bound.data());
    bool sound = SSL_set_session_id_context(ssl.get(), bound.data(), bound.size()) == 1;
    sound = sound && SSL_use_certificate(ssl.get(), leaf.certificate.get()) == 1;
    sound = sound && SSL_use_PrivateKey(ssl.get(), leaf.key.get()) == 1;
    for (const auto& above : leaf.chain) sound = sound && SSL_add1_chain_cert(ssl.get(), above.get()) == 1;
    SSL_set_app_data(ssl.get(), expected.get());
    SSL_set_accept_state(ssl.get());
    if (!sound) ssl.reset();  // the handshake says so
  }
  return std::make_unique<TlsStream>(std::move(below), std::move(ssl), std::move(read), std::move(expected));
}

}  // namespace soleroute::gateway::inspect
