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

#include "gateway/http/origin.h"

namespace soleroute::gateway::ingress {

// The names of ALPN, RFC 7301 section 6.
[[nodiscard]] std::string_view alpn_name(http::HttpVersion version);

class InspectedOrigin final : public http::OriginSource {
 public:
  // `preferred`: where the client was going, if that is known.
  InspectedOrigin(flow::Context& context, const flow::ClientConnection& client, std::uint16_t port, base::HostName name,
                  std::optional<base::IpAddress> preferred);

  [[nodiscard]] boost::asio::awaitable<std::expected<http::OriginConnection, flow::DialFailure>> connect(
      std::vector<http::HttpVersion> offered) override;
  void give_back(http::OriginConnection connection) override;
  // The next connect() fails with this, instead of trying again what has just failed.
  void fail_next(flow::DialFailure failure) { known_failure_ = std::move(failure); }

 private:
  static constexpr std::size_t kMaxIdle = 8;
  [[nodiscard]] std::optional<http::OriginConnection> kept(const std::vector<http::HttpVersion>& offered);
  [[nodiscard]] boost::asio::awaitable<std::expected<flow::Dialled, flow::DialFailure>> dial();
  [[nodiscard]] boost::asio::awaitable<std::expected<http::OriginConnection, flow::DialFailure>> connect_anew(
      std::vector<http::HttpVersion> offered);

  flow::Context& context_;
  base::IpAddress client_;
  std::shared_ptr<net::ClientBuffers> buffers_;
  base::HostName name_;
  std::optional<base::IpAddress> preferred_;
  std::uint16_t port_;
  std::optional<flow::DialFailure> known_failure_;
  bool http2_alone_ = false;  // it has refused HTTP/1.1
  std::vector<http::OriginConnection> idle_;
  std::weak_ptr<const void> policy_;  // under which those of idle_ were made
};

}  // namespace soleroute::gateway::ingress
