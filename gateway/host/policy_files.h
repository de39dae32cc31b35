// Policy files from disk: each opened once, checked to be an ordinary file of bounded size, read once.
// What is validated is exactly what was read; nothing is opened a second time.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/policy.h"

namespace soleroute::gateway::host {

// What is read at the very most. Policy::compile() refuses more than 1 MiB that is not names in a list.
inline constexpr std::size_t kMaxPolicyFile = policy::kMaxPolicyBytes;

// The whole text of one ordinary file of at most `max_bytes`. Symbolic links are followed, so that a mounted
// ConfigMap's swap works; a pipe, socket, device or directory is refused without waiting on it, and so is a file that
// changes while it is read. Errors: kUsage, "path: what is wrong", with sys_errno where a call failed.
[[nodiscard]] base::Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes);

// The same once the opened file has not been written for 50 ms, at once for most; an error if that is not so within a
// second. For who puts a file in force that somebody else may be writing.
[[nodiscard]] base::Result<std::string> read_settled_file(const std::string& path, std::size_t max_bytes);

// In place of these, for who reads with the rights of another user.
using FileReader = std::function<base::Result<std::string>(const std::string& path, std::size_t max_bytes)>;

// The same as a layer of a policy; its name is the path as given.
[[nodiscard]] base::Result<policy::PolicySource> read_policy_file(const std::string& path,
                                                                  const FileReader& read = read_small_file);
// All of them in order, or the first error.
[[nodiscard]] base::Result<std::vector<policy::PolicySource>> read_policy_files(
    std::span<const std::string> paths, const FileReader& read = read_small_file);
// The same, once all of them have settled; what is renamed to one of the paths meanwhile makes no mixture.
[[nodiscard]] base::Result<std::vector<policy::PolicySource>> read_settled_policy_files(
    std::span<const std::string> paths);
// Read and compiled, layers in order; none: a policy that denies everything.
[[nodiscard]] base::Result<std::shared_ptr<const policy::Policy>> load_policy(std::span<const std::string> paths);

// What cannot be looked at counts as there: reading it gives the error.
[[nodiscard]] bool is_there(const std::string& path);

// The policy files that a command reads.
struct PolicyChoice {
  std::vector<std::string> files{};  // none: there is no policy
  bool guessed = false;              // no file was named, so the default places were searched
  bool second = false;               // guessed, and the second default place has a file too
};
// The files that were named, or the one in a default place of the working directory.
[[nodiscard]] PolicyChoice choose_policy(const std::vector<std::string>& named);
// A line for standard error, if no file was found or there are two.
[[nodiscard]] std::string policy_warning(const PolicyChoice& choice);
// The same, and which file is read, unless the command line names it; one that GATEWAY_POLICY names is said.
[[nodiscard]] std::string policy_notice(const PolicyChoice& choice);

// Where a policy is looked for when none was named: `.devcontainer/policy.yaml`, then `policy.yaml`, in `directory`
// ("" is the working directory, and then the path is relative). A name that exists but cannot be read is still the
// answer: reading it gives the error. Nothing there: nullopt.
[[nodiscard]] std::optional<std::string> find_default_policy(std::string_view directory);

}  // namespace soleroute::gateway::host
