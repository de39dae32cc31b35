// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/published.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/text.h"
#include "gateway/flow/pipe_pool.h"
#include "gateway/flow/relay.h"
#include "gateway/host/host_address.h"
#include "gateway/net/deadline_wheel.h"
#include "gateway/net/dial_socket.h"
#include "gateway/net/listen.h"
#include "gateway/net/readiness.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::jail {
namespace {

namespace asio = boost::asio;

constexpr std::uint16_t kDnsInside = 53;  // the gateway's in every jail
constexpr std::size_t kMaxPipes = 16;
constexpr std::chrono::milliseconds kConnectTimeout{5000};
constexpr std::chrono::milliseconds kNoDescriptorPause{100};
constexpr int kAnswerTimeoutMs = 2000;  // of the first process, which does little else

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::optional<base::IpAddress> address_of(std::string_view text) {
  if (text == "localhost") return base::IpAddress::v4({127, 0, 0, 1});
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  const auto address = base::IpAddress::parse(text);
  return address ? std::optional(*address) : std::nullopt;
}

// A socket that the jail's first process made in the jail's network. An answer that came too late for its request is
// still in the channel: each repeats the number of its request.
base::Result<base::Fd> socket_inside(Channel& sockets, int family, std::uint64_t number) {
  const std::string name = std::to_string(number);
  const Message ask{.kind = MessageKind::kSocket, .value = family, .text = name, .fds = {}};
  SR_TRY(sockets.send(ask));
  for (;;) {
    pollfd answer{sockets.fd(), POLLIN, 0};
    if (::poll(&answer, 1, kAnswerTimeoutMs) != 1) return base::system_error("the jail made no socket in time");
    SR_LET(told, sockets.receive());
    if (!*told || (*told)->kind != MessageKind::kSocket) return base::system_error("the jail made no socket");
    if ((*told)->text != name) continue;
    if ((*told)->fds.size() != 1) return base::system_error("the jail made no socket");
    return std::move((*told)->fds.front());
  }
}

int begin_connect(int socket, const base::IpAddress& address, std::uint16_t port) {
  sockaddr_storage to{};
  const auto length = static_cast<socklen_t>(base::Endpoint{address, port}.to_sockaddr(to));
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), length) == 0) return 0;
  return errno == EINPROGRESS ? 0 : errno;
}

// A connection is over; the others go on.
void end_alone(const std::exception_ptr& /*error*/) {}

void end_all(const std::exception_ptr& error) {
  if (error) std::rethrow_exception(error);
}

void reset(const base::Fd& socket) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace

base::Result<PublishedPort> parse_published_port(const std::string& text) {
  const auto wrong = [&] {
    return base::usage_error(
        fmt::format("--publish: '{}' is not PORT, HOSTPORT:PORT or ADDR:HOSTPORT:PORT", base::shown(text)));
  };
  const std::string_view all = text;
  const auto last = all.rfind(':');
  const auto inside = port_of(last == std::string_view::npos ? all : all.substr(last + 1));
  if (!inside) return wrong();
  if (*inside == kDnsInside) return base::usage_error("--publish: port 53 of a jail is the gateway's DNS");
  PublishedPort out{{base::IpAddress::v4({127, 0, 0, 1}), *inside}, *inside};
  if (last == std::string_view::npos) return out;
  const std::string_view rest = all.substr(0, last);
  const auto before = rest.rfind(':');
  const auto outside = port_of(before == std::string_view::npos ? rest : rest.substr(before + 1));
  if (!outside) return wrong();
  out.outside.port = *outside;
  if (before == std::string_view::npos) return out;
  const auto address = address_of(rest.substr(0, before));
  if (!address) return wrong();
  out.outside.address = *address;
  return out;
}

base::Result<std::vector<OpenPort>> open_published(const std::vector<PublishedPort>& ports) {
  std::vector<OpenPort> open;
  for (const PublishedPort& port : ports) {
    auto listener = net::listen_tcp(port.outside);
    if (!listener) {
      return std::unexpected(base::Error{fmt::format("--publish: {}", listener.error().message),
                                         base::ErrorKind::kSystem, listener.error().sys_errno});
    }
    open.push_back({std::move(*listener), port.inside});
  }
  return open;
}

struct Publisher::State {
  struct Listener {
    Listener(asio::io_context& io, OpenPort port)
        : socket(std::move(port.listener)), readiness(io, socket.get()), inside(port.inside) {}
    base::Fd socket;
    net::Readiness readiness;
    std::uint16_t inside;
  };

  class Loop : public asio::io_context {
   public:
    Loop() : io_context(1) {}
    void destroy_handlers() { shutdown(); }
  };

  explicit State(Channel channel) : sockets(std::move(channel)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    loop.stop();
    if (thread.joinable()) thread.join();
    loop.destroy_handlers();  // while what suspended connections refer to is there
  }

  asio::awaitable<void> accept_loop(Listener& listener);
  asio::awaitable<void> serve(base::Fd outside, std::uint16_t port);
  asio::awaitable<std::unique_ptr<net::TcpStream>> connect(std::uint16_t port);

  Loop loop;
  net::DeadlineWheel wheel{loop};
  flow::PipePool pipes{kMaxPipes};
  Channel sockets;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::size_t open = 0;
  std::uint64_t requests = 0;
  std::thread thread;
};

asio::awaitable<void> Publisher::State::accept_loop(Listener& listener) {
  asio::steady_timer pause(loop);
  for (;;) {
    base::Fd socket(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket && open >= kMaxConnections) {
      reset(socket);
    } else if (socket) {
      auto serving = serve(std::move(socket), listener.inside);
      asio::co_spawn(loop, std::move(serving), end_alone);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (co_await listener.readiness.wait(net::Readiness::For::kReading) != 0) co_return;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      pause.expires_after(kNoDescriptorPause);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }
}

// A server of the command may listen on one family alone.
asio::awaitable<std::unique_ptr<net::TcpStream>> Publisher::State::connect(std::uint16_t port) {
  for (const base::IpAddress& address : host::loopback_of_this_machine().addresses) {
    auto socket = socket_inside(sockets, address.is_v4() ? AF_INET : AF_INET6, ++requests);
    if (!socket || begin_connect(socket->get(), address, port) != 0) continue;
    auto stream = std::make_unique<net::TcpStream>(loop, wheel, std::move(*socket));
    stream->expires_after(kConnectTimeout);
    const auto writable = co_await stream->wait_writable();
    if (writable && net::socket_error(stream->native_handle()) == 0) co_return stream;
  }
  co_return nullptr;
}

asio::awaitable<void> Publisher::State::serve(base::Fd outside, std::uint16_t port) {
  struct Count {
    explicit Count(std::size_t& counted) : open(counted) { ++open; }
    ~Count() { --open; }
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    std::size_t& open;
  };
  const Count count(open);
  net::TcpStream client(loop, wheel, std::move(outside));
  auto inside = co_await connect(port);
  if (!inside) {  // no server is there: as the host would refuse it
    client.reset();
    co_return;
  }
  co_await flow::relay(client, *inside, pipes);
}

Publisher::Publisher() = default;
Publisher::~Publisher() = default;

base::Result<std::unique_ptr<Publisher>> Publisher::start(std::vector<OpenPort> ports, Channel sockets) {
  try {
    auto publisher = std::unique_ptr<Publisher>(new Publisher());
    publisher->state_ = std::make_unique<State>(std::move(sockets));
    State& state = *publisher->state_;
    for (OpenPort& port : ports) {
      state.listeners.push_back(std::make_unique<State::Listener>(state.loop, std::move(port)));
      auto accepting = state.accept_loop(*state.listeners.back());
      asio::co_spawn(state.loop, std::move(accepting), end_all);
    }
    sigset_t all{};
    sigset_t before{};
    ::sigfillset(&all);  // signals are the controlling thread's
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    state.thread = std::thread([&state] {
      ::pthread_setname_np(::pthread_self(), "publisher");
      state.loop.run();
    });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return publisher;
  } catch (const std::exception& error) {  // Asio and std::thread
    return base::system_error(fmt::format("--publish: cannot start: {}", error.what()));
  }
}

}  // namespace soleroute::gateway::jail
