// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/certificate_names.h"

#include <openssl/x509v3.h>

#include <memory>
#include <string_view>

namespace soleroute::gateway::inspect {

bool wildcard_covers_underscore(const X509* certificate, const base::HostName& name) {
  const std::string_view parent = name.parent();
  const std::string_view first = std::string_view(name.text()).substr(0, name.text().size() - parent.size());
  if (parent.find('.') == std::string_view::npos || first.find('_') == std::string_view::npos) return false;

  const auto free_names = [](GENERAL_NAMES* names) { GENERAL_NAMES_free(names); };
  const std::unique_ptr<GENERAL_NAMES, decltype(free_names)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)), free_names);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* entry = sk_GENERAL_NAME_value(names.get(), i);
    if (entry->type != GEN_DNS) continue;
    const std::string_view pattern(reinterpret_cast<const char*>(ASN1_STRING_get0_data(entry->d.dNSName)),
                                   static_cast<std::size_t>(ASN1_STRING_length(entry->d.dNSName)));
    if (!pattern.starts_with("*.") || pattern.size() != parent.size() + 2) continue;
    const auto covered = base::HostName::parse(pattern.substr(2));
    if (covered && covered->text() == parent) return true;
  }
  return false;
}

}  // namespace soleroute::gateway::inspect
