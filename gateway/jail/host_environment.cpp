// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/host_environment.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/mount_info.h"
#include "base/text.h"
#include "gateway/host/policy_files.h"
#include "gateway/jail/socket_places.h"
#include "gateway/jail/socket_search.h"
#include "gateway/jail/unix_sockets.h"

namespace soleroute::gateway::jail {
namespace {

constexpr const char* kResolvConf = "/etc/resolv.conf";
constexpr std::size_t kMaxResolvConf = std::size_t{64} * 1024;

using FileId = std::pair<dev_t, ino_t>;

base::Result<std::vector<FileId>> identify_sockets(std::span<const std::string> paths) {
  std::vector<FileId> ids;
  for (const std::string& path : paths) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) {
      return base::usage_error(fmt::format("{}: no such Unix socket", base::shown(path)));
    }
    ids.emplace_back(status.st_dev, status.st_ino);
  }
  return ids;
}

// Sockets that appear in it later are hidden too; only if nothing in it is to stay reachable.
bool can_be_emptied(const std::string& directory, std::span<const std::string> kept_sockets) {
  struct stat status{};
  if (::stat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return false;
  return std::ranges::none_of(kept_sockets,
                              [prefix = directory + "/"](const std::string& path) { return path.starts_with(prefix); });
}

// Whether `directory`, once the working directory, is another folder now.
bool was_replaced(const std::string& directory) {
  struct stat there{};
  struct stat here{};
  if (directory.empty() || ::stat(".", &here) != 0) return false;
  return ::stat(directory.c_str(), &there) != 0 || there.st_dev != here.st_dev || there.st_ino != here.st_ino;
}

std::string what_changed(const policy::PolicySource& source) {
  const auto now = host::read_policy_file(source.name);
  if (!now) return now.error().message;
  if (now->text == source.text) return {};
  return fmt::format("{}: changed while the command ran: review it before the next run", base::shown(source.name));
}

std::string first_of(std::span<const std::string> paths) {
  constexpr std::size_t kNamed = 3;
  std::string names;
  for (const std::string& path : paths.first(std::min(paths.size(), kNamed))) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", base::shown(path));
  }
  if (paths.size() > kNamed) names += fmt::format(" and {} more", paths.size() - kNamed);
  return names;
}

}  // namespace

base::Result<LoadedPolicy> load_jail_policy(const std::vector<std::string>& files, const host::FileReader& read,
                                            std::span<const policy::PolicySource> over) {
  LoadedPolicy loaded;
  loaded.choice = host::choose_policy(files);
  SR_LET(sources, host::read_policy_files(loaded.choice.files, read));
  std::vector<policy::PolicySource> layers = *sources;
  layers.insert(layers.end(), over.begin(), over.end());
  SR_LET(compiled, policy::Policy::compile(layers));
  loaded.sources = std::move(*sources);
  loaded.policy = policy::Policy::without_agents(*compiled);
  if (!loaded.choice.guessed) return loaded;
  std::error_code failed;
  loaded.directory = std::filesystem::current_path(failed).string();
  return loaded;
}

std::vector<std::string> policy_changes(const LoadedPolicy& loaded) {
  std::vector<std::string> changes;
  for (const policy::PolicySource& source : loaded.sources) {
    if (std::string change = what_changed(source); !change.empty()) changes.push_back(std::move(change));
  }
  if (!loaded.choice.guessed) return changes;
  if (was_replaced(loaded.directory)) {
    changes.push_back(fmt::format("{}: moved while the command ran: review what is there before the next run",
                                  base::shown(loaded.directory)));
  }
  // The one that the next run would take: there was none, or another comes before it.
  const auto now = host::find_default_policy("");
  if (now && (loaded.sources.empty() || loaded.sources.front().name != *now)) {
    changes.push_back(
        fmt::format("{}: appeared while the command ran: review it before the next run", base::shown(*now)));
  }
  return changes;
}

base::Result<std::vector<std::string>> sockets_to_mask(std::vector<std::string> bound,
                                                       std::span<const std::string> kept) {
  SR_LET(ids, identify_sockets(kept));
  std::erase_if(bound, [&ids](const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 &&
           std::ranges::find(*ids, FileId(status.st_dev, status.st_ino)) != ids->end();
  });
  return bound;
}

base::Result<HostEnvironment> plan_mounts(const MountRequest& request) {
  SR_LET(bound, reachable_unix_sockets());
  const std::span<const base::Mount> mounts = request.mounts;
  std::vector<std::string> own = with_other_paths(*bound, mounts);
  FoundSockets found = find_live_sockets(socket_places(request.environment, mounts, request.home, request.uid), mounts);
  std::vector<std::string> foreign;
  std::ranges::set_difference(with_other_paths(found.live, mounts), own, std::back_inserter(foreign));
  SR_LET(masked_own, sockets_to_mask(std::move(own), request.kept_sockets));
  SR_LET(masked_foreign, sockets_to_mask(std::move(foreign), request.kept_sockets));

  HostEnvironment out;
  out.mounts.masked_sockets = std::move(*masked_own);
  out.mounts.masked_sockets.insert(out.mounts.masked_sockets.end(), masked_foreign->begin(), masked_foreign->end());
  out.foreign_sockets = std::move(*masked_foreign);
  out.mounts.empty_directories = std::move(found.closed);
  out.cut_searches = std::move(found.cut);
  out.mounts.automounts = find_automounts(mounts);
  const std::string runtime_directory = fmt::format("/run/user/{}", request.uid);
  if (can_be_emptied(runtime_directory, request.kept_sockets)) {
    out.mounts.empty_directories.push_back(runtime_directory);
  }
  // Unreadable or absent: programs then ask 127.0.0.1, which is answered too.
  if (const auto resolv_conf = host::read_small_file(kResolvConf, kMaxResolvConf)) {
    out.mounts.files.push_back({kResolvConf, resolv_conf_with(*resolv_conf, request.nameserver.to_string())});
  }
  return out;
}

std::string say_hidden(std::span<const std::string> sockets) {
  if (sockets.empty()) return {};
  return fmt::format("hidden Unix sockets: {} (to allow one: --unix-socket PATH)", first_of(sockets));
}

std::string say_cut(std::span<const std::string> folders) {
  if (folders.empty()) return {};
  return fmt::format("too many folders and sockets to search {} completely: Unix sockets there may be reachable",
                     first_of(folders));
}

}  // namespace soleroute::gateway::jail
