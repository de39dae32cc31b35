// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/kernel_settings.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/fd.h"
#include "base/read_file.h"

namespace soleroute::gateway::host {
namespace {

constexpr std::string_view kProc = "/proc/sys/";
constexpr const char* kConf4 = "/proc/sys/net/ipv4/conf";
constexpr const char* kConf6 = "/proc/sys/net/ipv6/conf";
constexpr std::string_view kAllButUnreachable = "6160";      // the default, 6168, without bit 3, RFC 792
constexpr std::string_view kAllButUnreachable6 = "0,3-127";  // the default, 0-1,3-127, without 1, RFC 4443

struct Setting {
  std::string path;
  std::string_view value;
};

std::string read_setting(const std::string& path) {
  std::string value = base::read_file(path, 16).value_or("");
  while (value.ends_with('\n')) value.pop_back();
  return value;
}

bool write_setting(const Setting& setting) {
  const base::Fd fd(::open(setting.path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), setting.value.data(), setting.value.size()) > 0;
}

// "net.ipv4.conf.all.accept_redirects", as sysctl(8) and engines name it.
std::string name_of(std::string_view path) {
  std::string name(path.substr(kProc.size()));
  std::ranges::replace(name, '/', '.');
  return name;
}

// Every interface, and "default", which those have that come later.
std::vector<std::string> scopes(const char* conf) {
  std::vector<std::string> all;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(conf, none)) {
    if (entry.path().filename() != "all") all.push_back(entry.path());
  }
  return all;
}

// Refusals are made before routing, and what passes is dialled anew: nothing is ever forwarded, rules or no rules.
// `all` first: the kernel sets others with it.
std::vector<Setting> forwarding_settings() {
  std::vector<Setting> all{{"/proc/sys/net/ipv6/conf/all/forwarding", "0"},
                           {"/proc/sys/net/ipv6/conf/all/force_forwarding", "0"},  // Linux 6.17
                           {"/proc/sys/net/ipv4/ip_forward", "0"}};
  for (const std::string& scope : scopes(kConf4)) all.push_back({scope + "/forwarding", "0"});
  for (const std::string& scope : scopes(kConf6)) {
    all.push_back({scope + "/forwarding", "0"});
    all.push_back({scope + "/force_forwarding", "0"});
  }
  return all;
}

std::vector<Setting> other_settings(const std::string& inside) {
  const std::string v4 = "/proc/sys/net/ipv4/";
  const std::string v6 = "/proc/sys/net/ipv6/";
  std::vector<Setting> all;
  for (const std::string& scope : {std::string("all"), std::string("default"), inside}) {
    all.push_back({fmt::format("{}conf/{}/accept_source_route", v4, scope), "0"});
    all.push_back({fmt::format("{}conf/{}/route_localnet", v4, scope), "0"});
    all.push_back({fmt::format("{}conf/{}/accept_redirects", v4, scope), "0"});
    all.push_back({fmt::format("{}conf/{}/accept_source_route", v6, scope), "0"});
    all.push_back({fmt::format("{}conf/{}/accept_redirects", v6, scope), "0"});
  }
  all.push_back({v4 + "conf/" + inside + "/send_redirects", "0"});
  all.push_back({v4 + "conf/all/send_redirects", "0"});
  all.push_back({v6 + "conf/" + inside + "/accept_ra", "0"});
  // Refusals are answered at once, however many: not counted among the ICMP errors that are held to one a second.
  all.push_back({v4 + "icmp_ratemask", kAllButUnreachable});
  all.push_back({v6 + "icmp/ratemask", kAllButUnreachable6});
  return all;
}

// Where /proc/sys is read-only, IPv4's can still be turned off over netlink, interface by interface.
void turn_off_over_netlink() {
  const auto interfaces = netlink::list_interfaces();
  if (!interfaces) return;
  for (const auto& interface : *interfaces) {
    if (read_setting(fmt::format("{}/{}/forwarding", kConf4, interface.name)) != "1") continue;
    std::ignore = netlink::turn_off_ipv4_forwarding(interface.index);  // what stays on is looked for afterwards
  }
}

// What decides whether the kernel forwards: IPv4 by the interface of arrival, IPv6 all at once unless forced.
std::vector<std::string> forwarding_left_on() {
  std::vector<std::string> deciding{"/proc/sys/net/ipv6/conf/all/forwarding"};
  for (const std::string& scope : scopes(kConf4)) {
    if (!scope.ends_with("/default")) deciding.push_back(scope + "/forwarding");
  }
  for (const std::string& scope : scopes(kConf6)) {
    if (!scope.ends_with("/default")) deciding.push_back(scope + "/force_forwarding");
  }
  std::vector<std::string> lines;
  for (const std::string& path : deciding) {
    if (const std::string value = read_setting(path); value.empty() || value == "0") continue;
    lines.push_back(fmt::format("cannot turn off {}; set it to 0 in the container's `sysctls:`", name_of(path)));
  }
  return lines;
}

}  // namespace

// The settings that were not as they should be are named in `changed`.
std::vector<std::string> KernelSettings::set_all(std::vector<std::string>& changed) {
  auto all = forwarding_settings();
  const std::size_t forwarding = all.size();
  for (Setting& setting : other_settings(inside_)) all.push_back(std::move(setting));
  bool read_only = false;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Setting& setting = all[i];
    if (refused_.contains(setting.path)) continue;
    const std::string before = read_setting(setting.path);
    if (before.empty() || before == setting.value) continue;  // empty: there is no such setting (IPv6 off)
    if (write_setting(setting)) {
      changed.push_back(fmt::format("{} was {}", name_of(setting.path), before));
    } else if (i < forwarding) {
      read_only = true;
    } else {
      refused_.insert(setting.path);
    }
  }
  if (read_only) turn_off_over_netlink();
  return forwarding_left_on();
}

std::vector<std::string> KernelSettings::make() {
  std::vector<std::string> changed;
  return set_all(changed);
}

KernelSettings::Look KernelSettings::restore() {
  Look look;
  look.forwarding = set_all(look.reset);
  return look;
}

}  // namespace soleroute::gateway::host
