// Writes the new text of a policy file in place of the text that was read.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace soleroute::gateway::host {

// Writes a new file beside the old one and renames it, so that a reader sees the old text or the new one; mode and
// owner stay. A symbolic link is followed to the file. A file that cannot be renamed (bind-mounted alone into a
// container, or in a folder that cannot be written) is written in place. A file that does not exist counts as one with
// no text. Errors: kUsage, `path: what is wrong`; the file has its old text then. It is an error if the file no longer
// has `old_text`.
[[nodiscard]] base::Status replace_policy_file(const std::string& path, std::string_view old_text,
                                               std::string_view new_text);

}  // namespace soleroute::gateway::host
