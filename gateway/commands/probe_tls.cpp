// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/probe_tls.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "gateway/commands/probe_socket.h"

namespace soleroute::gateway::commands {
namespace {

constexpr char kAlertRecord = 0x15;  // RFC 8446 section 5.1
constexpr char kHandshakeRecord = 0x16;
constexpr std::size_t kMaxShown = 4096;  // of the answer: enough for a head and the first line of the page

struct ContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SessionDeleter {
  void operator()(SSL* session) const { SSL_free(session); }
};
using Context = std::unique_ptr<SSL_CTX, ContextDeleter>;
using Session = std::unique_ptr<SSL, SessionDeleter>;

// A TLS client over a blocking socket, its records carried by memory.
class Conversation {
 public:
  Conversation(ProbeSocket socket, Session session)
      : socket_(std::move(socket)),
        session_(std::move(session)),
        in_(BIO_new(BIO_s_mem())),
        out_(BIO_new(BIO_s_mem())) {
    SSL_set_bio(session_.get(), in_, out_);  // owns both
    SSL_set_connect_state(session_.get());
  }

  // The first byte that came, or 0.
  [[nodiscard]] char first_byte() const { return first_byte_; }
  [[nodiscard]] SSL* session() const { return session_.get(); }

  // Repeats `call` while it wants more from the other side. True when it succeeded, false when TLS or the stream ended.
  template <class Call>
  base::Result<bool> drive(Call call) {
    while (true) {
      ERR_clear_error();  // SSL_get_error looks at what earlier calls left
      const int result = call();
      SR_TRY(flush());
      if (result > 0) return true;
      if (SSL_get_error(session_.get(), result) != SSL_ERROR_WANT_READ) return false;
      SR_LET(some, socket_.receive());
      if (some->empty()) return false;
      if (first_byte_ == 0) first_byte_ = some->front();
      BIO_write(in_, some->data(), static_cast<int>(some->size()));
    }
  }

 private:
  base::Status flush() {
    std::array<char, 4096> piece{};
    for (int size = BIO_read(out_, piece.data(), piece.size()); size > 0;
         size = BIO_read(out_, piece.data(), piece.size())) {
      SR_TRY(socket_.send({piece.data(), static_cast<std::size_t>(size)}));
    }
    return {};
  }

  ProbeSocket socket_;
  Session session_;
  BIO* in_;
  BIO* out_;
  char first_byte_ = 0;
};

base::Result<Session> make_session(SSL_CTX* context, std::string_view name) {
  Session session(SSL_new(context));
  static constexpr std::array<unsigned char, 9> kHttp11{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  const bool ready = session && SSL_set_tlsext_host_name(session.get(), std::string(name).c_str()) == 1 &&
                     SSL_set_alpn_protos(session.get(), kHttp11.data(), kHttp11.size()) == 0;
  if (!ready) return base::system_error("cannot prepare a TLS client");
  return session;
}

// The head is enough, but of a 403, whose page is asked for.
bool is_enough(std::string_view answer) {
  if (answer.size() >= kMaxShown) return true;
  const auto head = answer.find("\r\n\r\n");
  if (head == std::string_view::npos) return false;
  return !answer.starts_with("HTTP/1.1 403") || answer.find('\n', head + 4) != std::string_view::npos;
}

std::string ask(Conversation& conversation, std::string_view name, std::string_view path) {
  const auto request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: gateway-verify\r\nConnection: close\r\n\r\n", path, name);
  std::string answer;
  SSL* session = conversation.session();
  const auto written =
      conversation.drive([&] { return SSL_write(session, request.data(), static_cast<int>(request.size())); });
  while (written.value_or(false) && !is_enough(answer)) {
    std::array<char, 4096> piece{};
    int size = 0;
    const auto read = conversation.drive([&] { return size = SSL_read(session, piece.data(), piece.size()); });
    if (!read.value_or(false)) break;
    answer.append(piece.data(), static_cast<std::size_t>(size));
  }
  return answer;
}

}  // namespace

base::Result<TlsProbe> probe_tls(const base::Endpoint& to, std::string_view name, std::string_view path,
                                 std::chrono::milliseconds limit) {
  using Outcome = TlsProbe::Outcome;
  const Context context(SSL_CTX_new(TLS_client_method()));
  if (!context) return base::system_error("cannot prepare a TLS client");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SR_LET(session, make_session(context.get(), name));
  SR_LET(socket, ProbeSocket::connect(ProbeKind::kTcp, to, limit));
  Conversation conversation(std::move(*socket), std::move(*session));
  const auto shaken = conversation.drive([&] { return SSL_do_handshake(conversation.session()); });
  if (!shaken && conversation.first_byte() == 0) return std::unexpected(shaken.error());
  if (shaken.value_or(false)) return TlsProbe{Outcome::kDone, ask(conversation, name, path)};
  switch (conversation.first_byte()) {
    case 0:
    case kAlertRecord:
      return TlsProbe{Outcome::kRefused, {}};
    case kHandshakeRecord:
      return TlsProbe{Outcome::kBegan, {}};
    default:
      return TlsProbe{Outcome::kNotTls, {}};
  }
}

}  // namespace soleroute::gateway::commands
