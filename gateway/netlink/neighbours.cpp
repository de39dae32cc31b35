// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/neighbours.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <chrono>
#include <tuple>

#include "gateway/netlink/request.h"

namespace soleroute::gateway::netlink {
namespace {

constexpr std::chrono::milliseconds kWait{200};

}  // namespace

std::vector<Neighbour> read_neighbours() {
  std::vector<Neighbour> found;
  const auto take = [&](const nlmsghdr& message) {
    const auto& body = body_of<ndmsg>(message);
    const Attributes attributes(message, sizeof body);
    const auto address = attributes.address(NDA_DST);
    const auto link = attributes.bytes(NDA_LLADDR);
    if ((body.ndm_state & (NUD_FAILED | NUD_NOARP)) != 0 || !address || link.size() != Neighbour{}.link.size()) return;
    auto& entry = found.emplace_back(*address, static_cast<std::uint32_t>(body.ndm_ifindex));
    std::ranges::copy(link, entry.link.begin());
  };
  Request request(RTM_GETNEIGH, NLM_F_DUMP, sizeof(ndmsg));
  std::ignore = request.run("cannot list neighbours", take, Dump::kWhole, kWait);
  return found;
}

}  // namespace soleroute::gateway::netlink
