// Which addresses share one budget, from tables of neighbours as the kernel could have them.
// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/client_keys.h"

#include <gtest/gtest.h>

#include <string>

namespace soleroute::gateway::net {
namespace {

using std::chrono::seconds;
using Moment = ClientKeys::Clock::time_point;
using netlink::Neighbour;
const Moment kStart = Moment{} + std::chrono::hours(1);

base::IpAddress address(const std::string& text) {
  return base::IpAddress::parse(text).value();
}

Neighbour neighbour(const std::string& text, std::uint8_t link, std::uint32_t interface = 3) {
  return {address(text), interface, {2, 0, 0, 0, 0, link}};
}

TEST(ClientKeys, MakesOneClientOfBothFamiliesOfANeighbour) {
  ClientKeys keys(ClientKeys::Who::kEachNeighbour, [] {
    return std::vector<Neighbour>{neighbour("10.77.0.10", 1), neighbour("fd77::10", 1), neighbour("fe80::10", 1),
                                  neighbour("10.77.0.11", 2), neighbour("fd77::11", 2)};
  });
  const auto agent = keys.of(address("10.77.0.10"), kStart);
  EXPECT_EQ(keys.of(address("fd77::10"), kStart), agent);
  EXPECT_EQ(keys.of(address("fe80::10"), kStart), agent);
  EXPECT_EQ(keys.of(address("::ffff:10.77.0.10"), kStart), agent);
  EXPECT_NE(keys.of(address("10.77.0.11"), kStart), agent) << "the neighbour is another";
  EXPECT_EQ(keys.of(address("fd77::11"), kStart), keys.of(address("10.77.0.11"), kStart));
}

TEST(ClientKeys, KeepsApartWhatIsBehindOneEthernetAddress) {
  ClientKeys keys(ClientKeys::Who::kEachNeighbour, [] {
    return std::vector<Neighbour>{neighbour("10.77.0.10", 1), neighbour("10.77.0.11", 1), neighbour("fd77::10", 1)};
  });
  EXPECT_NE(keys.of(address("10.77.0.10"), kStart), keys.of(address("10.77.0.11"), kStart)) << "a router in between";
  EXPECT_NE(keys.of(address("fd77::10"), kStart), keys.of(address("10.77.0.10"), kStart));
}

TEST(ClientKeys, KeepsApartTheSameEthernetAddressOnTwoInterfaces) {
  ClientKeys keys(ClientKeys::Who::kEachNeighbour,
                  [] { return std::vector<Neighbour>{neighbour("10.77.0.10", 1, 3), neighbour("fd77::10", 1, 4)}; });
  EXPECT_NE(keys.of(address("10.77.0.10"), kStart), keys.of(address("fd77::10"), kStart));
}

TEST(ClientKeys, ReadsAgainForANewAddressButNotForEachConnection) {
  int reads = 0;
  std::vector<Neighbour> table{neighbour("10.77.0.10", 1)};
  ClientKeys keys(ClientKeys::Who::kEachNeighbour, [&] {
    ++reads;
    return table;
  });
  const auto agent = keys.of(address("10.77.0.10"), kStart);
  table.push_back(neighbour("fd77::10", 1));
  EXPECT_EQ(keys.of(address("fd77::10"), kStart), agent) << "at once";
  EXPECT_EQ(reads, 2);
  EXPECT_EQ(keys.of(address("fd77::99"), kStart), address("fd77::99")) << "unknown: a client of its own";
  for (int i = 0; i < 100; ++i) static_cast<void>(keys.of(address("fd77::99"), kStart));
  EXPECT_EQ(reads, 3) << "known not to be known";
  for (int i = 0; i < 100; ++i) static_cast<void>(keys.of(address("fd77::1:" + std::to_string(i)), kStart));
  EXPECT_EQ(reads, ClientKeys::kReadsASecond);
  static_cast<void>(keys.of(address("10.77.0.10"), kStart + seconds(30)));
  EXPECT_EQ(reads, ClientKeys::kReadsASecond + 1) << "a neighbour may have become another";
}

TEST(ClientKeys, CanTakeAllAddressesForOneClient) {
  ClientKeys one(ClientKeys::Who::kOne, [] { return std::vector<Neighbour>{}; });
  EXPECT_EQ(one.of(address("127.0.0.1"), kStart), one.of(address("127.0.0.2"), kStart));
  EXPECT_EQ(one.of(address("127.0.0.1"), kStart), one.of(address("::1"), kStart));
  ClientKeys each(ClientKeys::Who::kEachAddress, [] { return std::vector<Neighbour>{}; });
  EXPECT_NE(each.of(address("127.0.0.1"), kStart), each.of(address("127.0.0.2"), kStart));
}

TEST(ReadNeighbours, IsAnsweredByTheKernel) {
  for (const auto& one : netlink::read_neighbours()) EXPECT_NE(one.address, base::IpAddress{});
}

}  // namespace
}  // namespace soleroute::gateway::net
