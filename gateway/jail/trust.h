// Which roots the command trusts: the system's and more, as one private bundle and the variables that name it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/jail/channel.h"
#include "gateway/jail/mounts.h"

namespace soleroute::gateway::jail {

struct TrustRequest {
  std::string roots_pem;                 // --trust: further roots, or empty
  std::string ca_pem;                    // the gateway's own CA certificate, or empty
  std::vector<std::string> environment;  // whose variables name what its user trusts already
};

struct Trust {
  std::optional<FileReplacement> bundle;  // what the jail sees in place of the system's bundle
  std::optional<LoneFile> additions;      // the same without the system's roots
  std::vector<FileReplacement> stores{};  // Java's, likewise with more
  std::vector<AddedFile> added_files{};   // browsers' policies
  bool without_firefox = false;           // it would take too many files
  std::vector<std::string> variables;     // "NAME=value"; replaces what was there
};

// Where distributions keep things, in the order of the search.
struct TrustPlaces {
  std::span<const std::string_view> bundles;
  std::span<const std::string_view> anchors;  // directories for certificates that were added by hand
  std::vector<std::string> java_stores{};
  bool browsers = false;  // whether installed browsers are told
};
[[nodiscard]] TrustPlaces system_trust_places(const std::vector<std::string>& environment);

// Nothing asked for: nothing changes. Otherwise the bundle is the system's roots, then the CA, the further roots and
// those that the environment's variables named. It covers the system's own file in the jail's private mount namespace,
// so that programs which look there find it too, and nothing is written to the host. What adds to built-in roots
// (Node, Deno) is given the additions alone, where there is a place for them: all roots take Node 50 ms at every start.
// Where the system has no bundle to add to, nothing changes for the CA alone, and for further roots it is kSystem: they
// were asked for.
[[nodiscard]] base::Result<Trust> make_trust(const TrustRequest& request, const TrustPlaces& places);

// For the jail's first process, which is there before anybody knows what it is to trust: the texts travel as files in
// memory.
[[nodiscard]] base::Result<Message> pack_trust(const Trust& trust);
[[nodiscard]] base::Result<Trust> unpack_trust(const Message& message);

// `environment` with each of `variables` in place of a variable of that name.
[[nodiscard]] std::vector<std::string> with_variables(std::vector<std::string> environment,
                                                      const std::vector<std::string>& variables);

}  // namespace soleroute::gateway::jail
