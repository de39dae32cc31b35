// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/serving_ca.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <chrono>
#include <utility>

#include "gateway/inspect/ca_directory.h"
#include "gateway/inspect/certificate_facts.h"

namespace soleroute::gateway::serve {

base::Result<std::shared_ptr<const inspect::Inspection>> open_ca(const ServeOptions& options,
                                                                 const std::string& origin_roots,
                                                                 audit::DecisionLog& log) {
  SR_LET(directory, options.ca_directory.empty() ? inspect::default_ca_directory() : options.ca_directory);
  SR_LET(loaded, inspect::load_or_create_ca(*directory, std::chrono::system_clock::now()));
  // Its key must not come out in a core dump.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return base::errno_error("cannot forbid core dumps");
  const auto facts = inspect::describe(loaded->authority.certificate());
  log.lifecycle("ca",
                fmt::format("{} {}, SHA-256 {}, valid until {}", loaded->created ? "created CA in" : "using CA from",
                            *directory, facts.fingerprint, facts.valid_until));
  if (!options.ca_out.empty()) {
    SR_LET(exported, inspect::export_certificate(loaded->authority, *directory, options.ca_out));
  }
  return inspect::make_inspection(std::move(loaded->authority), origin_roots);
}

}  // namespace soleroute::gateway::serve
