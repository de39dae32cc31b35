// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/explain.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ranges>

#include "base/standard_error.h"
#include "base/text.h"
#include "base/web_ports.h"
#include "gateway/commands/command.h"
#include "gateway/commands/policy_input.h"
#include "gateway/commands/system_addresses.h"
#include "gateway/http/internal_site.h"
#include "policy/address_class.h"
#include "policy/decision_query.h"
#include "policy/explanation.h"
#include "policy/host_service.h"
#include "policy/observe.h"
#include "policy/optional_hosts.h"
#include "policy/special_names.h"

namespace soleroute::gateway::commands {
namespace {

using Json = nlohmann::ordered_json;
using policy::Decision;
using policy::PreparedQuery;

std::string line_of(const Json& object) {
  return object.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

// The keys of docs/log.md; what is not known is left out.
std::string as_json(const policy::Policy& policy, const policy::DecisionQuery& asked, const PreparedQuery& question,
                    const Decision& decision) {
  const auto& facts = question.facts();
  Json object;
  object["type"] = "decision";
  object["phase"] = policy::to_string(facts.phase);
  object["action"] = decision.allowed() ? "allowed" : "blocked";
  object["reason"] = policy::to_string(decision.reason);
  if (!policy.agent_name().empty()) object["agent"] = policy.agent_name();
  object["host"] = question.host();
  if (facts.scheme != policy::Scheme::kNone) object["scheme"] = policy::to_string(facts.scheme);
  if (facts.port != 0) object["port"] = facts.port;
  if (!question.path().empty()) {
    object["method"] = asked.method;
    object["path"] = question.path();
  }
  if (!decision.matched_host.empty()) object["matched_host"] = decision.matched_host;
  if (decision.rule.line != 0) object["rule"] = policy::place_of(decision.rule);
  if (decision.refused_address) object["resolved"] = decision.refused_address->to_string();
  if (const auto use = policy::optional_use(policy, facts, decision)) {
    object["optional"] = {{"service", use->service}, {"group", use->group}};
  }
  for (const auto& transform : decision.transforms) {
    object["sets_headers"].push_back({{"name", transform.name}, {"secret", transform.secret}});
  }
  return line_of(object);
}

std::string subject(const policy::DecisionQuery& asked) {
  if (!asked.url.empty()) return asked.url;
  return fmt::format("{} port {}", asked.host, asked.port);
}

// What is only denied by policy, of what can be forwarded at all. Where a name leads is not known here.
bool passes_observed(const policy::Policy& policy, const policy::FlowFacts& facts, const Decision& decision) {
  if (facts.transport != policy::Transport::kTcp || !policy::is_observed(policy, decision)) return false;
  if (!facts.original_destination) return true;
  const auto& [address, port] = *facts.original_destination;
  const bool web = base::is_web_port(port);  // where a flow that names no host is refused, whoever it is for
  return !web && policy::is_public(address);
}

bool is_loopback(const PreparedQuery& question) {
  const auto address = base::IpAddress::parse(question.host());
  const auto& name = question.facts().host;
  return (name && policy::special_name(*name) == policy::SpecialName::kLoopback) ||
         (address && policy::address_class(*address) == "loopback");
}

// What the gateway answers itself, before it asks any policy.
bool is_for_the_gateway(const PreparedQuery& question) {
  return http::is_own_name(question.facts().host) && base::is_web_port(question.facts().port);
}

// No address is looked up for it: it is the machine that the gateway runs on, or the engine's host.
bool is_host_service(const PreparedQuery& question, const Decision& decision) {
  return policy::is_host_service(decision, question.host());
}

// What the name resolves to, as far as it was asked.
struct Resolution {
  std::string text;
  bool asked = false;
};

std::string list_of(const std::vector<base::IpAddress>& addresses) {
  constexpr std::size_t kMostShown = 4;
  std::string out;
  for (const auto& address : addresses | std::views::take(kMostShown)) {
    out += (out.empty() ? "" : ", ") + address.to_string();
  }
  return out + (addresses.size() > kMostShown ? ", …" : "");
}

// Turns an allowed decision into a denial where the name has private addresses alone that the policy does not list.
Resolution resolve(const ExplainOptions& options, const policy::Policy& policy, const PreparedQuery& question,
                   Decision& decision) {
  if (!options.addresses_of || !decision.allowed() || !question.facts().host) return {};
  if (is_host_service(question, decision)) return {};
  const auto& fixed = decision.static_addresses;
  const auto found = fixed.empty() ? options.addresses_of(question.host())
                                   : base::Result<std::vector<base::IpAddress>>({fixed.begin(), fixed.end()});
  if (!found) return {fmt::format("{}\n", found.error().message), true};
  std::optional<Decision> denied;
  const auto is_denied = [&](const base::IpAddress& address) {
    auto facts = question.facts();
    facts.dialled = address;
    auto judged = policy.decide(facts);
    if (judged.reason != policy::Reason::kDeniedByPolicy) return false;
    denied = judged;
    return true;
  };
  const auto usable = [&](const base::IpAddress& address) {
    if (is_denied(address)) return false;
    return policy::may_dial(address, decision.permitted_addresses) ||
           policy::may_dial_static(address, decision.static_addresses);
  };
  Resolution out{fmt::format("{} resolves to {} {}.\n", question.host(), list_of(*found),
                             fixed.empty() ? "on this machine" : "(hosts: in the policy)"),
                 true};
  if (std::ranges::any_of(*found, usable)) return out;
  if (denied) {
    decision = *denied;
    return out;
  }
  const auto refused = std::ranges::find_if_not(*found, policy::is_never_suggested);
  decision.action = policy::Action::kDeny;
  decision.reason = policy::Reason::kPrivateAddress;
  decision.refused_address = refused == found->end() ? found->front() : *refused;
  return out;
}

// Names are allowed, addresses only if they are public.
std::string if_private(const policy::Policy& policy, const PreparedQuery& question, Decision decision) {
  const bool name_alone = decision.allowed() && question.facts().host && decision.permitted_addresses.empty() &&
                          decision.static_addresses.empty();
  if (!name_alone || is_for_the_gateway(question) || is_host_service(question, decision)) return {};
  decision.action = policy::Action::kDeny;
  decision.reason = policy::Reason::kPrivateAddress;
  decision.refused_address = base::IpAddress::parse("10.0.0.1").value();
  const auto lines = policy::how_to_allow(policy, question.facts(), decision);
  if (lines.empty()) return {};
  return fmt::format("\nPrivate addresses of {} are blocked. To allow one (10.0.0.1, for example), add to {}:\n\n{}",
                     question.host(), policy::policy_file(policy), lines);
}

std::string as_text(const policy::Policy& policy, const policy::DecisionQuery& asked, const PreparedQuery& question,
                    const Decision& decision, const Resolution& resolution) {
  const auto& facts = question.facts();
  const char* verdict = decision.allowed() ? "allowed" : "blocked";
  std::string out = fmt::format("{}  {}\n", paint(verdict, use_colour(STDOUT_FILENO)), base::shown(subject(asked)));
  if (is_for_the_gateway(question)) return out + "The gateway answers this itself (GET and HEAD only).\n";
  out += fmt::format("{}\nReason: {}\n", policy::reason_sentence(policy, facts, decision),
                     policy::to_string(decision.reason));
  if (decision.rule.line != 0) {
    out += fmt::format("Decided by: {} ({})\n", base::shown(policy::place_of(decision.rule)), decision.matched_host);
  }
  for (const auto& transform : decision.transforms) {
    out += fmt::format("The gateway {} {}\n", transform.replace ? "replaces" : "sets", policy::describe(transform));
  }
  out += resolution.text;
  if (is_host_service(question, decision)) {
    out += "It is a service of the machine: in 'gateway run' this machine, in a container the engine's host.\n";
  }
  if (is_loopback(question)) out += "Inside 'gateway run', loopback is the command's own: it is not blocked there.\n";
  const auto lines = policy::how_to_allow(policy, facts, decision);
  if (!lines.empty()) out += fmt::format("\nTo allow it, add to {}:\n\n{}", policy::policy_file(policy), lines);
  if (!resolution.asked) out += if_private(policy, question, decision);
  if (passes_observed(policy, facts, decision)) {
    out += "\nObserve mode: if it leads to a public address, it is logged, and passes.\n";
  }
  return out;
}

std::string answer(const ExplainOptions& options, const policy::Policy& policy, const policy::DecisionQuery& asked,
                   int& exit_code) {
  PreparedQuery question(asked);
  auto decision = question.ask(policy);
  if (is_for_the_gateway(question)) decision = {.action = policy::Action::kAllow, .reason = policy::Reason::kAllowed};
  const auto resolution = resolve(options, policy, question, decision);
  if (!decision.allowed()) exit_code = std::max(exit_code, kExitNo);
  if (options.format == ExplainFormat::kJson) return as_json(policy, asked, question, decision);
  return as_text(policy, asked, question, decision, resolution);
}

base::Status text_field(const Json& value, const std::string& key, std::string& out) {
  if (!value.is_string()) return base::usage_error(fmt::format("\"{}\" must be text", base::shown(key)));
  out = value.get<std::string>();
  return {};
}

base::Status read_field(const std::string& key, const Json& value, policy::DecisionQuery& question) {
  if (key == "url") return text_field(value, key, question.url);
  if (key == "method") return text_field(value, key, question.method);
  if (key == "host") return text_field(value, key, question.host);
  if (key == "headers") {
    const bool names =
        value.is_array() && std::ranges::all_of(value, [](const Json& each) { return each.is_string(); });
    if (!names) return base::usage_error("\"headers\" must be a list of names");
    question.headers = value.get<std::vector<std::string>>();
    return {};
  }
  if (key == "port") {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() == 0 || value.get<std::uint64_t>() > 65535) {
      return base::usage_error("\"port\" must be a number from 1 to 65535");
    }
    question.port = value.get<std::uint16_t>();
    return {};
  }
  if (key == "protocol") {
    if (value != "tcp" && value != "udp") return base::usage_error("\"protocol\" must be tcp or udp");
    question.protocol = value == "udp" ? policy::Transport::kUdp : policy::Transport::kTcp;
    return {};
  }
  return base::usage_error(fmt::format("unknown key \"{}\"; expected url, method, headers, host, port, protocol",
                                       base::shown(key.substr(0, 80))));
}

base::Result<policy::DecisionQuery> read_question(const ExplainOptions& options, const std::string& line) {
  if (line.size() > kMaxExplainLine) return base::usage_error("the line is too long");
  const auto object = Json::parse(line, nullptr, false);
  if (!object.is_object()) return base::usage_error("not a JSON object");
  policy::DecisionQuery question;
  question.method = options.method;
  question.headers = options.headers;
  for (const auto& [key, value] : object.items()) {
    SR_TRY(read_field(key, value, question));
  }
  if (question.url.empty() == question.host.empty()) return base::usage_error("needs either \"url\" or \"host\"");
  if (!question.url.empty()) SR_TRY(policy::check_url(question.url));
  if (!question.host.empty() && question.port == 0) return base::usage_error("\"host\" needs \"port\"");
  return question;
}

std::string error_line(std::size_t number, const std::string& what) {
  Json object;
  object["type"] = "error";
  object["line"] = number;
  object["error"] = what;
  return line_of(object);
}

struct CommandLine {
  ExplainOptions explain;
  std::vector<std::string> policy_files;
  std::string format;
  std::string agent;
  bool from_stdin = false;
  bool resolve = false;
  bool quiet = false;
};

// Reads "example.com" as https://example.com/ and "put" as PUT, and says so: the answer is about another text.
base::Status as_meant(ExplainOptions& options) {
  constexpr std::array<std::string_view, 7> kMethods{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  const auto said = [](std::string_view what, std::string_view meaning) {
    base::to_standard_error(fmt::format("gateway: '{}' means {}\n", base::shown(what), base::shown(meaning)));
  };
  for (auto& url : options.urls) {
    if (url.empty()) return base::usage_error("the URL is empty");
    if (!url.contains("://")) {
      std::string whole = "https://" + url + (url.contains('/') ? "" : "/");
      if (auto known = policy::check_url(whole); !known) return known;
      said(url, whole);
      url = std::move(whole);
    }
    SR_TRY(policy::check_url(url));
  }
  std::string upper = options.method;
  std::ranges::transform(upper, upper.begin(), [](char c) { return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c; });
  if (upper != options.method && std::ranges::find(kMethods, upper) != kMethods.end()) {
    said(options.method, upper);
    options.method = std::move(upper);
  }
  return {};
}

// The policy that is asked: an agent's, or the common one.
base::Result<const policy::Policy*> asked_policy(const policy::Policy& policy, const std::string& agent) {
  std::string names;
  for (const auto& known : policy.agents()) names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
  if (agent.empty()) {
    const auto all = policy.all();
    const bool only = all.empty() || all.front() != &policy;
    if (only) return base::usage_error(fmt::format("the policy has agents_only: pass --agent (listed: {})", names));
    return &policy;
  }
  const auto* own = policy.of_agent(agent);
  if (own != nullptr) return own;
  return base::usage_error(
      fmt::format("no such agent: {} (listed: {})", base::shown(agent), names.empty() ? "none" : names));
}

int run(CommandLine options) {
  if (options.from_stdin != options.explain.urls.empty()) {
    return report(base::Error{"explain needs a URL, or --stdin", base::ErrorKind::kUsage, 0});
  }
  if (auto meant = as_meant(options.explain); !meant) return report(meant.error());
  if (options.resolve) options.explain.addresses_of = system_addresses;
  const auto notice = options.quiet ? PolicyNotice::kQuiet : PolicyNotice::kSay;
  const auto policy = load_policy_or_default(options.policy_files, notice);
  if (!policy) return report(policy.error());
  const auto asked = asked_policy(**policy, options.agent);
  if (!asked) return report(asked.error());
  const bool as_json = options.format.empty() ? options.from_stdin : options.format == "json";
  options.explain.format = as_json ? ExplainFormat::kJson : ExplainFormat::kText;
  if (!options.from_stdin) return explain_urls(options.explain, **asked, std::cout);
  std::ios::sync_with_stdio(false);
  std::cin.tie(nullptr);  // or every line read would flush what was written
  return explain_lines(options.explain, **asked, std::cin, std::cout);
}

}  // namespace

int explain_urls(const ExplainOptions& options, const policy::Policy& policy, std::ostream& out) {
  int exit_code = kExitDone;
  for (const auto& url : options.urls) {
    if (&url != options.urls.data() && options.format == ExplainFormat::kText) out << "\n";
    policy::DecisionQuery question;
    question.url = url;
    question.method = options.method;
    question.headers = options.headers;
    out << answer(options, policy, question, exit_code);
  }
  out.flush();
  return exit_code;
}

int explain_lines(const ExplainOptions& options, const policy::Policy& policy, std::istream& in, std::ostream& out) {
  int exit_code = kExitDone;
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    const auto question = read_question(options, line);
    if (question) {
      out << answer(options, policy, *question, exit_code);
    } else {
      exit_code = kExitUsage;
      out << error_line(number, question.error().message);
    }
    // A program that asks one question and waits for its answer must get it; a file is answered in blocks.
    if (in.rdbuf()->in_avail() <= 0) out.flush();
  }
  out.flush();
  return exit_code;
}

void add_explain(CLI::App& program, Invocation& invocation) {
  auto options = std::make_shared<CommandLine>();
  CLI::App& command = add_command(
      program, invocation, "explain", "show whether a URL is allowed, and by which policy line",
      "gateway explain --policy policy.yaml https://api.github.com/meta", [options] { return run(*options); });
  command.add_option("url", options->explain.urls, "http, https, ws or wss URL, tcp://HOST:PORT or udp://HOST:PORT")
      ->type_name("URL");
  command.add_option("--method", options->explain.method, "request method")->capture_default_str()->type_name("METHOD");
  command.add_option("--header", options->explain.headers, "header that the request sends (repeatable)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command.add_option("--agent", options->agent, "agent whose policy is asked (default: the common policy)")
      ->type_name("NAME");
  command.add_flag("--stdin", options->from_stdin,
                   "read requests from standard input as JSON lines, {\"url\": …, \"method\": …}");
  command.add_flag("-q,--quiet", options->quiet, "do not print which policy file was read");
  add_format_option(command, options->format);
  command.get_option("--format")->description("output format (default: text, or json with --stdin)");
  command.add_flag("--resolve", options->resolve, "also resolve the name here, and check its addresses");
  add_policy_option(command, options->policy_files);
}

}  // namespace soleroute::gateway::commands
