// Writes a project's new files: all of them or none, never over a file, never through a link.
// For one thread; signals wait until it is done, so that an interrupt leaves no half-written project.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/project/stack_template.h"

namespace soleroute::gateway::project {

// Which of these paths below `folder` are taken, by a file or by anything else.
[[nodiscard]] std::vector<std::string> taken_paths(const std::string& folder, std::span<const ProjectFile> files);

// The files are at most one folder deep; the last one appears last. Written as root, they become the folder's owner's.
// Errors say which path, and what a user can do. Of the files, those in `set_aside` exist: they become NAME.old.
[[nodiscard]] base::Status write_new_files(const std::string& folder, std::span<const ProjectFile> files,
                                           std::span<const std::string> set_aside = {});

// The whole text of an ordinary file, which keeps its owner and mode: the new one or the old one.
[[nodiscard]] base::Status replace_text(const std::string& path, std::string_view text);

// Adds lines to the end of an ordinary file: all of them or none.
[[nodiscard]] base::Status append_lines(const std::string& path, std::string_view lines);

// mkdir -p: those that are missing below `base`, which must exist; they become its owner's.
[[nodiscard]] base::Status make_folders(const std::string& base, const std::string& below);

}  // namespace soleroute::gateway::project
