// squid.conf: acl lines of hosts, ports and methods, and the http_access lines that use them.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/text.h"
#include "base/web_ports.h"
#include "gateway/importers/formats.h"
#include "gateway/importers/text_scan.h"

namespace soleroute::gateway::importers {
namespace {

struct Acl {
  std::string type;
  std::vector<std::string> values{};
};

using Acls = std::map<std::string, Acl, std::less<>>;

// Who asks, and defaults that squid.conf begins with: they narrow nothing here.
bool is_about_clients(const Acl& acl) {
  return acl.type == "src" || acl.type == "localip" || acl.type == "proxy_auth" || acl.type == "myportname";
}

std::optional<std::uint16_t> single_port(const Acl& acl) {
  std::uint16_t port = 0;
  if (acl.values.size() != 1) return std::nullopt;
  const auto& text = acl.values.front();
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

class SquidReader {
 public:
  explicit SquidReader(Draft& draft) : draft_(draft) {}

  void line(std::string_view text) {
    const auto words = split(text, " \t\r");
    if (words.size() >= 3 && words[0] == "acl") return acl(words);
    if (words.size() >= 3 && words[0] == "http_access" && !closed_) return access(words, text);
  }

 private:
  void acl(const std::vector<std::string_view>& words) {
    Acl& known = acls_[std::string(words[1])];
    known.type = words[2];
    for (std::size_t i = 3; i < words.size(); ++i) {
      if (words[i].starts_with('-')) continue;  // options: -n, -i
      known.values.emplace_back(words[i]);
    }
  }

  // http_access allow|deny NAME… : all of the names, and the first line that matches decides.
  void access(const std::vector<std::string_view>& words, std::string_view text) {
    const Verdict verdict = words[1] == "deny" ? Verdict::kDeny : Verdict::kAllow;
    std::vector<const Acl*> hosts;
    Terms terms;
    std::uint16_t port = 0;
    for (std::size_t i = 2; i < words.size(); ++i) {
      if (words[i] == "all") {
        continue;
      }
      if (words[i].starts_with('!')) return left_out(verdict, text, "'!' cannot be said here");
      const auto found = acls_.find(words[i]);
      if (found == acls_.end()) return left_out(verdict, text, "no acl line of that name in this file");
      const Acl& acl = found->second;
      if (acl.type == "dstdomain" || acl.type == "dst") {
        hosts.push_back(&acl);
      } else if (acl.type == "method") {
        terms.methods = acl.values;
      } else if (const auto one = single_port(acl); acl.type == "port" && one) {
        port = *one;
      } else if (!is_about_clients(acl)) {
        return left_out(verdict, text, fmt::format("acl type {} cannot be said here", acl.type));
      }
    }
    if (hosts.empty() && verdict == Verdict::kDeny && words.back() == "all" && words.size() == 3) {
      closed_ = true;  // as here; later lines have no effect
      return;
    }
    if (hosts.empty()) return left_out(verdict, text, "every host; list the hosts that are needed");
    if (hosts.size() > 1) return left_out(verdict, text, "two lists of hosts at once");
    if (std::erase(terms.methods, "CONNECT") > 0 && terms.methods.empty()) terms.schemes = {"https"};
    if (verdict == Verdict::kDeny && allows_) draft_.mean(kOrder);
    allows_ = allows_ || verdict == Verdict::kAllow;
    for (const auto& value : hosts.front()->values) add(verdict, *hosts.front(), value, terms, port);
  }

  static constexpr std::string_view kOrder =
      "There, the first http_access line that matches decides; here, an entry under deny always wins.";

  void left_out(Verdict verdict, std::string_view text, std::string_view why) {
    // These ends of the usual squid.conf narrow the ports; here, ports are closed that nothing lists.
    const bool usual = verdict == Verdict::kDeny &&
                       (text.contains("Safe_ports") || text.contains("SSL_ports") || text.contains("manager") ||
                        text.contains("to_localhost") || text.contains("to_linklocal"));
    if (!usual) draft_.omit(trimmed(text), why, verdict);
  }

  void add(Verdict verdict, const Acl& acl, std::string_view value, const Terms& terms, std::uint16_t port) {
    if (value.starts_with('"')) return draft_.omit(value, "a list in another file; write its names here", verdict);
    if (acl.type == "dst" || base::IpAddress::parse(value)) return address(verdict, value, port);
    const bool below = value.starts_with('.');
    const auto name = value.substr(below ? 1 : 0);
    const std::uint16_t listed = base::is_web_port(port) ? 0 : port;
    Terms all = terms;
    if (port == base::kHttpsPort) all.schemes = {"https"};
    if (port == base::kHttpPort) all.schemes = {"http"};
    draft_.host(verdict, below ? Reach::kNameAndBelow : Reach::kName, name, {all}, listed);
  }

  void address(Verdict verdict, std::string_view value, std::uint16_t port) {
    const auto range = base::IpAddress::parse(value) ? fmt::format("{}/{}", value, value.contains(':') ? 128 : 32)
                                                     : std::string(value);
    const std::string ports = port == 0 ? "80, 443" : std::to_string(port);
    draft_.item(verdict == Verdict::kDeny ? "deny" : "endpoints",
                fmt::format("{{cidr: {}, ports: [{}]}}", yaml_text(range), ports), value);
  }

  Draft& draft_;
  Acls acls_;
  bool allows_ = false;
  bool closed_ = false;
};

}  // namespace

base::Status read_squid(const Input& input, Draft& draft) {
  if (!input.text.contains("http_access")) {
    return base::usage_error(fmt::format("{}: no http_access lines", base::shown(input.name)));
  }
  draft.mean("There, \".example.com\" is example.com and the names below it: \"*.example.com\" here.");
  SquidReader reader(draft);
  for (const auto line : base::lines_of(input.text)) reader.line(without_comment(line));
  return {};
}

}  // namespace soleroute::gateway::importers
