// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/host/policy_files.h"
#include "gateway/inspect/ca_directory.h"
#include "gateway/inspect/certificate_facts.h"
#include "gateway/inspect/pem_text.h"
#include "gateway/inspect/system_store.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::size_t kMaxCertificateFile = std::size_t{64} * 1024;

struct CaArguments {
  std::string action;
  std::string directory;
  std::string out;
  std::string certificate;
  std::string store;
  std::string bundle;
  std::string format = "text";
};

inspect::TimePoint now() {
  return std::chrono::system_clock::now();
}

std::string file_in(const std::string& directory, const char* name) {
  return base::shown(directory) + (directory.ends_with('/') ? "" : "/") + name;
}

void print_facts(const std::string& directory, const inspect::CertificateFacts& facts) {
  fmt::print(
      "Subject      {}\n"
      "SHA-256      {}\n"
      "Key          {}\n"
      "Valid        {} to {}\n"
      "Private key  {}   never give it to an agent\n"
      "Certificate  {}\n",
      base::shown(facts.subject), facts.fingerprint, facts.key, facts.valid_from, facts.valid_until,
      file_in(directory, inspect::kSecretFile), file_in(directory, inspect::kCertificateFile));
}

void print_how_to_trust(const std::string& directory) {
  fmt::print(
      "\nTo trust it in an agent's container, which gets the certificate alone (at /etc/mitmproxy/ca.crt for "
      "example):\n"
      "  gateway ca install --certificate /etc/mitmproxy/ca.crt\n"
      "or, on Debian and Ubuntu:\n"
      "  cp {} /usr/local/share/ca-certificates/{}\n"
      "  update-ca-certificates\n"
      "For programs that do not use the system's store, set SSL_CERT_FILE, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE to\n"
      "the system's bundle, and NODE_EXTRA_CA_CERTS and DENO_CERT to the certificate. 'gateway run' does all of "
      "this.\n",
      file_in(directory, inspect::kCertificateFile), inspect::kAnchorFile);
}

std::string json_text(const std::string& directory, const inspect::CertificateFacts& facts) {
  const nlohmann::ordered_json json{{"directory", directory},
                                    {"subject", facts.subject},
                                    {"sha256", facts.fingerprint},
                                    {"key", facts.key},
                                    {"valid_from", facts.valid_from},
                                    {"valid_until", facts.valid_until},
                                    {"private_key", file_in(directory, inspect::kSecretFile)},
                                    {"certificate", file_in(directory, inspect::kCertificateFile)}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

int done(const base::Status& status) {
  return status ? kExitDone : report(status.error());
}

base::Status export_if_asked(const CaArguments& arguments, const std::string& directory,
                             const inspect::Authority& authority) {
  if (arguments.out.empty()) return {};
  SR_TRY(inspect::export_certificate(authority, directory, arguments.out));
  fmt::print("Certificate for agents: {}\n", file_in(arguments.out, inspect::kExportedFile));
  return {};
}

base::Status create(const CaArguments& arguments, const std::string& directory) {
  SR_LET(loaded, inspect::load_or_create_ca(directory, now()));
  fmt::print("{}\n", loaded->created ? "CA created." : "A CA exists already; it was not changed.");
  print_facts(directory, inspect::describe(loaded->authority.certificate()));
  return export_if_asked(arguments, directory, loaded->authority);
}

base::Status show(const CaArguments& arguments, const std::string& directory) {
  SR_LET(authority, inspect::load_ca(directory, now()));
  const auto facts = inspect::describe(authority->certificate());
  if (arguments.format == "pem") {
    fmt::print("{}", authority->certificate_pem());
  } else if (arguments.format == "json") {
    fmt::print("{}\n", json_text(directory, facts));
  } else {
    print_facts(directory, facts);
    print_how_to_trust(directory);
  }
  return {};
}

base::Status rotate(const CaArguments& arguments, const std::string& directory) {
  SR_LET(authority, inspect::rotate_ca(directory, now()));
  fmt::print("CA replaced. Restart running gateways to use it.\n");
  print_facts(directory, inspect::describe(authority->certificate()));
  SR_TRY(export_if_asked(arguments, directory, *authority));
  fmt::print("\nTo trust the new CA, install its certificate in each agent's container ('gateway ca install').\n");
  return {};
}

base::Result<std::string> certificate_to_install(const CaArguments& arguments, const std::string& directory) {
  if (arguments.certificate.empty()) {
    SR_LET(authority, inspect::load_ca(directory, now()));
    return authority->certificate_pem();
  }
  SR_LET(text, host::read_small_file(arguments.certificate, kMaxCertificateFile));
  const auto certificates = inspect::parse_certificates(*text);
  const auto refused = [&](const std::string& why) {
    return base::usage_error(fmt::format("{}: {}", base::shown(arguments.certificate), why));
  };
  if (!certificates) return refused(certificates.error().message);
  if (auto usable = inspect::check_authority_certificate(*certificates->front(), now()); !usable) {
    return refused(usable.error().message);
  }
  return inspect::to_pem(*certificates->front());
}

base::Status say_added(const std::string& where, const base::Result<inspect::Added>& added) {
  if (!added) return std::unexpected(added.error());
  fmt::print("{}: {}\n", base::shown(where), *added == inspect::Added::kNow ? "written" : "has it already");
  std::fflush(stdout);  // before what the system's program says
  return {};
}

base::Status install(const CaArguments& arguments, const std::string& directory) {
  SR_LET(pem, certificate_to_install(arguments, directory));
  if (!arguments.bundle.empty()) return say_added(arguments.bundle, inspect::add_to_bundle(arguments.bundle, *pem));
  auto store = inspect::find_system_store();
  if (!arguments.store.empty()) store = inspect::SystemStore{arguments.store, {}};
  if (!store) {
    return base::system_error(
        "no known certificate store on this system; install ca-certificates, or pass --store DIR or --bundle FILE");
  }
  const std::string file = file_in(store->anchors, inspect::kAnchorFile);
  SR_TRY(say_added(file, inspect::add_anchor(store->anchors, *pem)));
  if (store->program.empty()) {
    fmt::print("No program was run. Update the system's bundle yourself.\n");
    return {};
  }
  SR_TRY(inspect::update_store(*store));
  fmt::print("{}: done; programs that use the system's store trust the CA\n", store->program);
  return {};
}

struct Action {
  const char* name;
  base::Status (*body)(const CaArguments&, const std::string& directory);
};
constexpr std::array kActions{Action{"create", create}, Action{"show", show}, Action{"install", install},
                              Action{"rotate", rotate}};

// Options that another action would pass over in silence. Not --ca-out, which a container's environment may hold.
base::Status check(const CaArguments& arguments) {
  const auto only = [&](const char* option, const std::string& value, const char* action) -> base::Status {
    if (value.empty() || arguments.action == action) return {};
    return base::usage_error(fmt::format("{}: only with 'gateway ca {}'", option, action));
  };
  for (const auto& status : {only("--certificate", arguments.certificate, "install"),
                             only("--store", arguments.store, "install"), only("--bundle", arguments.bundle, "install"),
                             only("--format", arguments.format == "text" ? "" : arguments.format, "show")}) {
    if (!status) return status;
  }
  return {};
}

int ca_body(const CaArguments& arguments) {
  if (auto checked = check(arguments); !checked) return report(checked.error());
  // Only a certificate is asked for: no directory is needed, and there may be none.
  const bool needs_directory = arguments.certificate.empty();
  const auto directory = arguments.directory.empty() && needs_directory
                             ? inspect::default_ca_directory()
                             : base::Result<std::string>(arguments.directory);
  if (!directory) return report(directory.error());
  for (const Action& action : kActions) {
    if (arguments.action == action.name) return done(action.body(arguments, *directory));
  }
  return kExitUsage;  // CLI11 has let no other through
}

}  // namespace

void add_ca(CLI::App& program, Invocation& invocation) {
  const auto arguments = std::make_shared<CaArguments>();
  CLI::App& command = add_command(
      program, invocation, "ca", "create, show, install or rotate the CA for inspected hosts",
      "gateway ca create --ca-dir /var/lib/soleroute/ca --ca-out /srv/agents/ca\n"
      "  gateway ca show\n"
      "  gateway ca install --certificate /ca/ca.crt   as root, in the agent\n"
      "  gateway ca install --bundle ~/bundle.pem      without root\n"
      "  gateway ca rotate --ca-out /srv/agents/ca\n\n"
      "The directory has the layout of mitmproxy's confdir, so that both programs can share a CA. Its private key "
      "(mitmproxy-ca.pem) must never reach an agent; --ca-out gets only the certificate.",
      [arguments] { return ca_body(*arguments); });
  std::vector<std::string> names;
  names.reserve(kActions.size());
  for (const Action& action : kActions) names.emplace_back(action.name);
  command.add_option("action", arguments->action, "what to do")
      ->required()
      ->check(CLI::IsMember(names).description(""))
      ->type_name(fmt::format("{}", fmt::join(names, "|")));
  add_ca_option(command, arguments->directory, "private directory of the CA (default: the one of 'gateway serve')");
  command.add_option("--ca-out", arguments->out, "create, rotate: write the certificate for agents to this directory")
      ->envname("GATEWAY_CA_OUT")
      ->type_name("DIR");
  command
      .add_option("--certificate", arguments->certificate,
                  "install: this certificate (default: the one in the CA directory)")
      ->type_name("FILE");
  command
      .add_option("--store", arguments->store, "install: directory of the certificate store (default: the system's)")
      ->type_name("DIR");
  command.add_option("--bundle", arguments->bundle, "install: only add it to this bundle of certificates")
      ->type_name("FILE");
  add_format_option(command, arguments->format, {"pem"});
  command.get_option("--format")->description("show: output format");
}

}  // namespace soleroute::gateway::commands
