// The files with which browsers are told to trust further certificates: their managed policies.
// Reads the file system; changes nothing.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/jail/mounts.h"

namespace soleroute::gateway::jail {

// Each takes a file and a descriptor until the jail is made, in each of Firefox's folders.
inline constexpr std::size_t kMaxFirefoxCertificates = 32;

struct BrowserPolicies {
  std::vector<AddedFile> files;
  bool without_firefox = false;  // more than kMaxFirefoxCertificates
};

// For the browsers that are installed below `root` ("" or a test's folder). Chromium and its kin take CACertificates
// since version 128. Firefox's is `distribution/policies.json` in its program folder, and only where there is none.
// Chromium's names all of `certificates_pem`, Firefox's those of `firefox_pem` alone.
[[nodiscard]] BrowserPolicies browser_policies(std::string_view certificates_pem, std::string_view firefox_pem,
                                               const std::string& root = {});

}  // namespace soleroute::gateway::jail
