// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/socket_places.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

namespace soleroute::gateway::jail {
namespace {

constexpr std::array<std::string_view, 29> kNeverSearched{
    // The kernel's own.
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset", "debugfs", "devpts", "efivarfs",
    "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs",
    "tracefs",
    // Never written to, and a socket is bound by making its file.
    "erofs", "iso9660", "squashfs",
    // Served by another machine.
    "afs", "ceph", "cifs", "lustre", "smb3"};
constexpr std::array<std::string_view, 2> kNeverSearchedKinds{"nfs", "fuse."};

struct Below {
  std::string_view name;
  int levels;
};

// Each with bounds of its own, before the folders that are above them.
constexpr std::array kFoldersOfDisplays{Below{"/tmp/.X11-unix", 1}, Below{"/tmp/.ICE-unix", 1}};
constexpr int kDisplays = 32;
constexpr std::array kRuntimeFolders{Below{"/run", 4}, Below{"/var/run", 4}, Below{"/tmp", 2}};
constexpr std::array kUsualFolders{
    Below{"/dev", 2},         Below{"/nix/var/nix/daemon-socket", 1}, Below{"/var/lib/incus", 2},
    Below{"/var/lib/lxd", 2}, Below{"/var/snap/lxd/common/lxd", 2},   Below{"/var/spool/postfix", 2},
    Below{"/var/tmp", 2}};
// Agents of keys, container engines and virtual machines of one user.
constexpr std::array kFoldersOfAUser{Below{"", 1},
                                     Below{"/.cache", 2},
                                     Below{"/.colima", 2},
                                     Below{"/.docker", 2},
                                     Below{"/.gnupg", 2},
                                     Below{"/.lima", 3},
                                     Below{"/.local/share/containers", 4},
                                     Below{"/.orbstack", 2},
                                     Below{"/.rd", 2},
                                     Below{"/.ssh", 2}};
constexpr int kLevelsOfAMount = 2;
constexpr int kLevelsOfAVariable = 2;

constexpr std::array<std::string_view, 7> kVariablesOfFolders{
    "GNOME_KEYRING_CONTROL", "GNUPGHOME", "PGHOST", "TMPDIR", "TMUX_TMPDIR", "XDG_RUNTIME_DIR", "ZELLIJ_SOCKET_DIR"};

// D-Bus writes bytes that it keeps for itself as %XX.
std::string percent_decoded(std::string_view text) {
  constexpr std::size_t kDigits = 2;
  constexpr int kHexadecimal = 16;
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    unsigned char value = 0;
    const char* digits = text.data() + at + 1;
    const bool escape = text[at] == '%' && at + kDigits < text.size() &&
                        std::from_chars(digits, digits + kDigits, value, kHexadecimal).ptr == digits + kDigits;
    out += escape ? static_cast<char>(value) : text[at];
    if (escape) at += kDigits;
  }
  return out;
}

void add_path(std::vector<std::string>& paths, std::string_view path) {
  if (!path.starts_with('/') || path.find('\0') != std::string_view::npos) return;
  for (std::string& form : std::array{std::string(path), percent_decoded(path)}) {
    if (std::ranges::find(paths, form) == paths.end()) paths.push_back(std::move(form));
  }
}

void add_below(std::vector<SearchedFolder>& folders, const std::string& top, std::span<const Below> list) {
  for (const Below& below : list) folders.push_back({top + std::string(below.name), below.levels});
}

void add_variable(SocketPlaces& places, std::string_view entry) {
  const std::size_t equals = entry.find('=');
  if (equals == std::string_view::npos) return;
  const std::string_view value = entry.substr(equals + 1);
  for (std::string& path : paths_in(value)) places.paths.push_back(std::move(path));
  const bool folder = std::ranges::find(kVariablesOfFolders, entry.substr(0, equals)) != kVariablesOfFolders.end();
  if (folder && value.starts_with('/')) places.folders.push_back({std::string(value), kLevelsOfAVariable});
}

// What programs look for without a variable's help.
void add_well_known(SocketPlaces& places) {
  for (int display = 0; display < kDisplays; ++display) {
    places.paths.push_back(fmt::format("/tmp/.X11-unix/X{}", display));
  }
  places.paths.push_back(fmt::format("/tmp/tmux-{}/default", places.uid));
  add_below(places.folders, "", kFoldersOfDisplays);
  places.folders.push_back({fmt::format("/run/user/{}", places.uid), kLevelsOfAVariable});
}

}  // namespace

bool may_hold_sockets(const base::Mount& mount) {
  return mount.type != "fuse" && std::ranges::find(kNeverSearched, mount.type) == kNeverSearched.end() &&
         std::ranges::none_of(kNeverSearchedKinds,
                              [&mount](std::string_view kind) { return mount.type.starts_with(kind); });
}

std::vector<std::string> paths_in(std::string_view value) {
  constexpr std::string_view kSeparators = " \t\n,;:=|\"'()[]{}";
  std::vector<std::string> paths;
  add_path(paths, value);  // whole: a path may hold any of the separators
  for (const std::string_view mark : {":", "="}) {
    const std::size_t at = value.find(mark);
    if (at != std::string_view::npos) add_path(paths, value.substr(at + mark.size()));
  }
  while (!value.empty()) {
    const std::size_t end = std::min(value.find_first_of(kSeparators), value.size());
    add_path(paths, value.substr(0, end));
    value.remove_prefix(std::min(end + 1, value.size()));
  }
  return paths;
}

SocketPlaces socket_places(std::span<const std::string> environment, std::span<const base::Mount> mounts,
                           const std::string& home, uid_t uid) {
  SocketPlaces places;
  places.uid = uid;
  for (const std::string& entry : environment) add_variable(places, entry);
  add_well_known(places);
  add_below(places.folders, "", kRuntimeFolders);
  add_below(places.folders, "", kUsualFolders);
  if (home.starts_with('/')) add_below(places.folders, home == "/" ? "" : home, kFoldersOfAUser);
  for (const base::Mount& mount : mounts) {
    if (mount.point == "/" || !may_hold_sockets(mount)) continue;
    places.paths.push_back(mount.point);  // a socket may be a mount of its own
    places.folders.push_back({mount.point, kLevelsOfAMount});
    // A container may have the machine's whole file system at /host.
    add_below(places.folders, mount.point, kRuntimeFolders);
  }
  return places;
}

}  // namespace soleroute::gateway::jail
