// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/credentials.h"

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>

namespace soleroute::gateway::jail {
namespace {

constexpr std::uint64_t bit(int capability) {
  return std::uint64_t{1} << capability;
}

// What it takes to do without a user namespace: make the namespaces and mounts, program the rules, become the user.
constexpr std::uint64_t kNeeded =
    bit(CAP_SYS_ADMIN) | bit(CAP_NET_ADMIN) | bit(CAP_SETUID) | bit(CAP_SETGID) | bit(CAP_SETPCAP);

constexpr std::uint64_t kFileCapabilities = bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FOWNER) | bit(CAP_FSETID) |
                                            bit(CAP_KILL) | bit(CAP_SETGID) | bit(CAP_SETUID);

// SECBIT_KEEP_CAPS is not locked: ping sets and clears it and ends if it may not, and there is no capability to keep.
constexpr unsigned long kLockedBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                      SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                      SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

struct Capabilities {
  std::uint64_t effective = 0;
  std::uint64_t permitted = 0;
  std::uint64_t inheritable = 0;
  bool operator==(const Capabilities&) const = default;
};

base::Result<Capabilities> current_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return base::errno_error("cannot read capabilities");
  const auto join = [](std::uint32_t low, std::uint32_t high) { return std::uint64_t{high} << 32 | low; };
  return Capabilities{.effective = join(data[0].effective, data[1].effective),
                      .permitted = join(data[0].permitted, data[1].permitted),
                      .inheritable = join(data[0].inheritable, data[1].inheritable)};
}

base::Status set_capabilities(std::uint64_t permitted) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const auto low = static_cast<std::uint32_t>(permitted);
  const auto high = static_cast<std::uint32_t>(permitted >> 32);
  const std::array<__user_cap_data_struct, 2> data{__user_cap_data_struct{low, low, 0},
                                                   __user_cap_data_struct{high, high, 0}};
  if (::syscall(SYS_capset, &header, data.data()) != 0) return base::errno_error("cannot set capabilities");
  return {};
}

base::Status limit_bounding_set(std::uint64_t to) {
  for (int capability = 0; capability < 64; ++capability) {
    if ((to & bit(capability)) != 0) continue;
    const int held = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (held < 0) break;  // EINVAL: the kernel knows no more of them
    if (held == 1 && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      return base::errno_error(fmt::format("cannot drop capability {} from the bounding set", capability));
    }
  }
  return {};
}

base::Status become(const Identity& identity) {
  if (::setgroups(identity.groups.size(), identity.groups.data()) != 0) return base::errno_error("cannot set groups");
  if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) return base::errno_error("cannot set the group");
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) return base::errno_error("cannot set the user");
  return {};
}

base::Status clear_ambient() {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 || errno == EINVAL) return {};
  return base::errno_error("cannot clear ambient capabilities");
}

base::Status gain_nothing_more() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return base::errno_error("cannot set no_new_privs");
  return {};
}

base::Status verify_dropped(const Identity* identity, std::uint64_t keep) {
  SR_LET(capabilities, current_capabilities());
  if (*capabilities != Capabilities{.effective = keep, .permitted = keep, .inheritable = 0}) {
    return base::system_error("dropped capabilities are still set");
  }
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return base::system_error("no_new_privs is not active");
  if (identity != nullptr && (::getuid() != identity->uid || ::getgid() != identity->gid)) {
    return base::system_error("user and groups were not set as requested");
  }
  return {};
}

base::Result<std::uint32_t> parse_id(std::string_view variable, const std::string& text) {
  std::uint32_t id = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, id);
  // The last value is "no change" to setresuid(2).
  if (error != std::errc{} || stop != end || id == UINT32_MAX) {
    return base::usage_error(fmt::format("{} is not a number; run gateway through sudo, or as the user", variable));
  }
  return id;
}

std::vector<gid_t> groups_of(const std::string& name, gid_t gid) {
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (::getgrouplist(name.c_str(), gid, groups.data(), &count) < 0) {
    groups.resize(static_cast<std::size_t>(std::max(count, 1)));
    if (::getgrouplist(name.c_str(), gid, groups.data(), &count) < 0) return {gid};
  }
  groups.resize(static_cast<std::size_t>(count));
  return groups;
}

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

}  // namespace

base::Result<Invoker> examine_invoker() {
  if (::getauxval(AT_SECURE) != 0) {
    return base::system_error("gateway must not be set-user-ID or have file capabilities; reinstall it without them");
  }
  SR_LET(capabilities, current_capabilities());
  return Invoker{.uid = ::geteuid(),
                 .gid = ::getegid(),
                 .privileged = (capabilities->effective & kNeeded) == kNeeded,
                 .sudo_uid = variable("SUDO_UID"),
                 .sudo_gid = variable("SUDO_GID")};
}

bool has_capability(int capability) {
  const auto capabilities = current_capabilities();
  return capabilities && (capabilities->effective & bit(capability)) != 0;
}

base::Result<Identity> command_identity(const Invoker& invoker) {
  const Identity self{.uid = invoker.uid, .gid = invoker.gid, .groups = {}, .name = {}, .home = {}, .shell = {}};
  if (!invoker.privileged || invoker.uid != 0 || !invoker.sudo_uid) return self;
  SR_LET(uid, parse_id("SUDO_UID", *invoker.sudo_uid));
  if (*uid == 0) return self;
  if (!invoker.sudo_gid) return base::usage_error("SUDO_UID is set but SUDO_GID is not; run gateway through sudo");
  SR_LET(gid, parse_id("SUDO_GID", *invoker.sudo_gid));

  Identity identity{.uid = *uid, .gid = *gid, .groups = {*gid}, .borrowed = true, .name = {}, .home = {}, .shell = {}};
  if (const passwd* entry = ::getpwuid(*uid); entry != nullptr) {
    identity.name = entry->pw_name;
    identity.home = entry->pw_dir;
    identity.shell = entry->pw_shell;
    identity.groups = groups_of(identity.name, *gid);
  }
  return identity;
}

std::vector<std::string> identity_environment(std::vector<std::string> environment, const Identity& identity) {
  if (!identity.borrowed) return environment;
  const std::array<std::pair<std::string_view, std::string_view>, 5> replaced{{{"HOME=", identity.home},
                                                                               {"USER=", identity.name},
                                                                               {"LOGNAME=", identity.name},
                                                                               {"SHELL=", identity.shell},
                                                                               {"MAIL=", ""}}};
  for (const auto& [key, value] : replaced) {
    std::erase_if(environment, [key](const std::string& entry) { return entry.starts_with(key); });
    if (!value.empty()) environment.push_back(fmt::format("{}{}", key, value));
  }
  return environment;
}

base::Status drop_privileges(const Identity* identity, std::uint64_t keep) {
  SR_LET(before, current_capabilities());
  // Without CAP_SETPCAP there is nothing to gain either: no_new_privs is what holds then.
  if ((before->effective & bit(CAP_SETPCAP)) != 0) {
    SR_TRY(limit_bounding_set(0));
    if (::prctl(PR_SET_SECUREBITS, kLockedBits, 0, 0, 0) != 0) return base::errno_error("cannot set securebits");
  }
  SR_TRY(clear_ambient());
  if (identity != nullptr) {
    SR_TRY(become(*identity));
  }
  SR_TRY(set_capabilities(keep));
  SR_TRY(gain_nothing_more());
  return verify_dropped(identity, keep);
}

base::Status keep_file_capabilities() {
  SR_TRY(limit_bounding_set(kFileCapabilities));
  SR_TRY(clear_ambient());
  SR_TRY(set_capabilities(kFileCapabilities));
  SR_TRY(gain_nothing_more());
  return verify_dropped(nullptr, kFileCapabilities);
}

base::Status die_with_parent() {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
    return base::errno_error("cannot make a process end with its parent");
  return {};
}

base::Status set_dumpable(bool dumpable) {
  if (::prctl(PR_SET_DUMPABLE, dumpable ? 1 : 0, 0, 0, 0) != 0)
    return base::errno_error("cannot change whether the process can be dumped");
  return {};
}

}  // namespace soleroute::gateway::jail
