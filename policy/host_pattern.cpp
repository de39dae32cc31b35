// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/host_pattern.h"

#include <fmt/format.h>
#include <idn2.h>
#include <libpsl.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/ip_address.h"
#include "base/text.h"
#include "base/utf8.h"

namespace soleroute::policy {
namespace {

struct IdnFree {
  void operator()(char* text) const { idn2_free(text); }
};

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

enum class Script { kCommon, kLatin, kGreek, kCyrillic, kArmenian, kCherokee, kOther };

// Only the scripts that hold look-alikes of one another matter here.
Script script_of(char32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? Script::kLatin : Script::kCommon;
  if (c >= 0xc0 && c <= 0x24f) return Script::kLatin;
  if (c >= 0x1e00 && c <= 0x1eff) return Script::kLatin;
  if ((c >= 0x370 && c <= 0x3ff) || (c >= 0x1f00 && c <= 0x1fff)) return Script::kGreek;
  if ((c >= 0x400 && c <= 0x52f) || (c >= 0x1c80 && c <= 0x1c8f) || (c >= 0x2de0 && c <= 0x2dff) ||
      (c >= 0xa640 && c <= 0xa69f)) {
    return Script::kCyrillic;
  }
  if (c >= 0x530 && c <= 0x58f) return Script::kArmenian;
  if ((c >= 0x13a0 && c <= 0x13ff) || (c >= 0xab70 && c <= 0xabbf)) return Script::kCherokee;
  return c >= 0x300 && c <= 0x36f ? Script::kCommon : Script::kOther;
}

// More than one of the look-alike scripts in one label: "pаypal" with a Cyrillic а.
bool mixes_scripts(std::string_view label) {
  Script seen = Script::kCommon;
  for (std::size_t at = 0; at < label.size();) {
    const auto decoded = base::utf8::decode(label.substr(at));
    if (!decoded) return true;
    at += decoded->size;
    const Script script = script_of(decoded->code_point);
    if (script == Script::kCommon || script == Script::kOther) continue;
    if (seen != Script::kCommon && seen != script) return true;
    seen = script;
  }
  return false;
}

// U-labels to A-labels by IDNA 2008 without the UTS #46 mapping: full-width letters, ideographic full stops, invisible
// and upper-case non-ASCII characters are refused, not mapped.
base::Result<std::string> to_a_labels(std::string_view text) {
  for (std::string_view rest = text; !rest.empty();) {
    const auto dot = rest.find('.');
    if (mixes_scripts(rest.substr(0, dot))) {
      return base::usage_error("mixes letters of several scripts in one label: a look-alike name");
    }
    rest.remove_prefix(dot == std::string_view::npos ? rest.size() : dot + 1);
  }
  const std::string input(text);
  char* output = nullptr;
  const int status = idn2_to_ascii_8z(input.c_str(), &output, IDN2_NFC_INPUT | IDN2_NO_TR46);
  const std::unique_ptr<char, IdnFree> owned(output);
  if (status == IDN2_OK) return std::string(owned.get());
  return base::usage_error(fmt::format("is not a host name: {}", idn2_strerror(status)));
}

// Names that no registry delegates (RFC 6761, RFC 6762 appendix G, and ICANN's reservations): a star in front of one of
// them reaches nothing public.
constexpr std::array<std::string_view, 12> kPrivateTops{"internal", "local",       "localhost", "lan",
                                                        "home",     "corp",        "test",      "example",
                                                        "intranet", "localdomain", "private",   "consul"};
constexpr std::string_view kHomeNetwork = "home.arpa";  // RFC 8375

// What people write instead of a host; empty if it is none of these.
std::string other_form(std::string_view text) {
  const auto scheme = text.find("://");
  if (scheme != std::string_view::npos) {
    const auto host = text.substr(scheme + 3).substr(0, text.substr(scheme + 3).find_first_of("/:?#"));
    return fmt::format("is a URL; write only the host: {}", base::shown(host));
  }
  if (base::IpAddress::parse(text) || (text.starts_with('[') && text.ends_with(']'))) {
    return "is an address, not a name; list addresses under 'endpoints:'";
  }
  if (text.find('/') != std::string_view::npos) {
    if (base::Cidr::parse(text)) return "is an address range, not a name; list ranges under 'endpoints:'";
    return "has a path; write only the host, and put the path in a rule";
  }
  const auto colon = text.find(':');
  const bool port = colon != std::string_view::npos && colon + 1 < text.size() &&
                    text.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
  if (port) return "has a port; write only the host, or an item under 'endpoints:'";
  return {};
}

}  // namespace

bool covers(std::string_view pattern, std::string_view name) {
  if (pattern == kEveryHost) return true;
  const auto suffix = suffix_of(pattern);
  if (name == suffix) return true;
  return is_wildcard(pattern) && name.ends_with(suffix) && name.size() > suffix.size() &&
         name[name.size() - suffix.size() - 1] == '.';
}

HostPattern HostPattern::every_host() {
  return {.name = *base::HostName::parse("invalid"), .wildcard = true, .every = true};
}

base::Result<HostPattern> parse_host_pattern(std::string_view text, Wildcards accepted) {
  if (text.find_first_not_of(" \t\n") == std::string_view::npos) return base::usage_error("is empty");
  if (text == kEveryHost && accepted != Wildcards::kOfSites) return HostPattern::every_host();
  if (text == "*" || text == "*.") return base::usage_error("would allow every host; name the hosts");
  if (auto other = other_form(text); !other.empty()) return base::usage_error(std::move(other));
  const bool wildcard = text.starts_with("*.");
  const std::string_view bare = wildcard ? text.substr(2) : text;
  if (bare.find('*') != std::string_view::npos) {
    return base::usage_error("can have '*' only as its whole first label, as in '*.example.com'");
  }
  std::string ascii(bare);
  if (!is_ascii(bare)) {
    SR_LET(converted, to_a_labels(bare));
    ascii = std::move(*converted);
  }
  auto name = base::HostName::parse(ascii);
  if (!name) {
    const auto& message = name.error().message;  // "'x' has …": the caller names it
    const auto quote = message.rfind("' ");
    return base::usage_error(quote == std::string::npos ? message : message.substr(quote + 2));
  }
  if (wildcard && accepted != Wildcards::kAny && is_public_suffix(name->text())) {
    return base::usage_error("would allow every site under a public suffix; name the sites");
  }
  return HostPattern{std::move(*name), wildcard};
}

bool is_public_suffix(std::string_view name) {
  if (name.find('.') == std::string_view::npos) return std::ranges::find(kPrivateTops, name) == kPrivateTops.end();
  if (name == kHomeNetwork) return false;
  const std::string terminated(name);
  return psl_is_public_suffix2(psl_builtin(), terminated.c_str(), PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE) != 0;
}

bool is_shared_suffix(std::string_view name) {
  const std::string terminated(name);
  return psl_is_public_suffix2(psl_builtin(), terminated.c_str(), PSL_TYPE_PRIVATE | PSL_TYPE_NO_STAR_RULE) != 0;
}

}  // namespace soleroute::policy
