// A certificate for one host, signed by the CA that the agent trusts, and where such certificates come from.
// A leaf never changes and is shared by workers; a source is one for the process and thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/types.h>

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/host_name.h"
#include "base/result.h"

namespace soleroute::gateway::inspect {

struct X509Deleter {
  void operator()(X509* certificate) const;
};
struct KeyDeleter {
  void operator()(EVP_PKEY* key) const;
};
using X509Ptr = std::unique_ptr<X509, X509Deleter>;
using KeyPtr = std::unique_ptr<EVP_PKEY, KeyDeleter>;

// What a leaf is for. One that only shows a refusal says so in its subject (O=Blocked by policy), because some tools
// show the certificate and nothing else.
enum class LeafUse : std::uint8_t { kInspection, kRefusal };

struct Leaf {
  X509Ptr certificate;
  std::vector<X509Ptr> chain;  // above it, as sent: the CA itself is in the client's store and not among them
  KeyPtr key;
};

// An OS seam of sorts: signing takes time and happens off the workers' threads.
class LeafSource {
 public:
  virtual ~LeafSource() = default;
  // Cached, or made on another thread while the caller waits; resumes on the caller's executor. kSystem: no leaf can be
  // made, and the flow must be refused. Only asked for names that the policy has already decided about.
  [[nodiscard]] virtual boost::asio::awaitable<base::Result<std::shared_ptr<const Leaf>>> leaf_for(base::HostName name,
                                                                                                   LeafUse use) = 0;
  // The CA's list of revoked certificates, DER. Cached; null: there is none.
  [[nodiscard]] virtual std::shared_ptr<const std::string> revocation_list() { return nullptr; }
};

}  // namespace soleroute::gateway::inspect
