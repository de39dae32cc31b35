// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/doctor_proxy.h"

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "gateway/commands/probe_socket.h"
#include "gateway/commands/system_addresses.h"
#include "gateway/flow/proxy_tunnel.h"
#include "gateway/host/policy_files.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::chrono::milliseconds kProxyTimeout{3000};
constexpr std::size_t kMaxPasswordFile = 4096;
// No proxy reaches it (RFC 6761 section 6.4): what it answers is about itself.
constexpr const char* kNowhere = "gateway-doctor.invalid:443";

std::vector<base::Endpoint> places_of(const flow::UpstreamProxy& proxy) {
  if (!proxy.name) return {{proxy.address, proxy.port}};
  const auto addresses = system_addresses(proxy.name->text());
  std::vector<base::Endpoint> places;
  if (!addresses) return places;
  for (const auto& address : *addresses) places.push_back({address, proxy.port});
  return places;
}

Finding bad(std::string what, std::string fix) {
  return {Level::kProblem, std::move(what), std::move(fix)};
}

Finding good(const flow::UpstreamProxy& proxy) {
  return {Level::kOk, fmt::format("upstream proxy {} can be reached", proxy.url()), {}};
}

Finding ask(const flow::UpstreamProxy& proxy, const ProbeSocket& socket) {
  constexpr const char* kFix = "check the address, the port and the kind: http://, https:// or socks5h://";
  if (proxy.kind != flow::UpstreamProxy::Kind::kHttp) return good(proxy);  // it accepted the connection
  if (const auto sent = socket.send(flow::connect_request(proxy, kNowhere)); !sent) {
    return bad(fmt::format("upstream proxy {}: {}", proxy.url(), sent.error().message), kFix);
  }
  const auto answer = socket.receive_until([](const std::string& text) { return text.contains("\n"); });
  if (!answer || !answer->starts_with("HTTP/1.")) {
    return bad(fmt::format("upstream proxy {} does not answer as a proxy", proxy.url()), kFix);
  }
  if (answer->substr(8, 5).starts_with(" 407")) {
    return bad(flow::login_fault(proxy, {}),
               "--upstream-proxy http://USER@HOST:PORT --upstream-proxy-password-file FILE");
  }
  return good(proxy);
}

}  // namespace

Finding examine_upstream_proxy(flow::UpstreamProxy proxy, const std::string& password_file) {
  if (!password_file.empty()) {
    const auto text = host::read_small_file(password_file, kMaxPasswordFile);
    const auto set = text ? flow::set_password(proxy, *text) : base::Status(std::unexpected(text.error()));
    if (!set) return bad("the password of the upstream proxy: " + set.error().message, "write one line to the file");
  }
  const auto places = places_of(proxy);
  if (places.empty()) {
    return bad(fmt::format("upstream proxy {}: its name does not resolve", proxy.url()),
               "check the name, or give its address");
  }
  std::string why;
  for (const base::Endpoint& place : places) {
    const auto socket = ProbeSocket::connect(ProbeKind::kTcp, place, kProxyTimeout);
    if (socket) return ask(proxy, *socket);
    why = fmt::format("{}: {}", place.to_string(), socket.error().message);
  }
  return bad(fmt::format("upstream proxy {} cannot be reached ({})", proxy.url(), why),
             "check the address and the port, and that this machine may connect to it");
}

}  // namespace soleroute::gateway::commands
