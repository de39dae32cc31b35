// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/mount_info.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>

#include "base/read_file.h"
#include "base/text.h"

namespace soleroute::base {
namespace {

// proc(5): space, tab, line end and backslash are \ooo.
std::string unescaped(std::string_view text) {
  constexpr std::size_t kDigits = 3;
  constexpr int kOctal = 8;
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    int value = 0;
    const char* digits = text.data() + at + 1;
    const bool escape = text[at] == '\\' && at + kDigits < text.size() &&
                        std::from_chars(digits, digits + kDigits, value, kOctal).ptr == digits + kDigits;
    out += escape ? static_cast<char>(value) : text[at];
    if (escape) at += kDigits;
  }
  return out;
}

std::string_view next_field(std::string_view& line) {
  const std::size_t space = std::min(line.find(' '), line.size());
  const std::string_view field = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  return field;
}

// "36 35 98:0 /root /mount/point options optional… - type source options"
std::optional<Mount> mount_in(std::string_view text) {
  constexpr std::size_t kDevice = 2;
  constexpr std::size_t kRoot = 3;
  constexpr std::size_t kPoint = 4;
  constexpr std::string_view kEndOfOptional = " - ";
  const std::size_t end = text.find(kEndOfOptional);
  std::string_view line = text;
  std::array<std::string_view, kPoint + 1> fields;
  for (auto& field : fields) {
    if (line.empty()) return std::nullopt;
    field = next_field(line);
  }
  Mount mount{.device = std::string(fields[kDevice]),
              .root = unescaped(fields[kRoot]),
              .point = unescaped(fields[kPoint]),
              .type = {},
              .options = {}};
  if (end == std::string_view::npos) return mount;
  std::string_view rest = text.substr(end + kEndOfOptional.size());
  mount.type = next_field(rest);
  static_cast<void>(next_field(rest));  // the source
  mount.options = next_field(rest);
  return mount;
}

// `path` with `folder`, which holds it, replaced by `other`.
std::string moved(std::string_view path, std::string_view folder, const std::string& other) {
  std::string_view rest = path.substr(folder == "/" ? 0 : folder.size());
  if (rest == "/") rest = {};
  if (other == "/") return rest.empty() ? "/" : std::string(rest);
  return other + std::string(rest);
}

}  // namespace

Result<std::string> read_mount_info() {
  return read_file("/proc/self/mountinfo", std::string::npos);
}

std::vector<Mount> parse_mount_info(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  for (const auto line : lines_of(mountinfo)) {
    if (auto mount = mount_in(line)) mounts.push_back(std::move(*mount));
  }
  return mounts;
}

bool is_in(std::string_view path, std::string_view folder) {
  if (folder == "/") return path.starts_with('/');
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

const Mount* mount_of(std::string_view path, std::span<const Mount> mounts) {
  const Mount* nearest = nullptr;
  for (const Mount& mount : mounts) {
    if (is_in(path, mount.point) && (nearest == nullptr || mount.point.size() >= nearest->point.size())) {
      nearest = &mount;
    }
  }
  return nearest;
}

std::vector<std::string> paths_of_same_file(const std::string& path, std::span<const Mount> mounts) {
  std::vector<std::string> paths{path};
  const Mount* own = mount_of(path, mounts);
  if (own == nullptr) return paths;
  const std::string within = moved(path, own->point, own->root);
  for (const Mount& mount : mounts) {
    if (mount.device != own->device || !is_in(within, mount.root)) continue;
    std::string other = moved(within, mount.root, mount.point);
    if (std::ranges::find(paths, other) == paths.end()) paths.push_back(std::move(other));
  }
  return paths;
}

}  // namespace soleroute::base
