// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/project_identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/ascii.h"
#include "base/ip_address.h"
#include "base/text.h"

namespace soleroute::gateway::project {
namespace {

constexpr std::size_t kMaxFolderName = 40;
constexpr std::size_t kMaxProjectName = 63;  // a part of host and container names

// FNV-1a: stable across builds and machines, which std::hash is not.
std::uint32_t stable_hash(std::string_view text) {
  std::uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

std::string plain_name(std::string_view folder) {
  std::string name;
  for (const char given : folder) {
    const char c = given >= 'A' && given <= 'Z' ? static_cast<char>(given - 'A' + 'a') : given;
    if (base::is_lower(c) || base::is_digit(c)) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
    if (name.size() == kMaxFolderName) break;
  }
  while (name.ends_with('-')) name.pop_back();
  return name;
}

}  // namespace

std::string project_name(std::string_view absolute_folder, std::string_view fallback) {
  const auto slash = absolute_folder.rfind('/');
  std::string name = plain_name(slash == std::string_view::npos ? absolute_folder : absolute_folder.substr(slash + 1));
  if (name.empty()) name = fallback;
  if (!base::is_lower(name.front())) name.insert(0, "p-");
  constexpr std::uint32_t kShown = 0xFFFFFFU;
  return fmt::format("{}-{:06x}", name, stable_hash(absolute_folder) & kShown);
}

bool is_project_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxProjectName &&
         (base::is_lower(text.front()) || base::is_digit(text.front())) && std::ranges::all_of(text, [](char c) {
           return base::is_lower(c) || base::is_digit(c) || c == '-' || c == '_';
         });
}

std::string project_network(std::string_view absolute_folder, unsigned attempt) {
  // 10.128.0.0 to 10.254.255.0: beside most home and company networks, and not what engines hand out themselves.
  constexpr std::uint32_t kFirst = 128;
  constexpr std::uint32_t kSecondBytes = 127;
  const std::uint32_t hash =
      attempt == 0 ? stable_hash(absolute_folder) : stable_hash(fmt::format("{}\n{}", absolute_folder, attempt));
  return fmt::format("10.{}.{}", kFirst + (hash >> 8U) % kSecondBytes, hash & 0xFFU);
}

base::Result<std::string> network_of(std::string_view cidr) {
  constexpr std::array kPrivate{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"};
  constexpr int kPrefix = 24;
  const auto refuse = [&](std::string_view why) {
    return base::usage_error(
        fmt::format("'{}' {}; give a private IPv4 /24, such as 10.150.3.0/24", base::shown(cidr), why));
  };
  const auto network = base::Cidr::parse(cidr);
  if (!network) return refuse("is not a network");
  if (network->prefix_length() != kPrefix || network->address().family() != base::Family::kV4)
    return refuse("is not an IPv4 /24");
  const bool is_private = std::ranges::any_of(
      kPrivate, [&](const char* range) { return base::Cidr::parse(range)->contains(network->address()); });
  if (!is_private) return refuse("is public");
  const std::string first = network->address().to_string();
  return first.substr(0, first.rfind('.'));
}

}  // namespace soleroute::gateway::project
