// Opens what protect() judged, and nothing else: as root on behalf of a user, whose processes may exchange the file for
// a link to one that is not theirs meanwhile.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "gateway/jail/credentials.h"
#include "gateway/jail/protected_paths.h"

namespace soleroute::gateway::jail {

// For appending; made where there is none. A path that the command's user cannot change is opened as it is. Otherwise
// it is the very file that was judged, or a new one that this user may make. Errors: kUsage, "path: what is wrong".
[[nodiscard]] base::Result<base::Fd> open_judged_log(const std::string& path, std::span<const JudgedPath> judged,
                                                     const Identity& command);

// The same for a regular file alone; never waits, as for the reader of a named pipe.
[[nodiscard]] base::Result<base::Fd> open_judged_file(const std::string& path, std::span<const JudgedPath> judged,
                                                      const Identity& command);

// The text of a small file, as host::read_settled_file() reads it; with the user's rights where that user can put
// another file at this path.
[[nodiscard]] base::Result<std::string> read_judged_file(const std::string& path, std::size_t max_bytes,
                                                         std::span<const JudgedPath> judged, const Identity& command);

}  // namespace soleroute::gateway::jail
