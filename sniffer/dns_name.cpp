// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/dns_name.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "sniffer/dns_header.h"

namespace soleroute::sniffer {
namespace {

constexpr std::uint8_t kPointerBits = 0xc0;

constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr bool is_host_character(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// Calls visit(label) for each label of well-formed wire bytes; stops when it returns false.
template <class Visit>
bool each_label(std::string_view wire, Visit visit) {
  while (wire.size() > 1) {
    const auto length = static_cast<std::uint8_t>(wire.front());
    if (!visit(wire.substr(1, length))) return false;
    wire.remove_prefix(length + 1U);
  }
  return true;
}

void append_shown(std::string& out, char c) {
  if (is_host_character(c)) {
    out += c;
    return;
  }
  const auto byte = static_cast<std::uint8_t>(c);
  out += '\\';
  for (const int power : {100, 10, 1}) out += static_cast<char>('0' + byte / power % 10);
}

enum class Step { kLabel, kEnd, kPointer, kBad };

// One label, the end, or a pointer's target in `target`.
Step read_step(base::ByteReader& reader, std::string& wire, std::size_t& target) {
  const auto length = reader.u8();
  if (!length) return Step::kBad;
  if ((*length & kPointerBits) == kPointerBits) {
    const auto low = reader.u8();
    if (!low) return Step::kBad;
    target = (static_cast<std::size_t>(*length & ~kPointerBits) << 8U) | *low;
    return Step::kPointer;
  }
  if (*length > DnsName::kMaxLabel) return Step::kBad;  // 0x40 and 0x80: RFC 6891 section 5, RFC 2673; never in use
  const auto label = reader.take(*length);
  if (!label || wire.size() + 1 + *length > DnsName::kMaxWire) return Step::kBad;
  wire += static_cast<char>(*length);
  wire += base::as_text(*label);
  return *length == 0 ? Step::kEnd : Step::kLabel;
}

}  // namespace

DnsName DnsName::from_host(const base::HostName& host) {
  DnsName name;
  name.wire_.clear();
  std::string_view rest = host.text();
  while (!rest.empty()) {
    const auto label = rest.substr(0, rest.find('.'));
    name.wire_ += static_cast<char>(label.size());
    name.wire_ += label;
    rest.remove_prefix(std::min(rest.size(), label.size() + 1));
  }
  name.wire_ += '\0';
  return name;
}

std::optional<DnsName> DnsName::read_uncompressed(base::ByteReader& reader) {
  DnsName name;
  name.wire_.clear();
  std::size_t target = 0;
  while (true) {
    const Step step = read_step(reader, name.wire_, target);
    if (step == Step::kEnd) return name;
    if (step != Step::kLabel) return std::nullopt;
  }
}

std::optional<DnsName> DnsName::read(base::ByteReader& reader, base::Bytes message) {
  DnsName name;
  name.wire_.clear();
  base::ByteReader at = reader;
  std::size_t segment_start = reader.position();
  std::size_t pointers = 0;
  while (true) {
    std::size_t target = 0;
    const Step step = read_step(at, name.wire_, target);
    if (step == Step::kBad) return std::nullopt;
    // The reader goes on behind the first pointer, or behind the name if there is none.
    if (pointers == 0) reader = at;
    if (step == Step::kEnd) return name;
    if (step == Step::kLabel) continue;
    // Each jump leads strictly before the segment it comes from: no loop is possible.
    if (target < kDnsHeaderBytes || target >= segment_start || ++pointers > kMaxPointers) return std::nullopt;
    segment_start = target;
    at = base::ByteReader(message);
    if (!at.skip(target)) return std::nullopt;
  }
}

bool DnsName::skip(base::ByteReader& reader) {
  while (const auto length = reader.u8()) {
    if (*length == 0) return true;
    if ((*length & kPointerBits) == kPointerBits) return reader.skip(1);
    if (*length > kMaxLabel || !reader.skip(*length)) return false;
  }
  return false;
}

bool DnsName::same_ignoring_case(const DnsName& other) const {
  return std::ranges::equal(wire_, other.wire_, {}, lower, lower);
}

std::optional<base::HostName> DnsName::host_name() const {
  std::string joined;
  const bool plain = each_label(wire_, [&](std::string_view label) {
    if (!joined.empty()) joined += '.';
    joined += label;
    return std::ranges::all_of(label, is_host_character);
  });
  if (!plain) return std::nullopt;
  auto host = base::HostName::parse(joined);
  if (!host) return std::nullopt;
  return *std::move(host);
}

std::string DnsName::text() const {
  if (is_root()) return ".";
  std::string out;
  each_label(wire_, [&](std::string_view label) {
    if (!out.empty()) out += '.';
    for (const char c : label) append_shown(out, c);
    return true;
  });
  return out;
}

DnsName DnsName::with_random_case(std::span<const std::byte> bits) const {
  DnsName name = *this;
  if (bits.empty()) return name;
  std::size_t bit = 0;
  // Length bytes are at most 63 and so never letters.
  for (char& c : name.wire_) {
    if (!is_letter(c)) continue;
    const auto byte = std::to_integer<unsigned>(bits[bit / 8 % bits.size()]);
    constexpr char kCaseBit = 0x20;
    c = static_cast<char>((byte >> (bit % 8) & 1U) != 0 ? c | kCaseBit : c & ~kCaseBit);
    ++bit;
  }
  return name;
}

}  // namespace soleroute::sniffer
