// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/request.h"

#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace soleroute::gateway::netlink {
namespace {

constexpr std::size_t kBuffer = std::size_t{32} * 1024;  // the kernel's largest dump message

struct SocketDeleter {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};

int forward_message(const nlmsghdr* header, void* data) {
  const auto& on_message = *static_cast<const OnMessage*>(data);
  if (on_message) on_message(*header);
  return MNL_CB_OK;
}

}  // namespace

int family_number(base::Family family) {
  return family == base::Family::kV4 ? AF_INET : AF_INET6;
}

Request::Request(std::uint16_t type, unsigned flags, std::size_t body_size, int bus)
    : bus_(bus), buffer_(kBuffer), header_(mnl_nlmsg_put_header(buffer_.data())) {
  header_->nlmsg_type = type;
  header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header_->nlmsg_seq = 1;
  body_ = mnl_nlmsg_put_extra_header(header_, body_size);
}

void Request::put_address(std::uint16_t type, const base::IpAddress& address) {
  mnl_attr_put(header_, type, address.bytes().size(), address.bytes().data());
}

void Request::put_u32(std::uint16_t type, std::uint32_t value) {
  mnl_attr_put_u32(header_, type, value);
}

void Request::put_bytes(std::uint16_t type, std::span<const std::uint8_t> bytes) {
  mnl_attr_put(header_, type, bytes.size(), bytes.data());
}

void Request::put_text(std::uint16_t type, const char* text) {
  mnl_attr_put_strz(header_, type, text);
}

void Request::put_zeros(std::size_t size) {
  mnl_nlmsg_put_extra_header(header_, size);
}

void Request::put_nested(std::span<const std::uint16_t> types, const std::function<void()>& put) {
  if (types.empty()) return put();
  nlattr* nest = mnl_attr_nest_start(header_, types.front());
  put_nested(types.subspan(1), put);
  mnl_attr_nest_end(header_, nest);
}

base::Status Request::run(const char* what, OnMessage on_message, Dump dump, std::chrono::milliseconds wait) {
  const std::unique_ptr<mnl_socket, SocketDeleter> socket(mnl_socket_open2(bus_, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return base::errno_error(what);
  base::limit_waiting(mnl_socket_get_fd(socket.get()), wait);
  int on = 1;
  if (dump == Dump::kStrict) mnl_socket_setsockopt(socket.get(), NETLINK_GET_STRICT_CHK, &on, sizeof on);
  if (mnl_socket_sendto(socket.get(), header_, header_->nlmsg_len) < 0) return base::errno_error(what);
  base::MessageBuffer buffer(kBuffer);
  int state = MNL_CB_OK;
  while (state > MNL_CB_STOP) {
    const ssize_t received = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (received < 0) return base::receive_error(what);
    state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), 1, mnl_socket_get_portid(socket.get()),
                       forward_message, &on_message);
  }
  if (state < 0) return base::errno_error(what);
  return {};
}

namespace {

template <class Table>
int take_attribute(const nlattr* attribute, void* data) {
  auto& table = *static_cast<Table*>(data);
  const std::uint16_t type = mnl_attr_get_type(attribute);
  if (type >= table.size()) return MNL_CB_OK;
  table[type] = {static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
                 mnl_attr_get_payload_len(attribute)};
  return MNL_CB_OK;
}

}  // namespace

Attributes::Attributes(const nlmsghdr& message, std::size_t body_size) {
  mnl_attr_parse(&message, static_cast<unsigned>(body_size), take_attribute<Table>, &table_);
}

Attributes::Attributes(std::span<const std::uint8_t> nested) {
  mnl_attr_parse_payload(nested.data(), nested.size(), take_attribute<Table>, &table_);
}

std::span<const std::uint8_t> Attributes::bytes(std::size_t type) const {
  return table_[type];
}

std::optional<std::uint32_t> Attributes::u32(std::size_t type) const {
  std::uint32_t value = 0;
  if (table_[type].size() < sizeof value) return std::nullopt;
  std::memcpy(&value, table_[type].data(), sizeof value);
  return value;
}

std::optional<base::IpAddress> Attributes::address(std::size_t type) const {
  const auto bytes = table_[type];
  if (bytes.size() == 4) return base::IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
  if (bytes.size() != 16) return std::nullopt;
  std::array<std::uint8_t, 16> sixteen{};
  std::ranges::copy(bytes, sixteen.begin());
  return base::IpAddress::v6(sixteen);
}

std::string Attributes::text(std::size_t type) const {
  const auto end = std::ranges::find(table_[type], 0);
  return {table_[type].begin(), end};
}

}  // namespace soleroute::gateway::netlink
