// Java's key stores of trusted roots: where they are, and one with further certificates.
// Reads the file system; changes nothing.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace soleroute::gateway::jail {

inline constexpr std::size_t kMaxJavaStores = 8;
inline constexpr std::size_t kMaxJavaStore = std::size_t{1} << 20;  // Debian's is about 165 KB

// Canonical paths, each once: the system's store, JAVA_HOME's, and those of the JDKs in the usual folders.
[[nodiscard]] std::vector<std::string> find_java_stores(const std::vector<std::string>& environment);

// `store` in the format JKS with the certificates of `added_pem`, for the usual password "changeit". A store in another
// format (PKCS #12) is replaced by one of all certificates of `all_pem`, which Java reads under the same name.
[[nodiscard]] base::Result<std::string> with_certificates(std::string_view store, std::string_view added_pem,
                                                          std::string_view all_pem);

// The certificates in `pem` as DER, in order. What is not a certificate is skipped.
[[nodiscard]] std::vector<std::string> certificates_of(std::string_view pem);

}  // namespace soleroute::gateway::jail
