// A directory held open, so that nothing can be put in its place between a check and its use; its files are ordinary
// ones, read whole and written atomically.
// Move-only. Symbolic links are followed on the way to the directory and nowhere else.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace soleroute::gateway::inspect {

class GuardedDirectory {
 public:
  enum class Access : std::uint8_t {
    kSecret,  // owned by this user or root, for nobody else's eyes
    kPublic,
  };
  enum class Existing : std::uint8_t { kReplaced, kKept };

  // ENOENT where it is not there; kUsage where it is something else than a directory.
  [[nodiscard]] static base::Result<GuardedDirectory> open(const std::string& path);
  // Makes what is missing of the path first, the last directory with `mode`.
  [[nodiscard]] static base::Result<GuardedDirectory> open_or_make(const std::string& path, mode_t mode);

  // kUsage, with what to do, where somebody else owns it or may write to it.
  [[nodiscard]] base::Status check_private() const;
  [[nodiscard]] bool is_same_as(const GuardedDirectory& other) const;
  [[nodiscard]] bool has(const char* name) const;
  // The whole file; nothing where there is none. kUsage for a link, another kind of file, an owner or a mode that
  // `access` excludes.
  [[nodiscard]] base::Result<std::optional<std::string>> read(const char* name, Access access) const;
  [[nodiscard]] base::Status check(const char* name, Access access) const;  // the same without reading
  // Under a name of its own first, synced, then put in place with one call. False where kKept found one there.
  [[nodiscard]] base::Result<bool> write(const char* name, std::string_view text, mode_t mode, Existing existing) const;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string shown(const char* name) const;  // "path/name" for people

 private:
  GuardedDirectory(std::string path, base::Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  [[nodiscard]] base::Result<base::Fd> open_file(const char* name, Access access) const;

  std::string path_;
  base::Fd fd_;
};

}  // namespace soleroute::gateway::inspect
