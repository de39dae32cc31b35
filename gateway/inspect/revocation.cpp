// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/revocation.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include <memory>

namespace soleroute::gateway::inspect {
namespace {

struct Freed {
  void operator()(OCSP_RESPONSE* response) const { OCSP_RESPONSE_free(response); }
  void operator()(OCSP_BASICRESP* response) const { OCSP_BASICRESP_free(response); }
  void operator()(OCSP_CERTID* id) const { OCSP_CERTID_free(id); }
};

}  // namespace

bool says_revoked(base::Bytes answer, const stack_st_X509* chain, X509_STORE* roots) {
  if (sk_X509_num(chain) < 2) return false;
  const auto* bytes = reinterpret_cast<const unsigned char*>(answer.data());
  const std::unique_ptr<OCSP_RESPONSE, Freed> response(
      d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(answer.size())));
  if (!response || OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL) return false;
  const std::unique_ptr<OCSP_BASICRESP, Freed> basic(OCSP_response_get1_basic(response.get()));
  const std::unique_ptr<OCSP_CERTID, Freed> id(
      OCSP_cert_to_id(EVP_sha1(), sk_X509_value(chain, 0), sk_X509_value(chain, 1)));
  if (!basic || !id) return false;
  int status = V_OCSP_CERTSTATUS_UNKNOWN;
  const bool found = OCSP_resp_find_status(basic.get(), id.get(), &status, nullptr, nullptr, nullptr, nullptr) == 1;
  if (!found || status != V_OCSP_CERTSTATUS_REVOKED) return false;
  const bool believed = OCSP_basic_verify(basic.get(), const_cast<stack_st_X509*>(chain), roots, 0) == 1;
  ERR_clear_error();
  return believed;
}

}  // namespace soleroute::gateway::inspect
