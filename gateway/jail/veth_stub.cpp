// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/veth_stub.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "gateway/netlink/links.h"

namespace soleroute::gateway::jail {
namespace {

constexpr const char* kNewWithoutIpv6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6";

}  // namespace

base::Status make_veth_stub() {
  // No such file: there is no IPv6 at all.
  const base::Fd without(::open(kNewWithoutIpv6, O_WRONLY | O_CLOEXEC));
  if (without && ::write(without.get(), "1", 1) != 1) return base::errno_error("cannot keep IPv6 off an interface");
  return netlink::add_veth_pair(kVethStub, kVethStubPeer);
}

}  // namespace soleroute::gateway::jail
