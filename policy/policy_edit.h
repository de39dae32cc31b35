// Adds entries to the text of a policy file and changes nothing else: comments, order, quotes and line ends stay.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "policy/policy.h"

namespace soleroute::policy {

struct NewEntry {
  std::string list;      // the key: domains, deny, endpoints, services, addresses
  std::string item;      // YAML of the item, one line: "a.test", "{host: a.test, ports: [8443]}"
  std::string agent{};   // the agent whose policy it is for; empty: the common policy
  std::string remark{};  // a comment behind it, without '#'; left out where the list is in brackets
};

// The new text. Each item goes to the end of its list, in the list's own style; an item that the list has already is
// left out. The result differs from the old text by these items alone, and compiles on its own: anything else is an
// error (kUsage) that shows the lines to add by hand. Never writes.
[[nodiscard]] base::Result<std::string> with_entries(const PolicySource& source, std::span<const NewEntry> entries);

}  // namespace soleroute::policy
