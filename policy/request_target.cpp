// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/request_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/ascii.h"
#include "base/utf8.h"

namespace soleroute::policy {
namespace {

// Servers that decode more than once stop after two or three times.
constexpr int kMaxDecodings = 4;

// The byte that the escape at the beginning of `text` stands for.
std::optional<char> escape(std::string_view text) {
  if (text.size() < 3 || text[0] != '%') return std::nullopt;
  const int high = base::hex_digit(text[1]);
  const int low = base::hex_digit(text[2]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

bool is_unreserved(char c) {
  return base::is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

// pchar without unreserved and escapes, and '/' (RFC 3986 section 3.3).
bool is_literal_in_path(char c) {
  return std::string_view("/!$&'()*+,;=:@").find(c) != std::string_view::npos;
}

bool is_control(char c) {
  return static_cast<std::uint8_t>(c) < 0x20 || c == 0x7f;
}

// One round of percent-decoding; ill-formed escapes stay as they are.
std::string decoded_once(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = text[at] == '%' ? escape(text.substr(at)) : std::nullopt;
    out += byte ? *byte : text[at];
    at += byte ? 3 : 1;
  }
  return out;
}

struct Folding {
  char32_t from;
  std::string_view to;
};

// What servers that map characters to look-alikes (Unicode's NFKC, the best fit of Windows code pages) make of these,
// as far as it can make or hide a dot segment or an escape. Fullwidth forms of ASCII are not in the table.
constexpr std::array<Folding, 21> kFoldings{{
    {0x00a5, "/"}, {0x037e, ";"}, {0x20a9, "/"},   {0x2024, "."},  {0x2025, ".."}, {0x2026, "..."}, {0x2044, "/"},
    {0x2215, "/"}, {0x2216, "/"}, {0x215f, "1/"},  {0x29f5, "/"},  {0x29f8, "/"},  {0x29f9, "/"},   {0x3002, "."},
    {0xfe12, "."}, {0xfe14, ";"}, {0xfe19, "..."}, {0xfe30, ".."}, {0xfe52, "."},  {0xfe54, ";"},   {0xff61, "."},
}};

struct Range {
  char32_t first;
  char32_t last;
};

// White space, and what Unicode calls Default_Ignorable_Code_Point: cut off, or left out.
constexpr std::array<Range, 21> kBlanks{{
    {0x0085, 0x0085},   {0x00a0, 0x00a0},   {0x00ad, 0x00ad},   {0x034f, 0x034f}, {0x061c, 0x061c}, {0x115f, 0x1160},
    {0x1680, 0x1680},   {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f},
    {0x3000, 0x3000},   {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfff8},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
}};

// Nothing: it stays as it is. `own` holds what is none of the table's.
std::optional<std::string_view> folding_of(char32_t character, char& own) {
  constexpr char32_t kFullwidth = 0xfee0;  // from U+0021 to U+FF01, up to U+007E
  constexpr char32_t kSmallReverseSolidus = 0xfe68;
  constexpr char32_t kSmallPercent = 0xfe6a;
  if (character == kSmallReverseSolidus) return "/";
  if (character == kSmallPercent) return "%";
  if (character >= kFullwidth + 0x21 && character <= kFullwidth + 0x7e) {
    own = static_cast<char>(character - kFullwidth);
    return std::string_view(own == '\\' ? "/" : std::string_view(&own, 1));
  }
  const auto* const found = std::ranges::find(kFoldings, character, &Folding::from);
  if (found != kFoldings.end()) return found->to;
  const bool blank = std::ranges::any_of(
      kBlanks, [character](Range range) { return range.first <= character && character <= range.last; });
  return blank ? std::optional<std::string_view>(" ") : std::nullopt;
}

std::string folded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const bool ascii = static_cast<std::uint8_t>(text.front()) < 0x80;
    const auto character = ascii ? std::nullopt : base::utf8::decode(text);
    const std::size_t size = character ? character->size : 1;
    char own = 0;
    const auto to = character ? folding_of(character->code_point, own) : std::nullopt;
    out += to ? *to : text.substr(0, size);
    text.remove_prefix(size);
  }
  return out;
}

// "." or "..", with or without path parameters behind (";x"), which some servers cut off before they resolve dots, or
// with blanks, which Windows cuts off. Three dots alone are a name.
bool is_dot_segment(std::string_view segment) {
  const auto name = segment.substr(0, segment.find(';'));
  const bool dots_and_blanks = name.find_first_not_of(". ") == std::string_view::npos && name.contains('.');
  return dots_and_blanks && (name.size() < 3 || name.contains(' '));
}

bool has_dot_segment(std::string_view plain) {
  std::string_view rest = plain;
  while (true) {
    const auto slash = rest.find_first_of("/\\");
    if (is_dot_segment(rest.substr(0, slash))) return true;
    if (slash == std::string_view::npos) return false;
    rest.remove_prefix(slash + 1);
  }
}

// Could two servers take `path` for different resources? Looks at what any number of decodings gives.
bool is_ambiguous(std::string_view path) {
  std::string now(path);
  for (int round = 0; round <= kMaxDecodings; ++round) {
    const std::string plain = folded(now);
    if (has_dot_segment(plain) || now.find('\\') != std::string::npos) return true;
    if (std::ranges::any_of(now, is_control)) return true;
    // An escape may be spelled in fullwidth characters; what is ill-formed is left for the last look.
    std::string next = decoded_once(plain);
    if (next == plain) next = now;
    if (next == now) return base::utf8::first_fault(now).has_value();
    now = std::move(next);
  }
  return true;
}

}  // namespace

std::optional<std::string> normalised_path(std::string_view path) {
  if (!path.starts_with('/') || path.size() > kMaxTargetBytes || is_ambiguous(path)) return std::nullopt;
  if (base::utf8::first_fault(decoded_once(path))) return std::nullopt;
  std::string out;
  out.reserve(path.size());
  for (std::size_t at = 0; at < path.size();) {
    const bool escaped = path[at] == '%';
    const auto byte = escaped ? escape(path.substr(at)) : std::optional<char>(path[at]);
    if (!byte) return std::nullopt;
    const bool literal = is_unreserved(*byte) || (!escaped && is_literal_in_path(*byte));
    if (literal) {
      out += *byte;
    } else {
      out += fmt::format("%{:02X}", static_cast<std::uint8_t>(*byte));
    }
    at += escaped ? 3 : 1;
  }
  return out;
}

std::optional<QueryParameters> parse_query(std::string_view query) {
  if (query.size() > kMaxTargetBytes) return std::nullopt;
  QueryParameters parameters;
  const auto decode = [](std::string_view text) -> std::optional<std::string> {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const bool escaped = text[at] == '%';
      const auto byte = escaped ? escape(text.substr(at)) : std::optional<char>(text[at] == '+' ? ' ' : text[at]);
      if (!byte) return std::nullopt;
      out += *byte;
      at += escaped ? 3 : 1;
    }
    return out;
  };
  while (!query.empty()) {
    const auto piece = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), piece.size() + 1));
    if (piece.empty()) continue;
    const auto equals = piece.find('=');
    auto name = decode(piece.substr(0, equals));
    auto value = decode(equals == std::string_view::npos ? std::string_view{} : piece.substr(equals + 1));
    if (!name || !value || parameters.size() == kMaxQueryParameters) return std::nullopt;
    parameters.emplace_back(std::move(*name), std::move(*value));
  }
  std::ranges::sort(parameters);
  return parameters;
}

std::string decoded_whole(std::string_view text) {
  std::string now(text);
  for (int round = 0; round <= kMaxDecodings; ++round) {
    std::string next = decoded_once(folded(now));
    if (next == now) break;
    now = std::move(next);
  }
  return now;
}

RequestTarget parse_target(std::string_view target) {
  if (target.find('#') != std::string_view::npos) return {};  // a fragment is never sent
  const auto mark = target.find('?');
  const auto query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  return {normalised_path(target.substr(0, mark)), parse_query(query)};
}

}  // namespace soleroute::policy
