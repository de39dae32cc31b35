// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/host_path.h"

#include <array>
#include <charconv>
#include <vector>

namespace soleroute::gateway::project {
namespace {

struct Mount {
  std::string root;   // within its file system
  std::string point;  // here
};

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

// "36 35 98:0 /root /mount/point options…"
std::optional<Mount> mount_of(std::string_view line) {
  constexpr std::size_t kRoot = 3;
  constexpr std::size_t kPoint = 4;
  std::array<std::string_view, kPoint + 1> fields;
  for (auto& field : fields) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    field = line.substr(0, space);
    line.remove_prefix(space + 1);
  }
  return Mount{unescaped(fields[kRoot]), unescaped(fields[kPoint])};
}

bool holds(std::string_view point, std::string_view folder) {
  if (point == "/") return true;
  return folder.starts_with(point) && (folder.size() == point.size() || folder[point.size()] == '/');
}

}  // namespace

std::optional<std::string> path_on_the_machine(std::string_view folder, std::string_view mountinfo) {
  std::optional<Mount> nearest;
  while (!mountinfo.empty()) {
    const auto end = mountinfo.find('\n');
    auto mount = mount_of(mountinfo.substr(0, end));
    mountinfo.remove_prefix(end == std::string_view::npos ? mountinfo.size() : end + 1);
    if (!mount || !holds(mount->point, folder)) continue;
    // Of two mounts at one point the later one is seen.
    if (!nearest || mount->point.size() >= nearest->point.size()) nearest = std::move(mount);
  }
  if (!nearest || nearest->point == "/") return std::string(folder);
  if (nearest->root == "/") return std::nullopt;
  if (nearest->point.ends_with(nearest->root)) return std::string(folder);
  return nearest->root + std::string(folder.substr(nearest->point.size()));
}

}  // namespace soleroute::gateway::project
