// A file among a folder's own, as the jail alone sees it.
// Called inside, with CAP_SYS_ADMIN over the mount namespace.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

namespace soleroute::gateway::jail {

struct AddedFile {
  std::string floor;  // a folder of the host's; nothing above it is touched
  std::string name;   // relative to it: "policies/managed/x.json"; folders that do not exist are made
  std::string text;
};

inline constexpr std::size_t kMaxCarriedEntries = 256;  // of a folder that is shown again

// The deepest folder of the way that exists is covered by a small one with the same entries and the further file.
// Where that cannot be done, nothing changes: the file is a convenience, and its absence lets nothing pass.
void add_file(const AddedFile& file);

}  // namespace soleroute::gateway::jail
