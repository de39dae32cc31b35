// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/netns_processes.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <tuple>

#include "base/ascii.h"
#include "base/read_file.h"
#include "base/text.h"

namespace soleroute::gateway::host {
namespace {

constexpr std::size_t kMaxDescribed = 8;  // where all share one network, that is enough to see it
constexpr std::size_t kMaxProcFile = std::size_t{256} << 10;

std::string_view field(std::string_view status, std::string_view name) {
  for (auto line : base::lines_of(status)) {
    if (!line.starts_with(name) || line.substr(name.size()).find_first_of(':') != 0) continue;
    line.remove_prefix(name.size() + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    return line;
  }
  return {};
}

std::uint64_t capability_mask(std::string_view status, std::string_view name) {
  const std::string_view digits = field(status, name);
  std::uint64_t mask = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), mask, 16);
  return mask;
}

NetworkPowers powers_in(std::uint64_t mask) {
  return {.admin = (mask >> CAP_NET_ADMIN & 1U) != 0, .raw = (mask >> CAP_NET_RAW & 1U) != 0};
}

// Opaque where the process may not be looked into.
std::optional<std::pair<dev_t, ino_t>> network_of(const std::string& process) {
  struct stat info{};
  if (::stat((process + "/ns/net").c_str(), &info) != 0) return std::nullopt;
  return std::pair{info.st_dev, info.st_ino};
}

bool is_number(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, base::is_digit);
}

// A thread of the kernel runs no file; of a process whose file may not be seen, this is not known.
bool is_kernel_thread(const std::filesystem::path& process) {
  std::error_code error;
  std::ignore = std::filesystem::read_symlink(process / "exe", error);
  return error == std::errc::no_such_file_or_directory;
}

std::optional<std::string> describe_process(const std::filesystem::path& folder) {
  const std::string status = base::read_file(folder / "status", kMaxProcFile).value_or("");
  const NetworkPowers powers = network_powers(status);
  if (!powers.any()) return std::nullopt;
  return fmt::format(
      "process {} ({}) shares this network and has {}: it can bypass the rules; run it with cap_drop: [ALL] and "
      "no-new-privileges",
      folder.filename().string(), base::shown(field(status, "Name")), to_string(powers));
}

}  // namespace

NetworkPowers network_powers(std::string_view status) {
  std::uint64_t mask = capability_mask(status, "CapEff") | capability_mask(status, "CapPrm");
  const bool can_gain = field(status, "NoNewPrivs") != "1";
  if (can_gain) mask |= capability_mask(status, "CapBnd");
  return powers_in(mask);
}

NetworkPowers effective_powers(std::string_view status) {
  return powers_in(capability_mask(status, "CapEff"));
}

std::string to_string(NetworkPowers powers) {
  if (powers.admin && powers.raw) return "CAP_NET_ADMIN and CAP_NET_RAW";
  if (powers.admin) return "CAP_NET_ADMIN";
  return powers.raw ? "CAP_NET_RAW" : "neither";
}

int packet_socket_count(std::string_view table) {
  const auto lines = std::ranges::count(table, '\n');
  return static_cast<int>(std::max<std::ptrdiff_t>(lines - 1, 0));
}

std::vector<std::string> describe_netns_processes() {
  std::vector<std::string> found;
  const auto ours = network_of("/proc/self");
  std::size_t more = 0;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename();
    if (!is_number(name) || name == std::to_string(::getpid())) continue;
    if (!ours || network_of(entry.path()) != ours || is_kernel_thread(entry.path())) continue;
    auto line = describe_process(entry.path());
    if (line && found.size() < kMaxDescribed) {
      found.push_back(std::move(*line));
    } else if (line) {
      ++more;
    }
  }
  if (more > 0) found.push_back(fmt::format("{} more processes of this network can bypass the rules", more));
  if (const int sockets = packet_socket_count(base::read_file("/proc/net/packet", kMaxProcFile).value_or(""));
      sockets > 0) {
    found.push_back(fmt::format("{} packet socket{} open in this network: what they send bypasses the rules", sockets,
                                sockets == 1 ? " is" : "s are"));
  }
  return found;
}

}  // namespace soleroute::gateway::host
