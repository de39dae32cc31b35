// One request to the kernel over netlink, and the attributes of its answers. For what builds on it; no libmnl shows.
// Speaks to the network namespace of the calling thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <linux/netlink.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/ip_address.h"
#include "base/message_buffer.h"
#include "base/netlink_wait.h"
#include "base/result.h"

namespace soleroute::gateway::netlink {

using OnMessage = std::function<void(const nlmsghdr&)>;

// Strict: the kernel leaves out of a dump what the request does not ask for (Linux 4.20; one before tells all).
enum class Dump : std::uint8_t { kWhole, kStrict };

[[nodiscard]] int family_number(base::Family family);

// A message under construction: header, the family's own body (zeros at first), attributes.
class Request {
 public:
  Request(std::uint16_t type, unsigned flags, std::size_t body_size, int bus = NETLINK_ROUTE);
  template <class Body>
  [[nodiscard]] Body& body() {
    return *static_cast<Body*>(body_);
  }
  void put_address(std::uint16_t type, const base::IpAddress& address);
  void put_u32(std::uint16_t type, std::uint32_t value);
  void put_bytes(std::uint16_t type, std::span<const std::uint8_t> bytes);
  void put_text(std::uint16_t type, const char* text);
  void put_zeros(std::size_t size);
  // Within attributes of these types, each inside the one before.
  void put_nested(std::span<const std::uint16_t> types, const std::function<void()>& put);

  // Sends it on a socket of its own and hears all answers. Errors are kSystem and begin with `what`.
  [[nodiscard]] base::Status run(const char* what, OnMessage on_message = {}, Dump dump = Dump::kWhole,
                                 std::chrono::milliseconds wait = std::chrono::seconds(base::kNetlinkWaitSeconds));

 private:
  int bus_;
  base::MessageBuffer buffer_;
  nlmsghdr* header_;
  void* body_;
};

template <class Body>
[[nodiscard]] const Body& body_of(const nlmsghdr& message) {
  return *reinterpret_cast<const Body*>(reinterpret_cast<const char*>(&message) + NLMSG_HDRLEN);
}

// The attributes of a message by type; those above the highest are left out.
class Attributes {
 public:
  static constexpr std::size_t kHighest = 31;

  Attributes(const nlmsghdr& message, std::size_t body_size);
  explicit Attributes(std::span<const std::uint8_t> nested);
  [[nodiscard]] std::span<const std::uint8_t> bytes(std::size_t type) const;  // empty: there is none
  [[nodiscard]] std::optional<std::uint32_t> u32(std::size_t type) const;
  [[nodiscard]] std::optional<base::IpAddress> address(std::size_t type) const;
  [[nodiscard]] std::string text(std::size_t type) const;

 private:
  using Table = std::array<std::span<const std::uint8_t>, kHighest + 1>;
  Table table_{};
};

}  // namespace soleroute::gateway::netlink
