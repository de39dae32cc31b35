// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/dns_message.h"

#include <algorithm>
#include <array>

#include "sniffer/dns_header.h"

namespace soleroute::sniffer {
namespace {

constexpr std::uint16_t kResponseOnlyFlags = 0x0400 | 0x0200 | 0x0080 | 0x0040 | 0x000f;  // AA, TC, RA, Z, RCODE

// What every record begins with, its RDATA still in place so that names in it can point backwards.
struct RawRecord {
  std::optional<DnsName> owner;  // none: it cannot be read, but the record ends where it says
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  std::uint32_t ttl = 0;
  base::Bytes rdata;
  std::size_t rdata_end = 0;  // offset in the message
};

std::optional<RawRecord> read_record(base::ByteReader& reader, base::Bytes message) {
  RawRecord record;
  base::ByteReader behind_owner = reader;
  if (!DnsName::skip(behind_owner)) return std::nullopt;
  record.owner = DnsName::read(reader, message);
  reader = behind_owner;
  const auto type = reader.u16();
  const auto klass = reader.u16();
  const auto ttl = reader.u32();
  const auto length = reader.u16();
  if (!type || !klass || !ttl || !length) return std::nullopt;
  const auto rdata = reader.take(*length);
  if (!rdata) return std::nullopt;
  record.type = *type;
  record.klass = *klass;
  record.ttl = *ttl;
  record.rdata = *rdata;
  record.rdata_end = reader.position();
  return record;
}

// A reader over the RDATA that ends with it but counts positions from the message's beginning.
base::ByteReader rdata_reader(const RawRecord& record, base::Bytes message) {
  base::ByteReader reader(message.first(record.rdata_end));
  (void)reader.skip(record.rdata_end - record.rdata.size());
  return reader;
}

// RFC 2181 section 8: a TTL with the top bit set is zero.
std::uint32_t sane_ttl(std::uint32_t ttl) {
  return (ttl & 0x8000'0000U) != 0 ? 0 : ttl;
}

template <std::size_t kSize>
std::optional<std::array<std::uint8_t, kSize>> exact_bytes(base::Bytes bytes) {
  if (bytes.size() != kSize) return std::nullopt;
  std::array<std::uint8_t, kSize> out{};
  std::ranges::transform(bytes, out.begin(), [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return out;
}

std::optional<DnsQuestion> read_question(base::ByteReader& reader) {
  DnsQuestion question;
  // Nothing but the header stands before it that a pointer could lead to.
  auto name = DnsName::read_uncompressed(reader);
  const auto type = name ? reader.u16() : std::nullopt;
  const auto klass = type ? reader.u16() : std::nullopt;
  if (!klass) return std::nullopt;
  return DnsQuestion{*std::move(name), static_cast<DnsType>(*type), *klass};
}

bool options_are_whole(base::Bytes rdata) {
  base::ByteReader reader(rdata);
  while (!reader.empty()) {
    const auto code = reader.u16();
    const auto length = code ? reader.u16() : std::nullopt;
    if (!length || !reader.skip(*length)) return false;
  }
  return true;
}

bool is_opt(const RawRecord& record) {
  return record.type == static_cast<std::uint16_t>(DnsType::kOpt);
}

// RFC 6891 section 6.1.3.
bool valid_opt(const RawRecord& record) {
  return record.owner && record.owner->is_root() && options_are_whole(record.rdata);
}

std::optional<DnsEdns> edns_of(const RawRecord& record) {
  if (!is_opt(record) || !valid_opt(record)) return std::nullopt;
  return DnsEdns{.udp_size = record.klass, .version = static_cast<std::uint8_t>(record.ttl >> 16U)};
}

// RFC 2782 forbids compression of the target, and some servers compress it.
std::optional<DnsService> location_of(const RawRecord& raw, base::Bytes message) {
  auto reader = rdata_reader(raw, message);
  const auto priority = reader.u16();
  const auto weight = reader.u16();
  const auto port = reader.u16();
  auto target = port ? DnsName::read(reader, message) : std::nullopt;
  if (!target || !reader.empty()) return std::nullopt;
  return DnsService{*priority, *weight, *port, *std::move(target)};
}

bool strings_are_whole(base::Bytes rdata) {
  base::ByteReader reader(rdata);
  while (!reader.empty()) {
    const auto length = reader.u8();
    if (!length || !reader.skip(*length)) return false;
  }
  return !rdata.empty();
}

// The record with its RDATA understood; nullopt: RDATA is not what its type says.
std::optional<DnsRecord> understood(RawRecord raw, base::Bytes message) {
  DnsRecord record;
  record.type = static_cast<DnsType>(raw.type);
  record.klass = raw.klass;
  record.ttl = sane_ttl(raw.ttl);
  if (!raw.owner) return std::nullopt;
  record.owner = *std::move(raw.owner);
  if (record.type == DnsType::kCname) {
    auto reader = rdata_reader(raw, message);
    record.target = DnsName::read(reader, message);
    if (!record.target || !reader.empty()) return std::nullopt;
  } else if (record.type == DnsType::kA) {
    const auto bytes = exact_bytes<4>(raw.rdata);
    if (!bytes) return std::nullopt;
    record.address = base::IpAddress::v4(*bytes);
  } else if (record.type == DnsType::kAaaa) {
    const auto bytes = exact_bytes<16>(raw.rdata);
    if (!bytes) return std::nullopt;
    record.address = base::IpAddress::v6(*bytes);
  } else if (record.type == DnsType::kSrv) {
    record.location = location_of(raw, message);
    if (!record.location) return std::nullopt;
  } else if (record.type == DnsType::kTxt) {
    if (!strings_are_whole(raw.rdata)) return std::nullopt;
    record.text.assign(raw.rdata.begin(), raw.rdata.end());
  } else {
    auto service = parse_service_binding(raw.rdata);
    if (!service.complete()) return std::nullopt;
    record.service = std::move(service).value();
  }
  return record;
}

// SRV and TXT only where they were asked for: elsewhere they say nothing.
bool is_kept_type(std::uint16_t type, DnsType asked) {
  const auto known = static_cast<DnsType>(type);
  if (known == DnsType::kSrv || known == DnsType::kTxt) return known == asked;
  return known == DnsType::kA || known == DnsType::kAaaa || known == DnsType::kCname || known == DnsType::kHttps ||
         known == DnsType::kSvcb;
}

// RFC 2308 section 5: the smaller of the SOA's own TTL and its MINIMUM field.
std::optional<std::uint32_t> soa_negative_ttl(const RawRecord& record, base::Bytes message) {
  auto reader = rdata_reader(record, message);
  if (!DnsName::read(reader, message) || !DnsName::read(reader, message)) return std::nullopt;
  constexpr std::size_t kSerialRefreshRetryExpire = 16;
  if (!reader.skip(kSerialRefreshRetryExpire)) return std::nullopt;
  const auto minimum = reader.u32();
  if (!minimum || !reader.empty()) return std::nullopt;
  return std::min(sane_ttl(record.ttl), sane_ttl(*minimum));
}

bool is_soa(const RawRecord& record) {
  return record.type == static_cast<std::uint16_t>(DnsType::kSoa);
}

// What resolvers and libraries do with records that they do not use, so is done here: nothing. A record of a used type
// that cannot be read is left out. False: a record is cut, so that nothing behind it can be found.
bool read_answers(base::ByteReader& reader, base::Bytes message, std::size_t count, DnsResponse& response) {
  for (std::size_t i = 0; i < count; ++i) {
    auto raw = read_record(reader, message);
    if (!raw) return false;
    if (raw->klass != kDnsClassIn || !is_kept_type(raw->type, response.question.type)) continue;
    auto record = understood(*std::move(raw), message);
    if (record) response.answers.push_back(*std::move(record));
    if (!record) response.left_out = true;
  }
  return true;
}

bool read_authorities(base::ByteReader& reader, base::Bytes message, std::size_t count, DnsResponse& response) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto raw = read_record(reader, message);
    if (!raw) return false;
    if (!is_soa(*raw) || raw->klass != kDnsClassIn) continue;
    const auto ttl = soa_negative_ttl(*raw, message);
    if (ttl) response.negative_ttl = std::min(*ttl, response.negative_ttl.value_or(*ttl));
  }
  return true;
}

bool read_additionals(base::ByteReader& reader, base::Bytes message, std::size_t count, DnsResponse& response) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto raw = read_record(reader, message);
    if (!raw) return false;
    if (!is_opt(*raw) || !valid_opt(*raw) || response.has_opt) continue;
    response.has_opt = true;
    constexpr unsigned kExtendedRcodeShift = 20;  // bits 24-31 of the TTL become bits 4-11 of the RCODE
    const auto upper = static_cast<std::uint16_t>(raw->ttl >> kExtendedRcodeShift & 0xff0U);
    response.rcode = static_cast<DnsRcode>(static_cast<std::uint16_t>(response.rcode) | upper);
  }
  return true;
}

// The alias at `owner`: null when there is none. Of several the first counts, as in the C library.
const DnsRecord* cname_at(const std::vector<DnsRecord>& answers, const DnsName& owner) {
  const auto found = std::ranges::find_if(
      answers, [&](const DnsRecord& record) { return record.target && record.owner.same_ignoring_case(owner); });
  return found == answers.end() ? nullptr : &*found;
}

void collect(const DnsRecord& record, DnsAnswer& answer) {
  if (record.address) {
    const bool repeated = std::ranges::find(answer.addresses, *record.address) != answer.addresses.end();
    if (!repeated && answer.addresses.size() < kMaxDnsAddresses) answer.addresses.push_back(*record.address);
  }
  if (record.location && answer.locations.size() < kMaxDnsLocations) answer.locations.push_back(*record.location);
  if (!record.text.empty() && answer.texts.size() < kMaxDnsTexts) answer.texts.push_back(record.text);
  if (!record.service || answer.services.size() == kMaxServiceBindings) return;
  if (auto kept = reduced(*record.service)) answer.services.push_back(*std::move(kept));
}

}  // namespace

std::string to_string(DnsType type) {
  struct Named {
    std::uint16_t number;
    const char* name;
  };
  static constexpr std::array kNames{
      Named{1, "A"},      Named{2, "NS"},     Named{5, "CNAME"},  Named{6, "SOA"},     Named{10, "NULL"},
      Named{12, "PTR"},   Named{13, "HINFO"}, Named{15, "MX"},    Named{16, "TXT"},    Named{24, "SIG"},
      Named{25, "KEY"},   Named{28, "AAAA"},  Named{33, "SRV"},   Named{35, "NAPTR"},  Named{39, "DNAME"},
      Named{41, "OPT"},   Named{43, "DS"},    Named{46, "RRSIG"}, Named{48, "DNSKEY"}, Named{64, "SVCB"},
      Named{65, "HTTPS"}, Named{249, "TKEY"}, Named{250, "TSIG"}, Named{251, "IXFR"},  Named{252, "AXFR"},
      Named{255, "ANY"},  Named{257, "CAA"},
  };
  const auto number = static_cast<std::uint16_t>(type);
  const auto* const found = std::ranges::find(kNames, number, &Named::number);
  return found != kNames.end() ? found->name : "TYPE" + std::to_string(number);
}

std::string to_string(DnsRcode rcode) {
  switch (rcode) {
    case DnsRcode::kNoError:
      return "NOERROR";
    case DnsRcode::kFormErr:
      return "FORMERR";
    case DnsRcode::kServFail:
      return "SERVFAIL";
    case DnsRcode::kNxDomain:
      return "NXDOMAIN";
    case DnsRcode::kNotImp:
      return "NOTIMP";
    case DnsRcode::kRefused:
      return "REFUSED";
    case DnsRcode::kBadVers:
      return "BADVERS";
  }
  return "RCODE" + std::to_string(static_cast<unsigned>(rcode));
}

std::optional<DnsHeader> parse_dns_header(base::Bytes message) {
  base::ByteReader reader(message);
  const auto id = reader.u16();
  const auto flags = reader.u16();
  const auto questions = reader.u16();
  const auto answers = reader.u16();
  const auto authorities = reader.u16();
  const auto additionals = reader.u16();
  if (!additionals) return std::nullopt;
  return DnsHeader{*id, *flags, *questions, *answers, *authorities, *additionals};
}

Parsed<DnsQuery> parse_dns_query(base::Bytes message) {
  const auto header = parse_dns_header(message);
  if (!header) return Malformed{"shorter than a DNS header"};
  if (header->is_response() || header->opcode() != 0) return Malformed{"not a DNS query"};
  if ((header->flags & kResponseOnlyFlags) != 0) return Malformed{"query with a response flag"};
  if (header->questions != 1) return Malformed{"not exactly one question"};
  if (header->answers != 0 || header->authorities != 0) return Malformed{"question with answers"};
  if (header->additionals > 1) return Malformed{"question with more than an OPT record"};

  base::ByteReader reader(message);
  (void)reader.skip(kDnsHeaderBytes);
  DnsQuery query{.id = header->id,
                 .recursion_desired = header->recursion_desired(),
                 .checking_disabled = (header->flags & kCheckingDisabled) != 0,
                 .question = {},
                 .edns = std::nullopt};
  auto question = read_question(reader);
  if (!question) return Malformed{"bad question"};
  query.question = *std::move(question);
  if (header->additionals == 1) {
    const auto record = read_record(reader, message);
    if (!record) return Malformed{"additional record cut short"};
    query.edns = edns_of(*record);
    if (!query.edns) return Malformed{"bad OPT record"};
  }
  if (!reader.empty()) return Malformed{"bytes after the message"};
  return query;
}

Parsed<DnsResponse> parse_dns_response(base::Bytes message) {
  const auto header = parse_dns_header(message);
  if (!header) return Malformed{"shorter than a DNS header"};
  if (!header->is_response() || header->opcode() != 0) return Malformed{"not a DNS response"};
  if (header->questions != 1) return Malformed{"not exactly one question"};

  base::ByteReader reader(message);
  (void)reader.skip(kDnsHeaderBytes);
  DnsResponse response{.id = header->id,
                       .truncated = header->truncated(),
                       .rcode = static_cast<DnsRcode>(header->flags & 0xfU),
                       .question = {},
                       .answers = {},
                       .negative_ttl = std::nullopt};
  auto question = read_question(reader);
  if (!question) return Malformed{"bad question"};
  response.question = *std::move(question);
  const std::size_t answers = std::min<std::size_t>(header->answers, kMaxDnsRecords);
  if (!read_answers(reader, message, answers, response)) {
    if (!response.truncated) return Malformed{"answer record cut short"};
    return response;
  }
  if (answers < header->answers) {
    response.left_out = true;
    return response;
  }
  const bool counted = read_authorities(reader, message, header->authorities, response) &&
                       read_additionals(reader, message, header->additionals, response);
  response.miscounted = !counted || !reader.empty();
  return response;
}

Parsed<DnsAnswer> answer_of(const DnsResponse& response) {
  DnsAnswer answer;
  answer.canonical = response.question.name;
  const auto shorten = [&](std::uint32_t ttl) { answer.ttl = std::min(ttl, answer.ttl.value_or(ttl)); };
  while (const DnsRecord* const alias = cname_at(response.answers, answer.canonical)) {
    if (answer.hops == kMaxCnameHops) return Malformed{"CNAME chain without an end", true};
    ++answer.hops;
    answer.canonical = *alias->target;
    shorten(alias->ttl);
  }
  const bool exists = response.rcode != DnsRcode::kNxDomain;
  for (const auto& record : response.answers) {
    if (!exists || record.type != response.question.type) continue;
    if (!record.owner.same_ignoring_case(answer.canonical)) continue;
    shorten(record.ttl);
    collect(record, answer);
    answer.found = true;
  }
  if (!answer.found && response.left_out) return Malformed{"answer record with bad data"};
  answer.unfinished = exists && answer.hops > 0 && !answer.found && !response.negative_ttl;
  if (!answer.has_records() && response.negative_ttl) shorten(*response.negative_ttl);
  return answer;
}

}  // namespace soleroute::sniffer
