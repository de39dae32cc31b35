// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/policy_input.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "base/standard_error.h"
#include "gateway/commands/ci_facts.h"
#include "gateway/host/policy_files.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::string_view kStandardInput = "-";

base::Result<std::string> read_standard_input(std::size_t max_bytes) {
  static bool used = false;  // its text can be read once
  if (std::exchange(used, true)) return base::usage_error("standard input ('-') can be read only once");
  std::string text;
  std::array<char, 16384> chunk{};
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return base::usage_error(fmt::format("cannot read standard input: {}", std::generic_category().message(errno)));
    }
    if (count == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(count));
    if (text.size() > max_bytes) {
      return base::usage_error(fmt::format("standard input: larger than {} bytes", max_bytes));
    }
  }
}

}  // namespace

std::string input_name(const std::string& path) {
  return path == kStandardInput ? "standard input" : path;
}

base::Result<std::string> read_input(const std::string& path, std::size_t max_bytes) {
  return path == kStandardInput ? read_standard_input(max_bytes) : host::read_small_file(path, max_bytes);
}

std::vector<policy::PolicySource> read_policy_layers(const std::vector<std::string>& files, PolicyNotice notice,
                                                     policy::PolicyFaults& faults) {
  const auto choice = host::choose_policy(files);
  if (notice == PolicyNotice::kSay) base::to_standard_error(host::policy_notice(choice));
  std::vector<policy::PolicySource> layers;
  for (const auto& path : choice.files) {
    auto text = read_input(path, host::kMaxPolicyFile);
    if (text) {
      layers.push_back({input_name(path), std::move(*text)});
    } else {
      faults.add(file_fault(input_name(path), text.error()));
    }
  }
  return layers;
}

base::Result<std::shared_ptr<const policy::Policy>> load_policy_or_default(const std::vector<std::string>& files,
                                                                           PolicyNotice notice) {
  policy::PolicyFaults faults;
  const auto layers = read_policy_layers(files, notice, faults);
  if (faults.count > 0) return base::usage_error(faults.first.front().text);
  return policy::Policy::compile(layers);
}

}  // namespace soleroute::gateway::commands
