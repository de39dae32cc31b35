// What serving is asked to do: the options of `gateway`, parsed and checked.
// A plain value; each option can also come from a GATEWAY_… variable.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "gateway/audit/decision_log.h"
#include "gateway/dns/upstreams.h"
#include "gateway/flow/upstream_proxy.h"
#include "gateway/secrets/secret_store.h"
#include "netrules/plan.h"
#include "policy/nat64.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

inline constexpr std::uint16_t kDefaultExplicitProxyPort = 8080;
inline constexpr const char* kDefaultControlSocket = "/run/soleroute/control.sock";

inline constexpr std::string_view kProxyTopology = "proxy";  // as router, without anything that needs a privilege

// A policy file of one agent: --agent NAME=ADDR:FILE.
struct AgentFile {
  std::string name;
  std::vector<base::Cidr> addresses;
  std::string path;
};

struct ServeOptions {
  std::vector<std::string> policy_files;                      // layers in order; empty: everything is denied
  std::vector<std::string> optional_policy_files;             // further layers, of which only those that exist count
  std::vector<AgentFile> agents;                              // layers over those
  std::string base_service;                                   // of the catalog, a layer below all files; empty: none
  std::optional<policy::Mode> mode;                           // over what the files say
  netrules::Topology topology = netrules::Topology::kRouter;  // kJail and kGuard only with --dry-run
  bool proxy_only = false;                        // kRouter, but nothing is redirected: the explicit proxy alone
  std::string inside_interface;                   // empty: the one whose subnet holds the claimed address
  std::vector<base::InterfaceAddress> claim;      // at most one of each family
  std::vector<dns::Upstream> resolvers;           // none for names outside all suffixes: /etc/resolv.conf
  std::vector<base::IpAddress> host_addresses{};  // of host.gateway.internal; empty: found out
  bool in_container = true;                       // where the host is another machine than this one
  std::string control_socket = kDefaultControlSocket;
  std::optional<base::Endpoint> metrics;                          // Prometheus text over HTTP; absent: none
  std::uint16_t explicit_proxy_port = kDefaultExplicitProxyPort;  // 0: off
  std::optional<base::IpAddress> explicit_proxy_address;          // where it listens; absent: everywhere
  std::uint16_t listen_port = 0;                                  // redirected connections; 0: any free one
  bool reload_on_change = true;                                   // of a policy file
  bool program_rules = true;                                      // --no-rules: somebody else does
  int workers = 0;                                                // 0: one a processor
  audit::Verbosity log = audit::Verbosity::kNormal;
  std::vector<policy::Nat64Prefix> nat64;                             // of this network
  std::string secrets_directory = secrets::kDefaultSecretsDirectory;  // read only where the policy names a secret
  std::string version{};                                              // of the program, as 'gateway status' shows it
  std::string ca_directory;                                           // empty: inspect::default_ca_directory()
  std::string ca_out;                    // where the public certificate goes; empty: nowhere
  std::vector<std::string> trust_files;  // PEM: further roots that origins of inspected hosts are held to
  std::optional<flow::UpstreamProxy> upstream_proxy{};  // asked for everything outside; absent: origins are dialled
  std::string upstream_password_file{};                 // of its password; empty: none
  std::chrono::milliseconds ask{0};                     // what is denied waits so long for an operator; 0: not at all
  std::string ask_command{};                            // asked about it, for a shell; empty: none
};

}  // namespace soleroute::gateway::serve
