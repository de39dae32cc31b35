// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

namespace soleroute::gateway::jail {
namespace {

struct Header {
  std::uint8_t kind;
  std::int32_t value;
};

constexpr std::size_t kControlSpace = CMSG_SPACE(sizeof(int) * kMaxMessageFds) + CMSG_SPACE(sizeof(ucred));

void take_fds(const cmsghdr& item, std::vector<base::Fd>& fds) {
  const std::size_t count = (item.cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (std::size_t i = 0; i < count; ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(&item) + i * sizeof(int), sizeof fd);
    fds.emplace_back(fd);
  }
}

void take_control(msghdr& header, Message& message) {
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET) continue;
    if (item->cmsg_type == SCM_RIGHTS) take_fds(*item, message.fds);
    if (item->cmsg_type == SCM_CREDENTIALS) {
      ucred credentials{};
      std::memcpy(&credentials, CMSG_DATA(item), sizeof credentials);
      message.sender = credentials.pid;
    }
  }
}

void attach_fds(msghdr& header, std::span<std::byte> space, const std::vector<base::Fd>& fds) {
  header.msg_control = space.data();
  header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
  cmsghdr* item = CMSG_FIRSTHDR(&header);
  item->cmsg_level = SOL_SOCKET;
  item->cmsg_type = SCM_RIGHTS;
  item->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
  for (std::size_t i = 0; i < fds.size(); ++i) {
    const int fd = fds[i].get();
    std::memcpy(CMSG_DATA(item) + i * sizeof(int), &fd, sizeof fd);
  }
}

}  // namespace

base::Result<std::pair<Channel, Channel>> Channel::make() {
  std::array<int, 2> ends{};
  // SEQPACKET keeps messages whole and still tells when the other side has gone.
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return base::errno_error("cannot create a socket pair");
  }
  const int on = 1;
  // The kernel says who sent what, numbered as the receiver numbers processes.
  if (::setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    const auto error = base::errno_error("cannot request the sender of messages");
    ::close(ends[0]);
    ::close(ends[1]);
    return error;
  }
  return std::pair(Channel(base::Fd(ends[0])), Channel(base::Fd(ends[1])));
}

base::Status Channel::send(const Message& message) {
  if (message.fds.size() > kMaxMessageFds) return base::system_error("too many descriptors in one message");
  Header head{static_cast<std::uint8_t>(message.kind), message.value};
  std::string text = message.text.substr(0, kMaxMessageText);
  std::array<iovec, 2> parts{iovec{&head, sizeof head}, iovec{text.data(), text.size()}};
  alignas(cmsghdr) std::array<std::byte, kControlSpace> space{};
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  if (!message.fds.empty()) attach_fds(header, space, message.fds);
  for (;;) {
    if (::sendmsg(socket_.get(), &header, MSG_NOSIGNAL) >= 0) return {};
    if (errno != EINTR) return base::errno_error("cannot send to the jail");
  }
}

base::Result<std::optional<Message>> Channel::receive() {
  Header head{};
  std::string text(kMaxMessageText, '\0');
  std::array<iovec, 2> parts{iovec{&head, sizeof head}, iovec{text.data(), text.size()}};
  alignas(cmsghdr) std::array<std::byte, kControlSpace> space{};
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  header.msg_control = space.data();
  header.msg_controllen = space.size();
  ssize_t count = 0;
  do {
    count = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
    // A peer that ended with messages unread reads as a reset once; behind it is what it said before.
  } while (count < 0 && (errno == EINTR || errno == ECONNRESET));
  if (count == 0) return std::nullopt;
  if (count < 0) return base::errno_error("cannot receive from the jail");
  Message message{.kind = static_cast<MessageKind>(head.kind), .value = head.value, .text = {}, .fds = {}};
  take_control(header, message);  // first: descriptors of a refused message are closed with it
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || std::cmp_less(count, sizeof head) ||
      head.kind > static_cast<std::uint8_t>(MessageKind::kSocket)) {
    return base::system_error("a message from the jail was incomplete");
  }
  text.resize(static_cast<std::size_t>(count) - sizeof head);
  message.text = std::move(text);
  return message;
}

}  // namespace soleroute::gateway::jail
