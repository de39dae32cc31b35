// The connections of one inspected client connection to the host that it named: TLS, verified, kept while the policy is
// the same, never another client's.
// Used on its worker's thread; borrows the context.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/flow/inspected.h"

namespace soleroute::gateway::flow {

// The names of ALPN, RFC 7301 section 6.
[[nodiscard]] std::string_view alpn_name(HttpVersion version);

class InspectedOrigin final : public OriginSource {
 public:
  // `preferred`: where the client was going, if that is known.
  InspectedOrigin(FlowContext& context, const ClientConnection& client, base::HostName name,
                  std::optional<base::IpAddress> preferred);

  [[nodiscard]] boost::asio::awaitable<std::expected<OriginConnection, DialFailure>> connect(
      std::vector<HttpVersion> offered) override;
  void give_back(OriginConnection connection) override;
  // The next connect() fails with this, instead of trying again what has just failed.
  void fail_next(DialFailure failure) { known_failure_ = std::move(failure); }

 private:
  static constexpr std::size_t kMaxIdle = 8;
  [[nodiscard]] std::optional<OriginConnection> kept(const std::vector<HttpVersion>& offered);
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> dial();
  [[nodiscard]] boost::asio::awaitable<std::expected<OriginConnection, DialFailure>> connect_anew(
      std::vector<HttpVersion> offered);

  FlowContext& context_;
  base::IpAddress client_;
  std::shared_ptr<net::ClientBuffers> buffers_;
  base::HostName name_;
  std::optional<base::IpAddress> preferred_;
  std::optional<DialFailure> known_failure_;
  bool http2_alone_ = false;  // it has refused HTTP/1.1
  std::vector<OriginConnection> idle_;
  std::weak_ptr<const policy::Policy> policy_;  // under which those of idle_ were made
};

}  // namespace soleroute::gateway::flow
