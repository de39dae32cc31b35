// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/policy_data.h"

#include "policy/special_names.h"

namespace soleroute::policy {

HostTable::Found Policy::Data::find(const base::HostName& name, const NameHashes& hashes) const {
  auto found = table.find(hashes);
  const auto& every = *table.entry({});
  const bool by_record = found.record != HostTable::kNone && found.record == every.wildcard;
  const bool by_endpoints = found.endpoints != HostTable::kNone && found.endpoints == every.endpoints_below;
  if ((!by_record && !by_endpoints) || special_name(name) == SpecialName::kNone) return found;
  if (by_record) found.record = HostTable::kNone;
  if (by_endpoints) found.endpoints = HostTable::kNone;
  return found;
}

}  // namespace soleroute::policy
