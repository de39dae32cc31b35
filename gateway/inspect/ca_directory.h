// The directory in which a CA is kept, with the file names and contents of mitmproxy's confdir.
// Functions over one directory; several processes may use them on the same one at once.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "base/result.h"
#include "gateway/inspect/authority.h"

namespace soleroute::gateway::inspect {

inline constexpr const char* kSecretFile = "mitmproxy-ca.pem";            // key and certificate
inline constexpr const char* kSecretP12File = "mitmproxy-ca.p12";         // the same as PKCS #12
inline constexpr const char* kCertificateFile = "mitmproxy-ca-cert.pem";  // what agents may see
inline constexpr const char* kCertificateCerFile = "mitmproxy-ca-cert.cer";
inline constexpr const char* kCertificateP12File = "mitmproxy-ca-cert.p12";
inline constexpr const char* kExportedFile =
    "ca.crt";  // beside kCertificateFile, as agents of agent-sandbox look for it

// /var/lib/soleroute/ca for root and for whom it belongs to, soleroute/ca below the user's data directory (XDG)
// otherwise. kUsage where there is no home either.
[[nodiscard]] base::Result<std::string> default_ca_directory();

// All of them: kUsage with the file and what to do where something is there that must not be used; kSystem where the
// system cannot. Nothing is ever used, repaired or overwritten in spite of a doubt.

// The one that is there; kUsage where there is none.
[[nodiscard]] base::Result<Authority> load_ca(const std::string& directory, TimePoint now);

struct LoadedCa {
  Authority authority;
  bool created = false;
};
// The one that is there, else a new one. Of several processes that find none, one makes it and all get the same.
[[nodiscard]] base::Result<LoadedCa> load_or_create_ca(const std::string& directory, TimePoint now);

// A new one in the place of whatever was there. What runs keeps the old one until it is started again.
[[nodiscard]] base::Result<Authority> rotate_ca(const std::string& directory, TimePoint now);

// The certificate, and nothing else, for agents: into a directory that holds no key. Files that are as they should be
// are left alone.
[[nodiscard]] base::Status export_certificate(const Authority& authority, const std::string& ca_directory,
                                              const std::string& directory);

}  // namespace soleroute::gateway::inspect
