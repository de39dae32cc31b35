// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/serving_policy.h"

#include <fmt/format.h>

#include <utility>

#include "gateway/host/policy_files.h"
#include "gateway/secrets/secret_store.h"

namespace soleroute::gateway::serve {
std::vector<std::string> serving_policy_files(const ServeOptions& options) {
  auto files = options.policy_files;
  for (const auto& path : options.optional_policy_files) {
    if (host::is_there(path)) files.push_back(path);
  }
  return files;
}

std::vector<std::string> served_paths(const ServeOptions& options) {
  auto paths = options.policy_files;
  paths.insert(paths.end(), options.optional_policy_files.begin(), options.optional_policy_files.end());
  for (const auto& agent : options.agents) paths.push_back(agent.path);
  return paths;
}

base::Result<std::vector<policy::PolicySource>> read_serving_layers(const ServeOptions& options) {
  std::vector<policy::PolicySource> layers;
  if (!options.base_service.empty()) layers.push_back({"(base)", "services: [" + options.base_service + "]\n"});
  SR_LET(files, host::read_settled_policy_files(serving_policy_files(options)));
  for (auto& file : *files) layers.push_back(std::move(file));
  for (const auto& agent : options.agents) {
    const std::vector<std::string> path{agent.path};
    SR_LET(own, host::read_settled_policy_files(path));
    for (auto& file : *own) {
      file.agent = agent.name;
      file.agent_addresses = agent.addresses;
      layers.push_back(std::move(file));
    }
  }
  if (options.mode) {
    const bool observe = *options.mode == policy::Mode::kObserve;
    layers.push_back({"(mode)", observe ? "mode: observe\n" : "mode: enforce\n", true});
  }
  return layers;
}

base::Result<std::shared_ptr<const policy::Policy>> load_serving_policy(const ServeOptions& options) {
  SR_LET(layers, read_serving_layers(options));
  return policy::Policy::compile(*layers);
}

base::Status check_servable(const ServeOptions& options, const policy::Policy& policy) {
  const secrets::SecretStore secrets(options.secrets_directory);
  return secrets.check(policy);
}

namespace {

std::string agents_summary(const ServeOptions& options, std::size_t agents) {
  if (agents == 0) return {};
  const bool one = options.topology == netrules::Topology::kSidecar;
  return fmt::format(", {} agent{}{}", agents, agents == 1 ? "" : "s",
                     one ? " (ignored: the agent of a sidecar may use any address)" : "");
}

}  // namespace

std::string policy_summary(const ServeOptions& options, const policy::Policy& policy) {
  auto files = serving_policy_files(options);
  for (const auto& agent : options.agents) files.push_back(agent.path);
  const auto agents = policy.agents().size();
  if (policy.denies_everything() && agents == 0) {
    return files.empty() ? "no policy: all network access is blocked"
                         : fmt::format("{}: empty; all network access is blocked", fmt::join(files, ", "));
  }
  return fmt::format(
      "{}: {} host{}{}{}", files.empty() ? options.base_service : fmt::format("{}", fmt::join(files, ", ")),
      policy.host_count(), policy.host_count() == 1 ? "" : "s", agents_summary(options, agents),
      policy.mode() == policy::Mode::kObserve ? "; observe mode: nothing public is blocked; would-be denials are logged"
                                              : "");
}

}  // namespace soleroute::gateway::serve
