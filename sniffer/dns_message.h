// DNS messages (RFC 1035, 6891, 9460): questions and answers read strictly and bounded, replies and questions written.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_reader.h"
#include "base/ip_address.h"
#include "sniffer/dns_name.h"
#include "sniffer/dns_service_binding.h"
#include "sniffer/parsed.h"

namespace soleroute::sniffer {

inline constexpr std::size_t kMaxDnsRecords = 512;      // read of the answers of one response
inline constexpr std::size_t kMaxCnameHops = 64;        // for one question
inline constexpr std::size_t kMaxDnsAddresses = 16;     // kept of one answer
inline constexpr std::size_t kMaxServiceBindings = 16;  // kept of one answer
inline constexpr std::size_t kMaxDnsLocations = 32;     // SRV records kept of one answer
inline constexpr std::size_t kMaxDnsTexts = 32;         // TXT records kept of one answer
inline constexpr std::uint16_t kEdnsSize = 1232;        // offered and honoured: never fragments on common paths
inline constexpr std::uint16_t kPlainUdpSize = 512;     // RFC 1035 section 4.2.1
inline constexpr std::size_t kTcpLengthPrefix = 2;      // bytes before each message over TCP, RFC 1035 section 4.2.2

// Any 16-bit value can occur; these are the ones with a meaning here.
enum class DnsType : std::uint16_t {
  kA = 1,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kOpt = 41,
  kSvcb = 64,
  kHttps = 65,
  kAny = 255,
};
// "A", "AAAA", "TXT", …; "TYPE65280" for those without a common name (RFC 3597).
[[nodiscard]] std::string to_string(DnsType type);

inline constexpr std::uint16_t kDnsClassIn = 1;

enum class DnsRcode : std::uint16_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
  kBadVers = 16,
};

// "FORMERR", "SERVFAIL", …; "RCODE17" for those without a meaning here.
[[nodiscard]] std::string to_string(DnsRcode rcode);

// The twelve bytes every message begins with.
struct DnsHeader {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;  // as on the wire
  std::uint16_t questions = 0;
  std::uint16_t answers = 0;
  std::uint16_t authorities = 0;
  std::uint16_t additionals = 0;

  [[nodiscard]] bool is_response() const { return (flags & 0x8000U) != 0; }
  [[nodiscard]] unsigned opcode() const { return flags >> 11U & 0xfU; }
  [[nodiscard]] bool truncated() const { return (flags & 0x0200U) != 0; }
  [[nodiscard]] bool recursion_desired() const { return (flags & 0x0100U) != 0; }
};
[[nodiscard]] std::optional<DnsHeader> parse_dns_header(base::Bytes message);

struct DnsQuestion {
  DnsName name;
  DnsType type = DnsType::kA;
  std::uint16_t klass = kDnsClassIn;

  bool operator==(const DnsQuestion&) const = default;
};

struct DnsEdns {
  std::uint16_t udp_size = kPlainUdpSize;
  std::uint8_t version = 0;

  bool operator==(const DnsEdns&) const = default;
};

struct DnsQuery {
  std::uint16_t id = 0;
  bool recursion_desired = false;
  bool checking_disabled = false;
  DnsQuestion question;
  std::optional<DnsEdns> edns;  // options are dropped: client subnet, cookies and padding go nowhere

  bool operator==(const DnsQuery&) const = default;
};

// Exactly one question, no other record but one OPT, nothing after it. Never NeedMore: a message comes whole.
// Precondition for a value: not a response, opcode QUERY, no flag that only a response may carry.
[[nodiscard]] Parsed<DnsQuery> parse_dns_query(base::Bytes message);

// Where a service of a domain is (RFC 2782).
struct DnsService {
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  DnsName target;  // the root: the service is not there

  bool operator==(const DnsService&) const = default;
};

struct DnsRecord {
  DnsName owner;
  DnsType type = DnsType::kA;
  std::uint16_t klass = kDnsClassIn;
  std::uint32_t ttl = 0;                   // RFC 2181 section 8 applied
  std::optional<DnsName> target;           // CNAME
  std::optional<base::IpAddress> address;  // A, AAAA
  std::optional<ServiceBinding> service;   // HTTPS, SVCB
  std::optional<DnsService> location{};    // SRV
  std::vector<std::byte> text{};           // TXT: its strings, each with its length in front

  bool operator==(const DnsRecord&) const = default;
};

struct DnsResponse {
  std::uint16_t id = 0;
  bool truncated = false;               // then the answers are those that fitted
  DnsRcode rcode = DnsRcode::kNoError;  // with the OPT record's upper bits
  DnsQuestion question;
  std::vector<DnsRecord> answers;             // of class IN and of the types above
  std::optional<std::uint32_t> negative_ttl;  // seconds, from the authority's SOA (RFC 2308 section 5)
  bool has_opt = false;
  bool left_out = false;    // an answer of these types that cannot be read, or more than kMaxDnsRecords
  bool miscounted = false;  // authority or additional records are cut or missing, or bytes follow the message

  bool operator==(const DnsResponse&) const = default;
};

// As the C library reads it: what is not used may be anything. An answer that is cut where TC is not set: malformed.
[[nodiscard]] Parsed<DnsResponse> parse_dns_response(base::Bytes message);

// What a response says about its own question.
struct DnsAnswer {
  std::vector<base::IpAddress> addresses;       // without repeats
  std::vector<ServiceBinding> services;         // reduced
  std::vector<DnsService> locations{};          // SRV
  std::vector<std::vector<std::byte>> texts{};  // TXT
  DnsName canonical;                            // where the CNAME chain ended; the question's name if there was none
  std::optional<std::uint32_t> ttl;             // smallest of the chain and the records; negative_ttl if there are none
  std::size_t hops = 0;                         // aliases followed
  bool found = false;                           // a record of the type asked for, used or not
  bool unfinished = false;  // it ends at an alias, and nothing says that the target has no such record

  [[nodiscard]] bool has_records() const {
    return !addresses.empty() || !services.empty() || !locations.empty() || !texts.empty();
  }
};

// Follows the CNAME chain from the question; records of other owners are left out. Precondition: rcode NOERROR or
// NXDOMAIN. More than kMaxCnameHops, or nothing but records that cannot be read: malformed.
[[nodiscard]] Parsed<DnsAnswer> answer_of(const DnsResponse& response);

// One record of a reply.
struct DnsReplyRecord {
  DnsType type = DnsType::kA;
  std::uint32_t ttl = 0;
  std::vector<std::byte> rdata;
  std::optional<DnsName> owner{};  // none: the question's name
};

// RFC 8914 section 5.2: the codes that a gateway has a use for.
enum class DnsErrorCode : std::uint16_t {
  kOther = 0,
  kStaleAnswer = 3,
  kNotReady = 14,
  kBlocked = 15,
  kFiltered = 17,
  kNoReachableAuthority = 22,
  kNetworkError = 23,
};

// Why an answer is what it is, for people (RFC 8914).
struct DnsExtendedError {
  static constexpr std::size_t kMaxText = 160;  // bytes; longer texts are cut
  DnsErrorCode code = DnsErrorCode::kOther;
  std::string text;  // printable ASCII; every other byte is written as '?'
};

struct DnsReply {
  DnsRcode rcode = DnsRcode::kNoError;
  std::vector<DnsReplyRecord> answers;
  std::optional<std::uint32_t> negative_ttl;  // a SOA of the root with this TTL, so that "no" is cached and not retried
  std::optional<DnsExtendedError> error{};    // left out where the client has no EDNS or the reply has no room for it
};

// The question is echoed byte for byte; an OPT record goes back if one came. Over `limit` bytes: without the
// extended error; if that is not enough, the answers that fit, with TC set.
[[nodiscard]] std::vector<std::byte> build_dns_reply(const DnsQuery& query, const DnsReply& reply, std::size_t limit);
// A header alone, for messages whose question cannot be echoed.
[[nodiscard]] std::vector<std::byte> build_dns_error(const DnsHeader& header, DnsRcode rcode);
// A recursive question for an upstream server.
[[nodiscard]] std::vector<std::byte> build_dns_query(const DnsQuery& query);

}  // namespace soleroute::sniffer
