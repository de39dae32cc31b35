// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/control_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

namespace soleroute::gateway::serve {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using Local = asio::local::stream_protocol;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMaxLine = 4096;
constexpr std::chrono::seconds kClientTimeout{5};

base::Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return base::usage_error(
        fmt::format("control socket '{}': a path of 1 to {} characters is needed", path, sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool somebody_answers(const sockaddr_un& address) {
  const base::Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return probe && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

base::Result<base::Fd> bind_path(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return std::unexpected(address.error());
  const fs::path parent = fs::path(path).parent_path();
  std::error_code error;
  if (!parent.empty() && fs::create_directories(parent, error)) ::chmod(parent.c_str(), 0700);
  if (somebody_answers(*address)) {
    return base::system_error(fmt::format("another gateway answers on {}; stop it, or name another --control", path));
  }
  struct stat status{};
  if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path.c_str());
  base::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return base::errno_error("control socket");
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  ::umask(before);
  if (bound != 0 || ::listen(fd.get(), 16) != 0) return base::errno_error("control socket " + path);
  return fd;
}

std::string answer_line(const ControlSocket::Answer& answer, const std::string& line) {
  const auto question = nlohmann::json::parse(line, nullptr, false);
  const bool well_formed = question.is_object() && question.contains("ask") && question["ask"].is_string();
  const std::string reply = well_formed ? answer(question["ask"].get<std::string>()) : std::string{};
  return (reply.empty() ? std::string(R"({"error":"ask one of: status, reload"})") : reply) + "\n";
}

// The folder and the mode of the socket keep others away; this holds where somebody has widened them.
bool may_ask(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

constexpr const char* kNotYours = R"({"error":"only root and the gateway's own user may ask"})";

}  // namespace

struct ControlSocket::State : std::enable_shared_from_this<State> {
  State(asio::io_context& io, base::Fd fd, std::string where, Answer how)
      : acceptor(io, Local(), fd.release()), path(std::move(where)), answer(std::move(how)) {}

  asio::awaitable<void> accept_loop(std::shared_ptr<State> self) {
    for (;;) {
      auto [error, socket] = co_await acceptor.async_accept(kAwait);
      if (error == asio::error::operation_aborted) co_return;
      if (error) continue;
      auto client = serve(self, std::move(socket));
      asio::co_spawn(acceptor.get_executor(), std::move(client), [](const std::exception_ptr&) {});
    }
  }

  static asio::awaitable<void> serve(std::shared_ptr<State> self, Local::socket socket) {
    auto held = std::make_shared<Local::socket>(std::move(socket));
    asio::steady_timer deadline(held->get_executor());
    const auto wait_for_client = [&deadline, held] {
      deadline.expires_after(kClientTimeout);
      deadline.async_wait([held](const boost::system::error_code& error) {
        if (!error) held->close();
      });
    };
    wait_for_client();
    const bool allowed = may_ask(held->native_handle());
    std::string line;
    for (;;) {
      auto buffer = asio::dynamic_buffer(line, kMaxLine);
      const auto [error, size] = co_await asio::async_read_until(*held, buffer, '\n', kAwait);
      if (error) co_return;
      const std::string reply =
          allowed ? answer_line(self->answer, line.substr(0, size)) : kNotYours + std::string("\n");
      line.erase(0, size);
      wait_for_client();  // anew: a large policy takes its time to be read
      const auto [failed, written] = co_await asio::async_write(*held, asio::buffer(reply), kAwait);
      if (failed || !allowed) co_return;
    }
  }

  Local::acceptor acceptor;
  std::string path;
  Answer answer;
};

ControlSocket::ControlSocket(std::shared_ptr<State> state) : state_(std::move(state)) {}

ControlSocket::~ControlSocket() {
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  ::unlink(state_->path.c_str());
}

base::Result<std::unique_ptr<ControlSocket>> ControlSocket::open(asio::io_context& io, std::string path,
                                                                 Answer answer) {
  auto fd = bind_path(path);
  if (!fd) return std::unexpected(fd.error());
  auto state = std::make_shared<State>(io, std::move(*fd), std::move(path), std::move(answer));
  asio::co_spawn(io, state->accept_loop(state), [](const std::exception_ptr&) {});
  return std::unique_ptr<ControlSocket>(new ControlSocket(std::move(state)));
}

std::string reload_answer(const base::Result<PolicyInForce>& reloaded) {
  if (!reloaded) return nlohmann::json{{"accepted", false}, {"detail", reloaded.error().message}}.dump();
  return nlohmann::json{{"accepted", true}, {"version", reloaded->version}, {"detail", reloaded->summary}}.dump();
}

}  // namespace soleroute::gateway::serve
