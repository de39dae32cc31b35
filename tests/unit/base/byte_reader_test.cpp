// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/byte_reader.h"

#include <gtest/gtest.h>

#include <string_view>

namespace soleroute::base {
namespace {

using namespace std::string_view_literals;

TEST(ByteReader, ReadsBigEndianNumbers) {
  ByteReader reader(as_bytes("\x01\x02\x03\x04\x05\x06\xff\xfe\xfd\xfc"sv));
  EXPECT_EQ(reader.u8(), 0x01);
  EXPECT_EQ(reader.u16(), 0x0203);
  EXPECT_EQ(reader.u24(), 0x040506U);
  EXPECT_EQ(reader.u32(), 0xfffefdfcU);
  EXPECT_TRUE(reader.empty());
}

TEST(ByteReader, MovesNothingWhenThereIsTooLittle) {
  ByteReader reader(as_bytes("\x01\x02"sv));
  EXPECT_FALSE(reader.u32());
  EXPECT_FALSE(reader.u24());
  EXPECT_FALSE(reader.take(3));
  EXPECT_FALSE(reader.take(static_cast<std::size_t>(-1)));
  EXPECT_EQ(reader.position(), 0U);
  EXPECT_EQ(reader.u16(), 0x0102);
  EXPECT_FALSE(reader.u8());
  EXPECT_TRUE(reader.take(0));
}

}  // namespace
}  // namespace soleroute::base
