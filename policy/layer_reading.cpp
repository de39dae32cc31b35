// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/layer_reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <utility>

namespace soleroute::policy {
namespace {

base::Result<PolicyDocument> read_layer(const PolicySource& layer, std::string& text, PolicyFaults* faults) {
  SR_TRY(clean_text(layer.name, layer.text, text, faults));
  return read_policy(SourceText(layer.name, text, faults));
}

}  // namespace

// Each layer read for itself, by as many threads as there are processors if there is enough to read: parsing is most of
// what a large policy costs. All of them are joined here.
Documents read_layers(std::span<const PolicySource> layers, std::vector<std::string>& texts,
                      std::vector<PolicyFaults>& faults) {
  constexpr std::size_t kWorthAThread = std::size_t{256} << 10;  // bytes
  Documents documents(layers.size());
  std::atomic<std::size_t> next = 0;
  const auto read = [&] {
    for (std::size_t i = next++; i < layers.size(); i = next++) {
      documents[i] = read_layer(layers[i], texts[i], faults.empty() ? nullptr : &faults[i]);
    }
  };
  std::size_t bytes = 0;
  for (const auto& layer : layers) bytes += layer.text.size();
  const std::size_t useful = std::min(
      {layers.size(), bytes / kWorthAThread + 1, std::size_t{std::max(1U, std::thread::hardware_concurrency())}});
  std::vector<std::future<void>> others;
  // Where no thread is to be had, it is done by get().
  constexpr auto kIfPossible = std::launch::async | std::launch::deferred;
  for (std::size_t i = 1; i < useful; ++i) others.push_back(std::async(kIfPossible, read));
  read();
  for (auto& other : others) other.get();
  return documents;
}

base::Result<PolicyDocument> layer_of(const PolicySource& source, PolicyDocument read) {
  if (source.agent.empty()) return read;
  if (!read.agents.empty() || read.agents_only || !read.addresses.empty()) {
    return base::usage_error(
        fmt::format("{}: the policy of the agent {} cannot have 'agents', 'agents_only' or "
                    "'addresses'",
                    source.name, source.agent));
  }
  AgentEntry entry{.name = source.agent, .position = {.line = 1, .column = 1}};
  for (const auto& range : source.agent_addresses) entry.addresses.push_back({range, entry.position});
  entry.policy = std::make_shared<const PolicyDocument>(std::move(read));
  PolicyDocument out;
  out.agents.push_back(std::move(entry));
  return out;
}

}  // namespace soleroute::policy
