// SPDX-License-Identifier: GPL-3.0-or-later
#include <span>
#include <string_view>
#include <utility>

#include "sniffer/dns_header.h"
#include "sniffer/dns_message.h"

namespace soleroute::sniffer {
namespace {

constexpr std::uint16_t kResponse = 0x8000;
constexpr std::uint16_t kTruncated = 0x0200;
constexpr std::uint16_t kRecursionDesired = 0x0100;
constexpr std::uint16_t kRecursionAvailable = 0x0080;
constexpr std::uint16_t kOpcodeMask = 0x7800;
constexpr std::size_t kQuestionPointer = 0xc00c;  // the name right behind the header

constexpr std::size_t kRecordHeader = 12;           // with a pointer as the owner
constexpr std::size_t kOptBytes = 11;               // without options
constexpr std::size_t kOptionHeader = 4;            // code and length, RFC 6891 section 6.1.2
constexpr std::uint16_t kExtendedErrorOption = 15;  // RFC 8914 section 2

constexpr DnsEdns kOwnEdns{.udp_size = kEdnsSize, .version = 0};

class Writer {
 public:
  void u8(std::size_t value) { out_.push_back(static_cast<std::byte>(value)); }
  void u16(std::size_t value) {
    u8(value >> 8U);
    u8(value);
  }
  void u32(std::uint32_t value) {
    u16(value >> 16U);
    u16(value);
  }
  void bytes(base::Bytes value) { out_.insert(out_.end(), value.begin(), value.end()); }
  void header(std::uint16_t id, std::size_t flags, std::size_t questions, std::size_t answers, std::size_t authorities,
              std::size_t additionals) {
    for (const std::size_t field : {std::size_t{id}, flags, questions, answers, authorities, additionals}) u16(field);
  }
  void question(const DnsQuestion& question) {
    bytes(base::as_bytes(question.name.wire()));
    u16(static_cast<std::uint16_t>(question.type));
    u16(question.klass);
  }
  void records(std::span<const DnsReplyRecord> records) {
    for (const auto& record : records) {
      if (record.owner) {
        bytes(base::as_bytes(record.owner->wire()));
      } else {
        u16(kQuestionPointer);
      }
      u16(static_cast<std::uint16_t>(record.type));
      u16(kDnsClassIn);
      u32(record.ttl);
      u16(record.rdata.size());
      bytes(record.rdata);
    }
  }
  void opt(const DnsEdns& edns, DnsRcode rcode, const DnsExtendedError* error = nullptr) {
    u8(0);
    u16(static_cast<std::uint16_t>(DnsType::kOpt));
    u16(edns.udp_size);
    u8(static_cast<std::uint16_t>(rcode) >> 4U);  // the RCODE's upper eight bits
    u8(edns.version);
    u16(0);
    if (error == nullptr) return u16(0);
    const std::string_view text = std::string_view(error->text).substr(0, DnsExtendedError::kMaxText);
    u16(kOptionHeader + sizeof(DnsErrorCode) + text.size());
    u16(kExtendedErrorOption);
    u16(sizeof(DnsErrorCode) + text.size());
    u16(static_cast<std::uint16_t>(error->code));
    for (const char c : text) u8(static_cast<unsigned char>(c >= ' ' && c <= '~' ? c : '?'));
  }
  [[nodiscard]] std::vector<std::byte> done() && { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

std::size_t rcode_bits(DnsRcode rcode) {
  return static_cast<std::uint16_t>(rcode) & 0xfU;
}

std::size_t reply_flags(const DnsQuery& query, DnsRcode rcode) {
  std::size_t flags = kResponse | kRecursionAvailable | rcode_bits(rcode);
  if (query.recursion_desired) flags |= kRecursionDesired;
  if (query.checking_disabled) flags |= kCheckingDisabled;
  return flags;
}

// RFC 2308: without a SOA a resolver does not cache "no" and asks again. The root's stands for every name.
void negative_soa(Writer& out, std::uint32_t ttl) {
  constexpr std::string_view kPrimary("\7gateway\10internal\0", 18);
  constexpr std::string_view kContact("\6nobody\7invalid\0", 16);
  out.u8(0);
  out.u16(static_cast<std::uint16_t>(DnsType::kSoa));
  out.u16(kDnsClassIn);
  out.u32(ttl);
  constexpr std::size_t kFixedFields = 20;
  out.u16(kPrimary.size() + kContact.size() + kFixedFields);
  out.bytes(base::as_bytes(kPrimary));
  out.bytes(base::as_bytes(kContact));
  for (const std::uint32_t field : {1U, 3600U, 600U, 86400U, ttl}) out.u32(field);
}

std::vector<std::byte> whole_reply(const DnsQuery& query, const DnsReply& reply, const DnsExtendedError* error) {
  Writer out;
  out.header(query.id, reply_flags(query, reply.rcode), 1, reply.answers.size(), reply.negative_ttl ? 1 : 0,
             query.edns ? 1 : 0);
  out.question(query.question);
  out.records(reply.answers);
  if (reply.negative_ttl) negative_soa(out, *reply.negative_ttl);
  if (query.edns) out.opt(kOwnEdns, reply.rcode, error);
  return std::move(out).done();
}

// TC, and as many answers as fit: what a client without TCP has to live on.
std::vector<std::byte> truncated_reply(const DnsQuery& query, const DnsReply& reply, std::size_t limit) {
  Writer empty;
  empty.header(query.id, 0, 1, 0, 0, 0);
  empty.question(query.question);
  std::size_t size = std::move(empty).done().size() + (query.edns ? kOptBytes : 0);
  std::size_t fitting = 0;
  for (const auto& record : reply.answers) {
    size += kRecordHeader + record.rdata.size();
    if (record.owner) size += record.owner->wire().size() - sizeof(std::uint16_t);
    if (size > limit) break;
    ++fitting;
  }
  Writer out;
  out.header(query.id, reply_flags(query, reply.rcode) | kTruncated, 1, fitting, 0, query.edns ? 1 : 0);
  out.question(query.question);
  out.records(std::span(reply.answers).first(fitting));
  if (query.edns) out.opt(kOwnEdns, reply.rcode);
  return std::move(out).done();
}

}  // namespace

std::vector<std::byte> build_dns_reply(const DnsQuery& query, const DnsReply& reply, std::size_t limit) {
  if (reply.error && query.edns) {
    auto whole = whole_reply(query, reply, &*reply.error);
    if (whole.size() <= limit) return whole;
  }
  auto plain = whole_reply(query, reply, nullptr);
  return plain.size() <= limit ? plain : truncated_reply(query, reply, limit);
}

std::vector<std::byte> build_dns_error(const DnsHeader& header, DnsRcode rcode) {
  Writer out;
  const std::size_t echoed = header.flags & (kOpcodeMask | kRecursionDesired);
  out.header(header.id, kResponse | kRecursionAvailable | echoed | rcode_bits(rcode), 0, 0, 0, 0);
  return std::move(out).done();
}

std::vector<std::byte> build_dns_query(const DnsQuery& query) {
  Writer out;
  std::size_t flags = query.recursion_desired ? kRecursionDesired : 0;
  if (query.checking_disabled) flags |= kCheckingDisabled;
  out.header(query.id, flags, 1, 0, 0, query.edns ? 1 : 0);
  out.question(query.question);
  if (query.edns) out.opt(*query.edns, DnsRcode::kNoError);
  return std::move(out).done();
}

}  // namespace soleroute::sniffer
