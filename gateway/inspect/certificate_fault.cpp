// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/certificate_fault.h"

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "base/text.h"

namespace soleroute::gateway::inspect {
namespace {

constexpr std::size_t kMostShown = 200;
constexpr int kMostNames = 5;

// Certificates say what their makers like.
std::string plain(std::string_view text) {
  std::string out = base::shown_ascii(text, kMostShown);
  std::ranges::replace(out, '"', '?');
  return out;
}

std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

std::string day(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable date";
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

// The common name, or else the organisation.
std::string name_of(const X509_NAME* name) {
  for (const int kind : {NID_commonName, NID_organizationalUnitName, NID_organizationName}) {
    const int at = X509_NAME_get_index_by_NID(name, kind, -1);
    if (at >= 0) return plain(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))));
  }
  return "an issuer without a name";
}

std::string names_in(X509* certificate) {
  const auto free_names = [](GENERAL_NAMES* names) { GENERAL_NAMES_free(names); };
  const std::unique_ptr<GENERAL_NAMES, decltype(free_names)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)), free_names);
  std::string out;
  int shown = 0;
  int all = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    if (all++ == kMostNames) continue;
    if (shown++ < kMostNames) out += (out.empty() ? "" : ", ") + plain(text_of(name->d.dNSName));
  }
  if (all > kMostNames) out += fmt::format(" and {} more", all - kMostNames);
  return out.empty() ? "no host name" : out;
}

// "its certificate", or whose.
std::string whose(int depth, X509* certificate) {
  if (depth == 0 || certificate == nullptr) return "its certificate";
  return fmt::format("the certificate of its issuer \"{}\"", name_of(X509_get_subject_name(certificate)));
}

}  // namespace

std::string certificate_fault(int error, int depth, X509* certificate, std::string_view wanted_name) {
  const std::string subject = whose(depth, certificate);
  if (certificate == nullptr) return fmt::format("{}: {}", subject, X509_verify_cert_error_string(error));
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return fmt::format("{} expired on {}", subject, day(X509_get0_notAfter(certificate)));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("{} is not valid before {}; is the gateway's clock right?", subject,
                         day(X509_get0_notBefore(certificate)));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return fmt::format("{} is self-signed, and is not among the trusted roots (--trust adds one)", subject);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return fmt::format("its certificate chain ends at the root \"{}\", which is not trusted (--trust adds one)",
                         name_of(X509_get_subject_name(certificate)));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return fmt::format(
          "{} was issued by \"{}\", which is unknown here: its root is not trusted (--trust adds one), or the origin "
          "does not send an intermediate certificate",
          subject, name_of(X509_get_issuer_name(certificate)));
    case X509_V_ERR_HOSTNAME_MISMATCH:
      return fmt::format("{} is for {}, not for {}", subject, names_in(certificate), wanted_name);
    case X509_V_ERR_INVALID_PURPOSE:
      return fmt::format("{} is not one for servers", subject);
    case X509_V_ERR_CERT_REVOKED:
      return fmt::format("{} has been revoked", subject);
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
      return fmt::format("{} has a key that is too small", subject);
    case X509_V_ERR_CA_MD_TOO_WEAK:
      return fmt::format("{} has a signature that is too weak", subject);
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
      return fmt::format("{} is for a name that its issuer may not vouch for", subject);
    default:
      return fmt::format("{}: {}", subject, X509_verify_cert_error_string(error));
  }
}

}  // namespace soleroute::gateway::inspect
