// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/control_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace soleroute::gateway::serve {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using Local = asio::local::stream_protocol;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMaxLine = 4096;
constexpr std::chrono::seconds kClientTimeout{5};
constexpr std::chrono::milliseconds kAcceptPause{100};

base::Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return base::usage_error(
        fmt::format("control socket '{}': the path must have 1 to {} characters", path, sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// EAGAIN: a listener whose queue is full.
bool is_answered(const sockaddr_un& address) {
  const base::Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return false;
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
}

base::Result<base::Fd> bind_path(const std::string& path) {
  SR_LET(address, address_of(path));
  SR_TRY(check_alone(path));
  const fs::path parent = fs::path(path).parent_path();
  std::error_code error;
  if (!parent.empty() && fs::create_directories(parent, error)) ::chmod(parent.c_str(), 0700);
  struct stat status{};
  if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path.c_str());
  base::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return base::errno_error("cannot create control socket");
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  ::umask(before);
  if (bound != 0 || ::listen(fd.get(), 16) != 0) return base::errno_error("cannot create control socket " + path);
  return fd;
}

// A reply that may come later.
struct Pending {
  explicit Pending(const asio::any_io_executor& executor) : news(executor, asio::steady_timer::time_point::max()) {}
  asio::steady_timer news;
  std::optional<std::string> reply;
};

std::string error_line(const std::string& message) {
  return nlohmann::json{{"error", message}}.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

asio::awaitable<std::string> answer_to(const ControlSocket::Answer& answer, ControlQuestion question) {
  const auto pending = std::make_shared<Pending>(co_await asio::this_coro::executor);
  answer(question, [pending](std::string text) {
    pending->reply = std::move(text);
    pending->news.cancel();
  });
  while (!pending->reply) co_await pending->news.async_wait(kAwait);
  if (pending->reply->empty()) co_return error_line(fmt::format("cannot answer '{}' here", base::shown(question.ask)));
  co_return *pending->reply + "\n";
}

// A client that has asked to watch: what it is sent, and whether it is still there.
struct Watching {
  explicit Watching(const asio::any_io_executor& executor) : news(executor, asio::steady_timer::time_point::max()) {}
  asio::steady_timer news;
  bool over = false;
};

// Until the client closes, or sends anything more.
asio::awaitable<void> stream_to(std::shared_ptr<Local::socket> client, const ControlSocket::Watch& watch) {
  const auto executor = co_await asio::this_coro::executor;
  const auto watching = std::make_shared<Watching>(executor);
  const auto reader = watch([watching, executor] { asio::post(executor, [watching] { watching->news.cancel(); }); });
  if (reader == nullptr) {
    const std::string refused = error_line("too many watch this gateway already");
    co_await asio::async_write(*client, asio::buffer(refused), kAwait);
    co_return;
  }
  client->async_wait(Local::socket::wait_read, [watching, client](const boost::system::error_code&) {
    watching->over = true;
    watching->news.cancel();
  });
  while (!watching->over) {
    const std::string lines = reader->take();
    if (lines.empty()) {
      co_await watching->news.async_wait(kAwait);
      continue;
    }
    const auto [failed, written] = co_await asio::async_write(*client, asio::buffer(lines), kAwait);
    if (failed) co_return;
  }
}

// False where that cannot be known: it is a second lock, behind the hidden folder.
bool is_in_another_network(pid_t process) {
  struct stat theirs{};
  struct stat ours{};
  if (::stat(fmt::format("/proc/{}/ns/net", process).c_str(), &theirs) != 0) return false;
  if (::stat("/proc/self/ns/net", &ours) != 0) return false;
  return theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev;
}

// The folder and the mode of the socket keep others away; this holds where somebody has widened them.
bool may_ask(int socket, ControlSocket::Peers peers) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid != 0 && peer.uid != ::geteuid()) return false;
  return peers == ControlSocket::Peers::kOfTheUser || !is_in_another_network(peer.pid);
}

constexpr const char* kNotYours = R"({"error":"only root and the gateway's own user may ask"})";

}  // namespace

struct ControlSocket::State : std::enable_shared_from_this<State> {
  State(asio::io_context& io, base::Fd fd, std::string where, Answer how, Watch feed, Peers who)
      : acceptor(io, Local(), fd.release()),
        pause(io),
        path(std::move(where)),
        answer(std::move(how)),
        watch(std::move(feed)),
        peers(who) {}

  // In the list for as long as it is served.
  struct Client {
    Client(std::shared_ptr<State> of, Local::socket& from)
        : state(std::move(of)), socket(from), mine(state->clients.insert(state->clients.end(), this)) {}
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() {
      state->clients.erase(mine);
      state->pause.cancel();
    }
    std::shared_ptr<State> state;
    Local::socket& socket;
    bool asking = false;
    std::list<Client*>::iterator mine;
  };

  // False: all wait for a reply.
  bool make_room() {
    if (clients.size() < kMaxClients) return true;
    const auto silent = std::ranges::find(clients, false, &Client::asking);
    if (silent == clients.end()) return false;
    boost::system::error_code ignored;
    (*silent)->asking = true;  // no longer to be chosen; it is over
    static_cast<void>((*silent)->socket.close(ignored));
    return true;
  }

  asio::awaitable<void> accept_loop(std::shared_ptr<State> self) {
    for (;;) {
      auto [error, socket] = co_await acceptor.async_accept(kAwait);
      if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
      if (error) {  // out of descriptors, most likely: it would fail again at once
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(kAwait);
        continue;
      }
      while (!make_room() && acceptor.is_open()) {
        pause.expires_after(kClientTimeout);
        co_await pause.async_wait(kAwait);
      }
      auto client = serve(self, std::move(socket));
      asio::co_spawn(acceptor.get_executor(), std::move(client), [](const std::exception_ptr&) {});
    }
  }

  static asio::awaitable<void> serve(std::shared_ptr<State> self, Local::socket socket) {
    auto held = std::make_shared<Local::socket>(std::move(socket));
    Client client(self, *held);
    asio::steady_timer deadline(held->get_executor());
    const auto wait_for_client = [&deadline, held] {
      deadline.expires_after(kClientTimeout);
      deadline.async_wait([held](const boost::system::error_code& error) {
        if (!error) held->close();
      });
    };
    wait_for_client();
    const bool allowed = may_ask(held->native_handle(), self->peers);
    std::string line;
    for (;;) {
      auto buffer = asio::dynamic_buffer(line, kMaxLine);
      const auto [error, size] = co_await asio::async_read_until(*held, buffer, '\n', kAwait);
      if (error) co_return;
      deadline.cancel();
      client.asking = true;
      auto question = parse_control_question(std::string_view(line).substr(0, size));
      line.erase(0, size);
      std::string reply = kNotYours + std::string("\n");
      if (allowed && question && question->ask == "watch" && self->watch) {
        co_return co_await stream_to(held, self->watch);
      }
      if (allowed && !question) reply = error_line(question.error().message);
      if (allowed && question) reply = co_await answer_to(self->answer, std::move(*question));
      client.asking = false;
      wait_for_client();  // anew: a large policy takes its time to be read
      const auto [failed, written] = co_await asio::async_write(*held, asio::buffer(reply), kAwait);
      if (failed || !allowed) co_return;
    }
  }

  Local::acceptor acceptor;
  asio::steady_timer pause;    // there are no descriptors, or kMaxClients that wait for a reply
  std::list<Client*> clients;  // oldest first
  std::string path;
  Answer answer;
  Watch watch;
  Peers peers;
};

ControlSocket::ControlSocket(std::shared_ptr<State> state) : state_(std::move(state)) {}

ControlSocket::~ControlSocket() {
  boost::system::error_code ignored;
  static_cast<void>(state_->acceptor.close(ignored));
  state_->pause.cancel();
  ::unlink(state_->path.c_str());
}

base::Result<std::unique_ptr<ControlSocket>> ControlSocket::open(asio::io_context& io, std::string path, Answer answer,
                                                                 Watch watch, Peers peers) {
  SR_LET(fd, bind_path(path));
  auto state = std::make_shared<State>(io, std::move(*fd), std::move(path), std::move(answer), std::move(watch), peers);
  asio::co_spawn(io, state->accept_loop(state), [](const std::exception_ptr&) {});
  return std::unique_ptr<ControlSocket>(new ControlSocket(std::move(state)));
}

base::Status check_alone(const std::string& control_socket) {
  SR_LET(address, address_of(control_socket));
  if (!is_answered(*address)) return {};
  return base::system_error(
      fmt::format("another gateway runs here (control socket {}); stop it, or pass another --control", control_socket));
}

std::string reload_detail(const PolicyInForce& in_force) {
  std::string detail = fmt::format("{}, revision {}", in_force.summary, in_force.version);
  if (in_force.mount_fault) detail += fmt::format("; warning: {}", in_force.mount_fault->message);
  return detail;
}

std::string reload_answer(const base::Result<PolicyInForce>& reloaded) {
  if (!reloaded) {
    nlohmann::json refused{{"accepted", false}, {"detail", reloaded.error().message}};
    if (reloaded.error().kind == base::ErrorKind::kSystem) refused["system"] = true;
    return refused.dump();
  }
  nlohmann::json answer{{"accepted", true}, {"version", reloaded->version}, {"detail", reloaded->summary}};
  if (reloaded->mount_fault) {
    answer["warning"] = reloaded->mount_fault->message;
    if (reloaded->mount_fault->kind == host::MountFault::Kind::kReplaced) answer["replaced"] = true;
  }
  if (!reloaded->behind.empty()) answer["behind"] = reloaded->behind;
  return answer.dump();
}

}  // namespace soleroute::gateway::serve
