// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/client_keys.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "base/fd.h"

namespace soleroute::gateway::net {
namespace {

constexpr std::size_t kDumpBuffer = 32 * 1024;
constexpr timeval kDumpTimeout{.tv_sec = 0, .tv_usec = 200'000};

using LinkKey = std::pair<std::uint32_t, std::array<std::uint8_t, 6>>;

base::IpAddress key_of(const LinkKey& link) {
  std::array<std::uint8_t, 16> bytes{0xff};  // a group: no client has such an address
  for (std::size_t i = 0; i < 4; ++i) bytes[6 + i] = static_cast<std::uint8_t>(link.first >> (24 - 8 * i));
  std::ranges::copy(link.second, bytes.begin() + 10);
  return base::IpAddress::v6(bytes);
}

std::optional<base::IpAddress> address_in(rtattr* attribute, unsigned char family) {
  const auto size = static_cast<std::size_t>(RTA_PAYLOAD(attribute));
  if (family == AF_INET && size == 4) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), RTA_DATA(attribute), bytes.size());
    return base::IpAddress::v4(bytes);
  }
  if (family == AF_INET6 && size == 16) {
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), RTA_DATA(attribute), bytes.size());
    return base::IpAddress::v6(bytes);
  }
  return std::nullopt;
}

void add_neighbour(nlmsghdr* header, std::vector<Neighbour>& into) {
  char* const payload = reinterpret_cast<char*>(header) + NLMSG_HDRLEN;
  const auto* entry = reinterpret_cast<const ndmsg*>(payload);
  if (header->nlmsg_len < NLMSG_LENGTH(sizeof *entry) || (entry->ndm_state & (NUD_FAILED | NUD_NOARP)) != 0) return;
  Neighbour found;
  found.interface_index = static_cast<std::uint32_t>(entry->ndm_ifindex);
  bool has_link = false;
  bool has_address = false;
  auto left = static_cast<int>(header->nlmsg_len - NLMSG_LENGTH(sizeof *entry));
  auto* attribute = reinterpret_cast<rtattr*>(payload + NLMSG_ALIGN(sizeof *entry));
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type == NDA_LLADDR && RTA_PAYLOAD(attribute) == found.link.size()) {
      std::memcpy(found.link.data(), RTA_DATA(attribute), found.link.size());
      has_link = true;
    }
    if (attribute->rta_type != NDA_DST) continue;
    const auto address = address_in(attribute, entry->ndm_family);
    has_address = address.has_value();
    if (address) found.address = *address;
  }
  if (has_link && has_address) into.push_back(found);
}

// False: the dump is over, or failed.
bool take_part(int socket, std::vector<std::byte>& buffer, std::vector<Neighbour>& into) {
  const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
  if (size <= 0) return false;
  auto left = static_cast<unsigned>(size);
  for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, left);
       header = NLMSG_NEXT(header, left)) {
    if (header->nlmsg_type != RTM_NEWNEIGH) return false;  // NLMSG_DONE, NLMSG_ERROR
    add_neighbour(header, into);
  }
  return true;
}

}  // namespace

std::vector<Neighbour> read_neighbours() {
  std::vector<Neighbour> found;
  const base::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return found;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kDumpTimeout, sizeof kDumpTimeout);
  struct {
    nlmsghdr header;
    ndmsg body;
  } request{};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.body);
  request.header.nlmsg_type = RTM_GETNEIGH;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.ndm_family = AF_UNSPEC;
  if (::send(socket.get(), &request, request.header.nlmsg_len, 0) < 0) return found;
  std::vector<std::byte> buffer(kDumpBuffer);
  while (take_part(socket.get(), buffer, found)) {
  }
  return found;
}

ClientKeys::ClientKeys(Who who, Read read) : who_(who), read_(std::move(read)) {}

base::IpAddress ClientKeys::of(const base::IpAddress& address, Clock::time_point now) {
  if (who_ == Who::kOne) return {};
  const auto plain = address.unmapped();
  if (who_ == Who::kEachAddress) return plain;
  auto found = keys_.find(plain);
  if ((found == keys_.end() && may_read(now)) || now - read_at_ >= kKeep) {
    read(now);
    found = keys_.find(plain);
    if (found == keys_.end() && keys_.size() < kMaxKnown) keys_.emplace(plain, plain);
  }
  return found == keys_.end() ? plain : found->second;
}

bool ClientKeys::may_read(Clock::time_point now) {
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    reads_ = 0;
  }
  return ++reads_ <= kReadsASecond;
}

void ClientKeys::read(Clock::time_point now) {
  read_at_ = now;
  keys_.clear();
  const auto neighbours = read_();
  std::map<LinkKey, int> v4_of;
  for (const auto& one : neighbours) v4_of[{one.interface_index, one.link}] += one.address.is_v4() ? 1 : 0;
  for (const auto& one : neighbours) {
    const LinkKey link{one.interface_index, one.link};
    if (v4_of[link] <= 1) keys_.emplace(one.address, key_of(link));
  }
}

}  // namespace soleroute::gateway::net
