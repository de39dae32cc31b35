// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/pulse.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>

#include "gateway/serve/self_check.h"

namespace soleroute::gateway::serve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPatience{1000};  // for an answer over loopback
constexpr std::uint16_t kDnsPort = 53;

}  // namespace

Pulse::Pulse(std::uint16_t dns_port, std::uint32_t mark, Asks asks) {
  const auto loopback = base::IpAddress::v4({127, 0, 0, 1});
  paths_.push_back({{loopback, dns_port}, mark, "the gateway's own DNS does not respond"});
  if (asks == Asks::kDirectly) return;
  // No resolver is there, and nothing leaves: only the redirect leads from it to an answer.
  const auto nobody = base::IpAddress::v4({127, 83, 79, 76});
  paths_.push_back({{nobody, kDnsPort},
                    0,
                    "DNS queries to other resolvers are not redirected; another nftables table may come first"});
}

bool Pulse::is_waiting() const {
  return Clock::now() - asked_ < kPatience &&
         std::ranges::any_of(paths_, [](const Path& path) { return path.state == Path::State::kAsked; });
}

std::vector<std::string> Pulse::look(bool changed) {
  for (Path& path : paths_) read(path);
  const auto since = Clock::now() - asked_;
  std::vector<std::string> problems;
  for (const Path& path : paths_) {
    const bool late = path.state == Path::State::kAsked && since >= kPatience;
    if (late || path.state == Path::State::kRefused) problems.push_back(path.problem);
  }
  const bool due = since >= kEvery || (since >= kPatience && (changed || !problems.empty()));
  if (!due) return problems;
  for (Path& path : paths_) ask(path);
  asked_ = Clock::now();
  return problems;
}

void Pulse::ask(Path& path) {
  path.state = Path::State::kAsked;
  path.socket = base::Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (path.mark != 0) ::setsockopt(path.socket.get(), SOL_SOCKET, SO_MARK, &path.mark, sizeof path.mark);
  sockaddr_storage address{};
  const auto length = static_cast<socklen_t>(path.to.to_sockaddr(address));
  if (::connect(path.socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return;
  ::send(path.socket.get(), kRefusedQuestion.data(), kRefusedQuestion.size(), MSG_NOSIGNAL);
}

void Pulse::read(Path& path) {
  if (path.state != Path::State::kAsked) return;
  std::array<std::uint8_t, 512> answer{};
  const ssize_t size = ::recv(path.socket.get(), answer.data(), answer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  const bool good = size > 0 && is_refusal(std::span(answer).first(static_cast<std::size_t>(size)));
  path.state = good ? Path::State::kAnswered : Path::State::kRefused;
}

}  // namespace soleroute::gateway::serve
