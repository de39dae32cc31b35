// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/policy_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace soleroute::gateway::serve {
namespace {

std::unexpected<base::Error> unreadable(const std::string& path, int err) {
  return base::usage_error(fmt::format("cannot read policy file {}: {}", path, std::generic_category().message(err)));
}

base::Status check_kind(const std::string& path, int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return unreadable(path, errno);
  if (S_ISDIR(status.st_mode)) return unreadable(path, EISDIR);
  if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode)) {
    return base::usage_error(fmt::format("cannot read policy file {}: not a regular file or a pipe", path));
  }
  return {};
}

}  // namespace

base::Result<policy::PolicySource> read_policy_file(const std::string& path) {
  const base::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) return unreadable(path, errno);
  if (auto kind = check_kind(path, file.get()); !kind) return std::unexpected(kind.error());

  std::string text(kMaxPolicyFile + 1, '\0');
  std::size_t used = 0;
  while (used < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + used, text.size() - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return unreadable(path, errno);
    if (count == 0) break;
    used += static_cast<std::size_t>(count);
  }
  if (used > kMaxPolicyFile) {
    return base::usage_error(fmt::format("policy file {} is larger than {} bytes; split it into several --policy files",
                                         path, kMaxPolicyFile));
  }
  text.resize(used);
  return policy::PolicySource{path, std::move(text)};
}

base::Result<std::shared_ptr<const policy::Policy>> load_policy(std::span<const std::string> paths) {
  std::vector<policy::PolicySource> layers;
  for (const std::string& path : paths) {
    auto layer = read_policy_file(path);
    if (!layer) return std::unexpected(layer.error());
    layers.push_back(std::move(*layer));
  }
  return policy::Policy::compile(layers);
}

}  // namespace soleroute::gateway::serve
