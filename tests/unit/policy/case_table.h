// Reads tests/data/policy/cases.txt: the table that the parser and the JSON Schema are tested with.
// Test code only.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <fstream>
#include <string>
#include <vector>

namespace soleroute::policy::testing {

struct Case {
  std::string name;
  bool good = false;
  std::string expect;  // how the error begins, for bad ones
  std::string text;
};

inline std::vector<Case> read_cases() {
  std::ifstream file(SOLEROUTE_SOURCE_DIR "/tests/data/policy/cases.txt");
  std::vector<Case> cases;
  bool in_text = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("=== ")) {
      const bool good = line.starts_with("=== good ");
      cases.push_back({line.substr(good ? 9 : 8), good, {}, {}});
      in_text = false;
    } else if (in_text) {
      cases.back().text += line + "\n";
    } else if (line.starts_with("expect: ")) {
      cases.back().expect = line.substr(8);
    } else if (line == "---") {
      in_text = true;
    }
  }
  return cases;
}

}  // namespace soleroute::policy::testing
