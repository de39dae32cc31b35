// Texts that people read, compared with files that were reviewed. SOLEROUTE_UPDATE_GOLDEN=1 writes the files anew; the
// diff is then the review.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace soleroute::testing {

// `file`: below tests/golden.
inline void expect_golden(const std::string& file, const std::string& text) {
  const auto path = std::filesystem::path(SOLEROUTE_SOURCE_DIR) / "tests/golden" / file;
  if (std::getenv("SOLEROUTE_UPDATE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::ifstream stored(path);
  std::ostringstream reviewed;
  reviewed << stored.rdbuf();
  EXPECT_EQ(text, reviewed.str()) << path << ": if the change is meant, run this test with SOLEROUTE_UPDATE_GOLDEN=1";
}

}  // namespace soleroute::testing
