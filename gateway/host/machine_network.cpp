// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/machine_network.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <string>

#include "base/fd.h"
#include "base/read_file.h"
#include "gateway/netlink/links.h"

namespace soleroute::gateway::host {
namespace {

constexpr ino_t kFirstPidNamespace = 4026531836;              // Linux, include/linux/proc_ns.h: PROC_PID_INIT_INO
constexpr std::uint64_t kFirstNetworkNamespace = 4026531833;  // the same file since 6.18; no other has it before
constexpr std::uint64_t kFirstCookie = 1;  // net_ns_init() takes it before anything else, 5.14 to 6.17
constexpr int kNetworkCookie = 71;         // SO_NETNS_COOKIE, which old headers lack
constexpr std::size_t kMaxNumber = 32;

std::optional<ino_t> inode_of(const char* path) {
  struct stat info{};
  if (::stat(path, &info) != 0) return std::nullopt;
  return info.st_ino;
}

std::optional<std::uint64_t> network_cookie() {
  const base::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (!socket || ::getsockopt(socket.get(), SOL_SOCKET, kNetworkCookie, &cookie, &size) != 0) return std::nullopt;
  return cookie;
}

// /sys may be that of another network namespace, so an interface is taken for the one there only if its number agrees.
bool is_hardware(const netlink::Interface& interface) {
  const std::string folder = "/sys/class/net/" + interface.name;
  if (::access((folder + "/device").c_str(), F_OK) != 0) return false;
  const std::string text = base::read_file(folder + "/ifindex", kMaxNumber).value_or("");
  int index = 0;
  std::from_chars(text.data(), text.data() + text.size(), index);
  return index == interface.index;
}

bool has_hardware() {
  const auto interfaces = netlink::list_interfaces();
  if (!interfaces) return false;
  for (const auto& interface : *interfaces) {
    if (!interface.loopback && is_hardware(interface)) return true;
  }
  return false;
}

}  // namespace

bool is_machine_network(const NetworkFacts& facts) {
  if (facts.namespace_inode == kFirstNetworkNamespace || facts.cookie == kFirstCookie) return true;
  if (facts.first_pid_namespace && facts.is_of_pid_1) return *facts.is_of_pid_1;
  return !facts.cookie && facts.has_hardware;
}

NetworkFacts gather_network_facts() {
  const auto own = inode_of("/proc/self/ns/net");
  const auto first = inode_of("/proc/1/ns/net");
  NetworkFacts facts;
  facts.namespace_inode = own.value_or(0);
  facts.cookie = network_cookie();
  facts.first_pid_namespace = inode_of("/proc/self/ns/pid") == kFirstPidNamespace;
  if (own && first) facts.is_of_pid_1 = *own == *first;
  facts.has_hardware = !facts.cookie && has_hardware();  // rtnetlink is asked only where the cookie does not tell
  return facts;
}

}  // namespace soleroute::gateway::host
