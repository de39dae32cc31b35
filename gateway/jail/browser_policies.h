// The files with which browsers are told to trust further certificates: their managed policies.
// Reads the file system; changes nothing.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/jail/mounts.h"

namespace soleroute::gateway::jail {

// For the browsers that are installed below `root` ("" or a test's folder). Chromium and its kin take CACertificates
// since version 128. Firefox's is `distribution/policies.json` in its program folder, and only where there is none.
[[nodiscard]] std::vector<AddedFile> browser_policies(std::string_view certificates_pem, const std::string& root = {});

}  // namespace soleroute::gateway::jail
