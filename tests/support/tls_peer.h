// One end of a TLS connection in a test's hands, on a blocking socket that gives up when a test would wait too long.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "tests/support/test_authority.h"

namespace soleroute::test {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
struct FreeSession {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, FreeContext>;
using SessionPtr = std::unique_ptr<SSL_SESSION, FreeSession>;

// "h2", "http/1.1" in wire form.
inline std::string alpn_list(std::initializer_list<std::string_view> protocols) {
  std::string out;
  for (const auto protocol : protocols) out.append(1, static_cast<char>(protocol.size())).append(protocol);
  return out;
}

// A client that trusts `root`, which may be null: then it trusts nobody.
inline ContextPtr client_context(X509* root, int newest = TLS1_3_VERSION) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (root != nullptr) X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), root);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_max_proto_version(context.get(), newest);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT);
  return context;
}

inline ContextPtr server_context(const testing::Issued& issued, X509* intermediate = nullptr) {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_use_certificate(context.get(), issued.certificate.get());
  SSL_CTX_use_PrivateKey(context.get(), issued.key.get());
  if (intermediate != nullptr) SSL_CTX_add1_chain_cert(context.get(), intermediate);
  SSL_CTX_set_alpn_select_cb(
      context.get(),
      [](SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered, unsigned int length,
         void*) {
        static const std::string kHttp1 = alpn_list({"http/1.1"});
        unsigned char* found = nullptr;
        const int agreed = SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(kHttp1.data()),
                                                 static_cast<unsigned int>(kHttp1.size()), offered, length);
        *chosen = found;
        return agreed == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
      },
      nullptr);
  return context;
}

class TlsPeer {
 public:
  TlsPeer(base::Fd fd, SSL_CTX* context) : fd_(std::move(fd)), ssl_(SSL_new(context)) {
    const int flags = ::fcntl(fd_.get(), F_GETFL);
    ::fcntl(fd_.get(), F_SETFL, flags & ~O_NONBLOCK);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    SSL_set_fd(ssl_.get(), fd_.get());
    ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  }

  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

  bool connect(const std::string& name, const std::string& alpn = alpn_list({"http/1.1"})) {
    SSL_set_tlsext_host_name(ssl(), name.c_str());
    SSL_set1_host(ssl(), name.c_str());
    if (!alpn.empty()) {
      SSL_set_alpn_protos(ssl(), reinterpret_cast<const unsigned char*>(alpn.data()),
                          static_cast<unsigned int>(alpn.size()));
    }
    ERR_clear_error();
    return SSL_connect(ssl()) == 1;
  }
  bool accept() {
    ERR_clear_error();
    return SSL_accept(ssl()) == 1;
  }
  // What went wrong last, in OpenSSL's words.
  [[nodiscard]] static std::string error() {
    const char* text = ERR_reason_error_string(ERR_peek_last_error());
    return text == nullptr ? "" : text;
  }

  bool send(std::string_view bytes) {
    return SSL_write(ssl(), bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
  }
  // Everything up to and including `end`.
  std::string until(std::string_view end) {
    while (!held_.contains(end) && more()) {
    }
    const auto at = held_.find(end);
    return take(at == std::string::npos ? held_.size() : at + end.size());
  }
  std::string head() { return until("\r\n\r\n"); }
  std::string exactly(std::size_t count) {
    while (held_.size() < count && more()) {
    }
    return take(std::min(count, held_.size()));
  }
  // A head and the body that its Content-Length announces.
  std::string message() {
    std::string out = head();
    const auto at = out.find("Content-Length: ");
    if (at != std::string::npos) out += exactly(std::stoul(out.substr(at + 16)));
    return out;
  }
  // To the end; "<cut>" stands for one that TLS did not announce.
  std::string rest() {
    while (more()) {
    }
    const bool announced = (SSL_get_shutdown(ssl()) & SSL_RECEIVED_SHUTDOWN) != 0;
    return take(held_.size()) + (announced ? "" : "<cut>");
  }
  void finish() { SSL_shutdown(ssl()); }          // close_notify; reading goes on
  void cut() { ::shutdown(fd_.get(), SHUT_WR); }  // FIN without it
  // To be resumed; the connection is over then.
  [[nodiscard]] SessionPtr session() const {
    SSL_set_shutdown(ssl(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  // or SSL_free() would spoil it
    return SessionPtr(SSL_get1_session(ssl()));
  }

 private:
  bool more() {
    char buffer[65536];
    const int count = SSL_read(ssl(), buffer, sizeof buffer);
    if (count > 0) held_.append(buffer, static_cast<std::size_t>(count));
    return count > 0;
  }
  std::string take(std::size_t count) {
    std::string out = held_.substr(0, count);
    held_.erase(0, count);
    return out;
  }

  base::Fd fd_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::string held_;
};

}  // namespace soleroute::test
