// How long a policy takes to load and to decide, from 10 to 100,000 names.
//   cmake --preset release && cmake --build --preset release --target bench_policy
//   build/release/tests/bench/bench_policy
// SPDX-License-Identifier: GPL-3.0-or-later
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace {

using namespace soleroute;

std::string host(std::int64_t i) {
  return fmt::format("d{:06}.bench{}.test", i, i % 101);
}

// One name in ten is a wildcard.
std::string names(std::int64_t count) {
  std::string text = "domains:\n";
  for (std::int64_t i = 0; i < count; ++i) {
    text += i % 10 == 0 ? fmt::format("  - \"*.{}\"\n", host(i)) : fmt::format("  - {}\n", host(i));
  }
  return text;
}

std::shared_ptr<const policy::Policy> compile(const std::string& text) {
  const std::vector<policy::PolicySource> sources{{"policy.yaml", text}};
  auto policy = policy::Policy::compile(sources);
  if (!policy) std::abort();
  return *policy;
}

policy::FlowFacts tls(const std::string& name) {
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kTls;
  facts.sni = *base::HostName::parse(name);
  facts.port = 443;
  facts.scheme = policy::Scheme::kHttps;
  return facts;
}

// Enough different questions that no answer stays in the first-level cache by being asked again and again.
constexpr std::size_t kQuestions = 4096;

std::vector<policy::FlowFacts> questions(std::int64_t count, std::string_view prefix, std::string_view suffix) {
  std::mt19937 random(1);
  std::vector<policy::FlowFacts> out;
  for (std::size_t i = 0; i < kQuestions; ++i) {
    const auto index = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(count));
    out.push_back(tls(std::string(prefix) + host(index) + std::string(suffix)));
  }
  return out;
}

void decide_all(benchmark::State& state, std::string_view prefix, std::string_view suffix) {
  const auto policy = compile(names(state.range(0)));
  const auto asked = questions(state.range(0), prefix, suffix);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(policy->decide(asked[i]));
    i = (i + 1) % kQuestions;
  }
}

void Load(benchmark::State& state) {
  const std::string text = names(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(compile(text));
  state.counters["hosts/s"] =
      benchmark::Counter(static_cast<double>(state.range(0) * state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(Load)->RangeMultiplier(10)->Range(10, 100'000)->Unit(benchmark::kMillisecond);

void DecideListed(benchmark::State& state) {
  decide_all(state, "", "");
}
BENCHMARK(DecideListed)->RangeMultiplier(10)->Range(10, 100'000);

// Below what is listed: one probe more for every label.
void DecideBelow(benchmark::State& state) {
  decide_all(state, "a.b.c.", "");
}
BENCHMARK(DecideBelow)->RangeMultiplier(10)->Range(10, 100'000);

// 100 agents that share the names between them, each asking about its own.
void DecideForAgent(benchmark::State& state) {
  constexpr std::int64_t kAgents = 100;
  const std::int64_t each = state.range(0) / kAgents;
  std::string text = "agents:\n";
  for (std::int64_t agent = 0; agent < kAgents; ++agent) {
    text += fmt::format("  - name: a{}\n    addresses: [10.0.1.{}, \"fd00::{}\"]\n    domains:\n", agent, agent, agent);
    for (std::int64_t i = 0; i < each; ++i) text += fmt::format("    - {}\n", host(agent * each + i));
  }
  const auto policy = compile(text);
  auto asked = questions(state.range(0), "", "");
  for (auto& facts : asked) {
    const auto number = std::stoll(facts.sni->text().substr(1, 6));
    facts.client = *base::IpAddress::parse(fmt::format("10.0.1.{}", number / each));
    if (!policy->decide(facts).allowed()) std::abort();
  }
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(policy->decide(asked[i]));
    i = (i + 1) % kQuestions;
  }
}
BENCHMARK(DecideForAgent)->Arg(10'000)->Arg(100'000);

void DecideUnlisted(benchmark::State& state) {
  decide_all(state, "", ".elsewhere.example");
}
BENCHMARK(DecideUnlisted)->RangeMultiplier(10)->Range(10, 100'000);

// As DecideListed, with 1,000 entries of `deny:`, half of them wildcards; none is about the names that are asked.
void DecideBesideDenials(benchmark::State& state) {
  std::string text = names(state.range(0)) + "deny:\n";
  for (int i = 0; i < 500; ++i)
    text += fmt::format("  - \"*.ads{0}.bench{1}.test\"\n  - no{0}.bench{1}.test\n", i, i % 101);
  const auto policy = compile(text);
  const auto asked = questions(state.range(0), "", "");
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(policy->decide(asked[i]));
    i = (i + 1) % kQuestions;
  }
}
BENCHMARK(DecideBesideDenials)->RangeMultiplier(10)->Range(10, 100'000);

void DecideRequest(benchmark::State& state) {
  std::string text = "domains:\n  - host: api.test\n    rules:\n";
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    text += fmt::format("      - {{methods: [GET], path: {{prefix: /v{}/}}, query: {{exact: {{a: b}}}}}}\n", i);
  }
  const auto policy = compile(text);
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kHttp;
  facts.scheme = policy::Scheme::kHttp;
  facts.port = 80;
  facts.host = *base::HostName::parse("api.test");
  facts.method = "GET";
  const std::string target = fmt::format("/v{}/items/%7euser?a=b", state.range(0) - 1);
  facts.target = target;
  if (!policy->decide(facts).allowed()) state.SkipWithError("the last rule must match");
  for (auto _ : state) benchmark::DoNotOptimize(policy->decide(facts));
}
BENCHMARK(DecideRequest)->Arg(1)->Arg(10)->Arg(100);

}  // namespace
