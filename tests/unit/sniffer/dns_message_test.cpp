// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/dns_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/dns_wire.h"

namespace soleroute::sniffer {
namespace {

namespace wire = testing::dns_wire;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Case {
  std::string why;
  std::string bytes;
};

std::string plain(const std::string& name_wire, unsigned type = 1, unsigned klass = 1) {
  return wire::header(7, 0x0100, {}) + wire::question(name_wire, type, klass);
}

std::string repeated(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

base::IpAddress address(const char* text) {
  return base::IpAddress::parse(text).value();
}

TEST(DnsQuery, ReadsAQuestionAndKeepsItsCase) {
  const auto query = parse_dns_query(base::as_bytes(plain(wire::name("aLLoWed.TeSt"))));
  ASSERT_TRUE(query.complete());
  EXPECT_EQ(query.value().id, 7);
  EXPECT_TRUE(query.value().recursion_desired);
  EXPECT_EQ(query.value().question.name.wire(), wire::name("aLLoWed.TeSt"));
  EXPECT_EQ(query.value().question.name.host_name()->text(), "allowed.test");
  EXPECT_EQ(query.value().question.name.text(), "aLLoWed.TeSt");
  EXPECT_FALSE(query.value().edns.has_value());
}

TEST(DnsQuery, AcceptsWhatClientsReallySend) {
  const std::string name = wire::name("allowed.test");
  const std::string cookie = wire::u16(10) + wire::with_length("12345678");
  const std::string subnet = wire::u16(8) + wire::with_length(std::string("\0\1\30\0\1\2\3", 7));
  const Case cases[] = {
      {"glibc", plain(name)},
      {"dig: AD set, EDNS with a cookie",
       wire::header(1, 0x0120, {.additionals = 1}) + wire::question(name, 1) + wire::opt(1232, cookie)},
      {"checking disabled", wire::header(1, 0x0110, {}) + wire::question(name, 1)},
      {"no recursion desired", wire::header(1, 0, {}) + wire::question(name, 1)},
      {"DO bit", wire::header(1, 0x0100, {.additionals = 1}) + wire::question(name, 28) + wire::opt(4096, "", 0x8000)},
      {"client subnet",
       wire::header(1, 0x0100, {.additionals = 1}) + wire::question(name, 65) + wire::opt(1232, subnet)},
      {"the root", plain(wire::name(""), 2)},
      {"a name of 255 bytes",
       plain(repeated(wire::u8(63) + std::string(63, 'a'), 3) + wire::u8(61) + std::string(61, 'b') + '\0')},
      {"127 labels of one byte", plain(repeated("\1a", 127) + '\0')},
      {"bytes no host name has", plain(std::string("\3\0.\xff\4test\0", 10))},
      {"class CH", plain(wire::name("version.bind"), 16, 3)},
  };
  for (const auto& c : cases) EXPECT_TRUE(parse_dns_query(base::as_bytes(c.bytes)).complete()) << c.why;
}

TEST(DnsQuery, RefusesWhatIsNotExactlyOneQuestion) {
  const std::string name = wire::name("allowed.test");
  const std::string good = wire::question(name, 1);
  const std::string record = wire::record(wire::kToQuestion, 1, 60, "\1\2\3\4");
  const Case cases[] = {
      {"empty datagram", ""},
      {"eleven bytes", std::string(11, '\0')},
      {"a header that promises a question", wire::header(1, 0x0100, {})},
      {"no question", wire::header(1, 0x0100, {.questions = 0})},
      {"two questions, the second denied",
       wire::header(1, 0x0100, {.questions = 2}) + good + wire::question(wire::name("evil.test"), 1)},
      {"65535 questions", wire::header(1, 0x0100, {.questions = 65535}) + good},
      {"a response", wire::header(1, 0x8100, {}) + good},
      {"opcode IQUERY", wire::header(1, 0x0900, {}) + good},
      {"opcode STATUS", wire::header(1, 0x1100, {}) + good},
      {"opcode NOTIFY", wire::header(1, 0x2100, {}) + good},
      {"opcode UPDATE", wire::header(1, 0x2900, {}) + good},
      {"opcode 15", wire::header(1, 0x7900, {}) + good},
      {"AA in a query", wire::header(1, 0x0500, {}) + good},
      {"TC in a query", wire::header(1, 0x0300, {}) + good},
      {"RA in a query", wire::header(1, 0x0180, {}) + good},
      {"reserved bit", wire::header(1, 0x0140, {}) + good},
      {"RCODE in a query", wire::header(1, 0x0105, {}) + good},
      {"an answer in a query", wire::header(1, 0x0100, {.answers = 1}) + good + record},
      {"an authority in a query", wire::header(1, 0x0100, {.authorities = 1}) + good + record},
      {"answer count without an answer", wire::header(1, 0x0100, {.answers = 1}) + good},
      {"500 bytes after the question", plain(name) + std::string(500, 'x')},
      {"one byte after the question", plain(name) + "x"},
      {"additional that is not OPT", wire::header(1, 0x0100, {.additionals = 1}) + good + record},
      {"OPT owned by a name",
       wire::header(1, 0x0100, {.additionals = 1}) + good + wire::record(wire::name("a"), 41, 0, "", 1232)},
      {"OPT whose option lies",
       wire::header(1, 0x0100, {.additionals = 1}) + good + wire::opt(1232, wire::u16(10) + wire::u16(9) + "short")},
      {"two OPT", wire::header(1, 0x0100, {.additionals = 2}) + good + wire::opt(1232) + wire::opt(1232)},
      {"class missing", wire::header(1, 0x0100, {}) + name + wire::u16(1)},
  };
  for (const auto& c : cases) EXPECT_TRUE(parse_dns_query(base::as_bytes(c.bytes)).malformed()) << c.why;
}

TEST(DnsQuery, RefusesLabelsAndPointersThatCannotBe) {
  std::string chain;  // each pointer leads to the one before it
  for (unsigned i = 0; i < 200; ++i) chain += wire::pointer(i == 0 ? 12 : 12 + 2 * (i - 1));
  const Case cases[] = {
      {"pointer to itself", plain(wire::pointer(12))},
      {"pointer forward", plain(wire::pointer(30))},
      {"pointer into the header", plain(wire::pointer(0))},
      {"pointer behind a label", plain("\3abc" + wire::pointer(12))},
      {"chain of 200 pointers", wire::header(7, 0x0100, {}) + chain + wire::u16(1) + wire::u16(1)},
      {"label length 0x40", plain("\x40" + std::string(64, 'a') + '\0')},
      {"label length 0x80", plain("\x80" + std::string(128, 'a') + '\0')},
      {"name of 256 bytes",
       plain(repeated(wire::u8(63) + std::string(63, 'a'), 3) + wire::u8(62) + std::string(62, 'b') + '\0')},
      {"128 labels of one byte", plain(repeated("\1a", 128) + '\0')},
      {"name runs past the packet", wire::header(7, 0x0100, {}) + "\77abc"},
      {"name without an end", wire::header(7, 0x0100, {}) + "\3abc"},
      {"half a pointer", wire::header(7, 0x0100, {}) + "\xc0"},
  };
  for (const auto& c : cases) EXPECT_TRUE(parse_dns_query(base::as_bytes(c.bytes)).malformed()) << c.why;
}

TEST(DnsName, IsAHostNameOnlyWhenEveryLabelIs) {
  const auto host = [](const std::string& name_wire) {
    return parse_dns_query(base::as_bytes(plain(name_wire))).value().question.name.host_name();
  };
  EXPECT_FALSE(host(std::string("\14allowed.test\0", 14))) << "a dot inside a label is not two labels";
  EXPECT_FALSE(host(std::string("\10allo\0wed\4test\0", 15))) << "NUL";
  EXPECT_FALSE(
      host(std::string("\11"
                       "127.0.0.1\0",
                       11)));
  EXPECT_FALSE(host(wire::name("10.0.0.1"))) << "an address spelled as labels";
  EXPECT_FALSE(host(wire::name("")));
  EXPECT_TRUE(host(wire::name("a.b_c"))) << "Compose and others name hosts so";
  EXPECT_EQ(host(wire::name("_dmarc.allowed.test"))->text(), "_dmarc.allowed.test");
}

TEST(DnsName, ShowsOddBytesAsNumbers) {
  const auto query = parse_dns_query(base::as_bytes(plain(std::string("\6a.\nb\\\xff\4test\0", 13))));
  EXPECT_EQ(query.value().question.name.text(), "a\\046\\010b\\092\\255.test");
}

TEST(DnsName, RandomCaseChangesLettersOnly) {
  const auto name = DnsName::from_host(base::HostName::parse("ab-1.test").value());
  const std::vector<std::byte> ones(4, std::byte{0xff});
  const std::vector<std::byte> zeros(4, std::byte{0});
  EXPECT_EQ(name.with_random_case(ones).text(), "ab-1.test");
  EXPECT_EQ(name.with_random_case(zeros).text(), "AB-1.TEST");
  const std::vector<std::byte> mixed{std::byte{0b101010}};
  EXPECT_EQ(name.with_random_case(mixed).text(), "Ab-1.TeSt");
  EXPECT_TRUE(name.with_random_case(mixed).same_ignoring_case(name));
}

std::string response(unsigned type, wire::Counts counts, const std::string& records, unsigned flags = 0x8180) {
  return wire::header(7, flags, counts) + wire::question(wire::name("allowed.test"), type) + records;
}

const std::string kA1("\x2d\x21\x20\x0a", 4);  // 45.33.32.10
const std::string kA2("\x2d\x21\x20\x42", 4);  // 45.33.32.66

TEST(DnsResponse, ReadsAddressesAndTheSmallestTtl) {
  const auto bytes = response(
      1, {.answers = 2, .additionals = 1},
      wire::record(wire::kToQuestion, 1, 300, kA1) + wire::record(wire::kToQuestion, 1, 60, kA2) + wire::opt(4096));
  const auto parsed = parse_dns_response(base::as_bytes(bytes));
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().question.type, DnsType::kA);
  const auto answer = answer_of(parsed.value());
  ASSERT_TRUE(answer.complete());
  EXPECT_THAT(answer.value().addresses, ElementsAre(address("45.33.32.10"), address("45.33.32.66")));
  EXPECT_EQ(answer.value().ttl, 60U);
}

TEST(DnsResponse, ATtlWithTheTopBitIsZero) {
  const auto bytes = response(1, {.answers = 1}, wire::record(wire::kToQuestion, 1, 0x80000005, kA1));
  EXPECT_EQ(parse_dns_response(base::as_bytes(bytes)).value().answers.at(0).ttl, 0U);
}

TEST(DnsResponse, TakesTheNegativeTtlFromTheSoa) {
  const auto bytes = response(28, {.authorities = 1}, wire::record(wire::name("test"), 6, 600, wire::soa(30)), 0x8183);
  const auto parsed = parse_dns_response(base::as_bytes(bytes));
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().rcode, DnsRcode::kNxDomain);
  EXPECT_EQ(answer_of(parsed.value()).value().ttl, 30U);
}

TEST(DnsResponse, ReadsTheUpperBitsOfTheRcode) {
  const auto bytes = response(1, {.additionals = 1}, wire::opt(1232, "", 0x01000000));
  EXPECT_EQ(parse_dns_response(base::as_bytes(bytes)).value().rcode, DnsRcode::kBadVers);
}

TEST(DnsResponse, ATruncatedOneKeepsTheAnswersThatFitted) {
  const auto bytes = response(1, {.answers = 9}, wire::record(wire::kToQuestion, 1, 300, kA1) + "cut", 0x8380);
  const auto parsed = parse_dns_response(base::as_bytes(bytes));
  ASSERT_TRUE(parsed.complete());
  EXPECT_TRUE(parsed.value().truncated);
  EXPECT_THAT(answer_of(parsed.value()).value().addresses, ElementsAre(address("45.33.32.10")));
}

TEST(DnsResponse, RefusesAnswersThatEndEarly) {
  const std::string good = wire::record(wire::kToQuestion, 1, 300, kA1);
  const Case cases[] = {
      {"a query", response(1, {.answers = 1}, good, 0x0100)},
      {"lying answer count", response(1, {.answers = 2}, good)},
      {"owner with label 0x40",
       response(1, {.answers = 1}, wire::record("\x40" + std::string(64, 'a') + '\0', 1, 1, kA1))},
      {"RDATA longer than the message",
       response(1, {.answers = 1},
                wire::kToQuestion + wire::u16(1) + wire::u16(1) + wire::u32(1) + wire::u16(400) + kA1)},
      {"record cut short", response(1, {.answers = 1}, good.substr(0, 9))},
      {"two questions", wire::header(7, 0x8180, {.questions = 2}) + wire::question(wire::name("a"), 1) +
                            wire::question(wire::name("b"), 1)},
      {"no question", wire::header(7, 0x8180, {.questions = 0, .answers = 1}) + good},
  };
  for (const auto& c : cases) EXPECT_TRUE(parse_dns_response(base::as_bytes(c.bytes)).malformed()) << c.why;
  EXPECT_TRUE(parse_dns_response(base::as_bytes(response(1, {.answers = 1}, good))).complete()) << "control";
}

Parsed<DnsAnswer> answer_to(const std::string& bytes) {
  return answer_of(parse_dns_response(base::as_bytes(bytes)).value());
}

// Each of these beside a good answer changes nothing; alone it is no answer.
TEST(DnsAnswer, LeavesOutRecordsThatCannotBeRead) {
  const std::string good = wire::record(wire::kToQuestion, 1, 300, kA1);
  const unsigned record_at = 12 + 14 + 4;  // behind header and question
  const Case cases[] = {
      {"owner points at itself", wire::record(wire::pointer(record_at), 1, 300, kA2)},
      {"owner points forward", wire::record(wire::pointer(record_at + 4), 1, 300, kA2)},
      {"owner points into the header", wire::record(wire::pointer(4), 1, 300, kA2)},
      {"A of three bytes", wire::record(wire::kToQuestion, 1, 300, "abc")},
      {"A of sixteen bytes", wire::record(wire::kToQuestion, 1, 300, std::string(16, 'a'))},
      {"CNAME that ends early", wire::record(wire::kToQuestion, 5, 300, wire::name("evil.test") + "x")},
      {"CNAME that runs past its record", wire::record(wire::kToQuestion, 5, 300, "\4evil")},
      {"CNAME that points at itself", wire::record(wire::kToQuestion, 5, 300, wire::pointer(record_at + 12))},
      {"HTTPS without a target", wire::record(wire::kToQuestion, 65, 1, wire::u16(1))},
  };
  for (const auto& c : cases) {
    EXPECT_TRUE(answer_to(response(1, {.answers = 1}, c.bytes)).malformed()) << c.why;
    const auto both = answer_to(response(1, {.answers = 2}, c.bytes + good));
    ASSERT_TRUE(both.complete()) << c.why;
    EXPECT_THAT(both.value().addresses, ElementsAre(address("45.33.32.10"))) << c.why;
  }
}

TEST(DnsAnswer, IgnoresWhatIsNotUsed) {
  const std::string good = wire::record(wire::kToQuestion, 1, 300, kA1);
  const auto soa_cut = wire::record(wire::kToQuestion, 6, 1, wire::name("a"));
  struct Ignored {
    const char* why;
    wire::Counts counts;
    std::string before;
    std::string after;
    unsigned flags = 0x8180;
    bool miscounted = false;
  };
  const Ignored cases[] = {
      {.why = "bytes left over", .counts = {.answers = 1}, .before = "", .after = "left over", .miscounted = true},
      {.why = "more additional records than sent",
       .counts = {.answers = 1, .additionals = 3},
       .before = "",
       .after = "",
       .miscounted = true},
      {.why = "fewer additional records than sent",
       .counts = {.answers = 1},
       .before = "",
       .after = wire::opt(1),
       .miscounted = true},
      {.why = "a lying authority count",
       .counts = {.answers = 1, .authorities = 0xffff},
       .before = "",
       .after = soa_cut,
       .miscounted = true},
      {.why = "SOA cut short", .counts = {.answers = 1, .authorities = 1}, .before = "", .after = soa_cut},
      {.why = "two OPT",
       .counts = {.answers = 1, .additionals = 2},
       .before = "",
       .after = wire::opt(1) + wire::opt(2)},
      {.why = "OPT among the answers", .counts = {.answers = 2}, .before = wire::opt(1232), .after = ""},
      {.why = "TXT that is cut",
       .counts = {.answers = 2},
       .before = wire::record(wire::kToQuestion, 16, 1, "\xff"),
       .after = ""},
      {.why = "RRSIG of rubbish",
       .counts = {.answers = 2},
       .before = wire::record(wire::kToQuestion, 46, 1, "x"),
       .after = ""},
      {.why = "class ANY",
       .counts = {.answers = 2},
       .before = wire::record(wire::kToQuestion, 1, 1, kA2, 255),
       .after = ""},
      {.why = "the same record twice", .counts = {.answers = 2}, .before = good, .after = ""},
      {.why = "AA, AD, Z and no RA", .counts = {.answers = 1}, .before = "", .after = "", .flags = 0x8560},
      {.why = "upper case owner",
       .counts = {.answers = 2},
       .before = wire::record(wire::name("ALLOWED.TEST"), 1, 300, kA1),
       .after = ""},
  };
  for (const auto& c : cases) {
    const auto parsed = parse_dns_response(base::as_bytes(response(1, c.counts, c.before + good + c.after, c.flags)));
    ASSERT_TRUE(parsed.complete()) << c.why;
    EXPECT_EQ(parsed.value().miscounted, c.miscounted) << c.why;
    EXPECT_THAT(answer_of(parsed.value()).value().addresses, ElementsAre(address("45.33.32.10"))) << c.why;
  }
}

TEST(DnsAnswer, ReadsAsManyRecordsAsItKeepsAndNoMore) {
  const auto bytes = response(1, {.answers = 513}, repeated(wire::record(wire::kToQuestion, 16, 300, "\1x"), 513));
  const auto parsed = parse_dns_response(base::as_bytes(bytes));
  ASSERT_TRUE(parsed.complete());
  EXPECT_TRUE(answer_of(parsed.value()).malformed()) << "what was not read may have had an address";
}

TEST(DnsName, IsReadThroughPointersInOddPlaces) {
  const unsigned rdata_at = 12 + 14 + 4 + 12;  // of the first record, its owner a pointer
  const auto first = wire::record(wire::kToQuestion, 16, 300, wire::name("deep.test"));
  const auto alias = wire::record(wire::kToQuestion, 5, 300, "\1x" + wire::pointer(rdata_at));
  const auto target = wire::record("\1X" + wire::pointer(rdata_at), 1, 300, kA1);
  const auto answer = answer_to(response(1, {.answers = 3}, first + alias + target));
  ASSERT_TRUE(answer.complete());
  EXPECT_EQ(answer.value().canonical.text(), "x.deep.test") << "into the RDATA of another record";
  EXPECT_THAT(answer.value().addresses, ElementsAre(address("45.33.32.10")));
}

std::string chain_of(int hops) {
  std::string records;
  std::string owner = "allowed.test";
  for (int i = 0; i < hops; ++i) {
    const std::string next = "hop" + std::to_string(i) + ".test";
    records += wire::record(wire::name(owner), 5, 300, wire::name(next));
    owner = next;
  }
  return response(1, {.answers = static_cast<unsigned>(hops) + 1},
                  records + wire::record(wire::name(owner), 1, 300, kA1));
}

TEST(DnsAnswer, FollowsAliasesAsFarAsRealOnesGo) {
  for (const int hops : {1, 9, 16, 40, 64}) {
    const auto answer = answer_to(chain_of(hops));
    ASSERT_TRUE(answer.complete()) << hops;
    EXPECT_THAT(answer.value().addresses, ElementsAre(address("45.33.32.10")));
    EXPECT_EQ(answer.value().canonical.text(), "hop" + std::to_string(hops - 1) + ".test");
  }
  EXPECT_TRUE(answer_to(chain_of(65)).malformed());
  EXPECT_TRUE(answer_to(chain_of(500)).malformed());
}

TEST(DnsAnswer, AChainWithoutItsEndIsUnfinished) {
  const auto alias = wire::record(wire::kToQuestion, 5, 300, wire::name("b.test"));
  EXPECT_TRUE(answer_to(response(1, {.answers = 1}, alias)).value().unfinished);
  const auto soa = wire::record(wire::name("test"), 6, 600, wire::soa(30));
  EXPECT_FALSE(answer_to(response(1, {.answers = 1, .authorities = 1}, alias + soa)).value().unfinished)
      << "the target has no such record";
  EXPECT_FALSE(answer_to(response(1, {.answers = 1}, alias, 0x8183)).value().unfinished) << "it does not exist";
  EXPECT_FALSE(answer_to(response(1, {}, "")).value().unfinished) << "no alias";
}

TEST(DnsAnswer, TheOrderOfRecordsDoesNotMatter) {
  const auto answer = answer_to(response(1, {.answers = 3},
                                         wire::record(wire::name("c.test"), 1, 300, kA1) +
                                             wire::record(wire::name("b.test"), 5, 20, wire::name("C.test")) +
                                             wire::record(wire::kToQuestion, 5, 300, wire::name("B.TEST"))));
  ASSERT_TRUE(answer.complete());
  EXPECT_THAT(answer.value().addresses, ElementsAre(address("45.33.32.10")));
  EXPECT_EQ(answer.value().ttl, 20U);
}

TEST(DnsAnswer, AnAliasOfItselfIsRefused) {
  EXPECT_TRUE(
      answer_to(response(1, {.answers = 1}, wire::record(wire::kToQuestion, 5, 300, wire::name("allowed.test"))))
          .malformed());
}

TEST(DnsAnswer, OfTwoTargetsForOneOwnerTheFirstCounts) {
  const auto answer = answer_to(response(1, {.answers = 4},
                                         wire::record(wire::kToQuestion, 5, 300, wire::name("a.test")) +
                                             wire::record(wire::kToQuestion, 5, 300, wire::name("b.test")) +
                                             wire::record(wire::name("b.test"), 1, 300, kA2) +
                                             wire::record(wire::name("a.test"), 1, 300, kA1)));
  ASSERT_TRUE(answer.complete());
  EXPECT_THAT(answer.value().addresses, ElementsAre(address("45.33.32.10")));
}

TEST(DnsAnswer, RecordsOfUnrelatedOwnersAreLeftOut) {
  const auto answer = answer_to(
      response(1, {.answers = 3, .additionals = 1},
               wire::record(wire::kToQuestion, 1, 300, kA1) + wire::record(wire::name("evil.test"), 1, 300, kA2) +
                   wire::record(wire::kToQuestion, 16, 300, "\3txt") + wire::record(wire::kToQuestion, 1, 300, kA2)));
  EXPECT_THAT(answer.value().addresses, ElementsAre(address("45.33.32.10")));
}

TEST(DnsAnswer, ARecordOfAnotherClassIsLeftOut) {
  const auto answer = answer_to(response(1, {.answers = 1}, wire::record(wire::kToQuestion, 1, 300, kA1, 3)));
  EXPECT_THAT(answer.value().addresses, IsEmpty());
}

std::string https(unsigned priority, const std::string& target, const std::string& parameters) {
  return response(65, {.answers = 1},
                  wire::record(wire::kToQuestion, 65, 300, wire::u16(priority) + wire::name(target) + parameters));
}

TEST(ServiceBinding, LosesEchAndHttp3) {
  const auto answer =
      answer_to(https(1, "",
                      wire::alpn({"h3", "h2", "h3-29", "http/1.1"}) + wire::service_parameter(3, wire::u16(443)) +
                          wire::service_parameter(4, kA1 + kA2) + wire::service_parameter(5, "secret") +
                          wire::service_parameter(7, "/dns")));
  ASSERT_TRUE(answer.complete());
  ASSERT_EQ(answer.value().services.size(), 1U);
  const auto& service = answer.value().services.front();
  EXPECT_THAT(service.alpn, ElementsAre("h2", "http/1.1"));
  EXPECT_FALSE(service.has_ech);

  const auto rdata = encode_service_binding(
      service, [](const base::IpAddress& hint) { return hint == base::IpAddress::parse("45.33.32.10").value(); });
  const auto again = parse_service_binding(rdata);
  ASSERT_TRUE(again.complete());
  EXPECT_THAT(again.value().alpn, ElementsAre("h2", "http/1.1"));
  EXPECT_THAT(again.value().hints, ElementsAre(address("45.33.32.10")));
  EXPECT_FALSE(again.value().has_ech);
  EXPECT_FALSE(again.value().port.has_value());
}

TEST(ServiceBinding, KeepsSixteenHintsOfEachFamily) {
  ServiceBinding service;
  service.priority = 1;
  for (std::uint8_t i = 0; i < 100; ++i) {
    service.hints.push_back(base::IpAddress::v4({45, 33, 40, i}));
    service.hints.push_back(base::IpAddress::v6({0x26, 0, 0x3c, 1, i}));
  }
  const auto kept = reduced(service);
  ASSERT_TRUE(kept);
  EXPECT_EQ(std::ranges::count_if(kept->hints, &base::IpAddress::is_v4), std::ptrdiff_t{kMaxServiceHints});
  EXPECT_EQ(kept->hints.size(), 2 * kMaxServiceHints);
}

TEST(ServiceBinding, IsDroppedWhenItLeadsAnywhereElse) {
  const Case cases[] = {
      {"AliasMode", https(0, "evil.test", "")},
      {"AliasMode to the owner", https(0, "", "")},
      {"another target", https(1, "evil.test", wire::alpn({"h2"}))},
      {"another port", https(1, "", wire::alpn({"h2"}) + wire::service_parameter(3, wire::u16(8443)))},
      {"HTTP/3 only", https(1, "", wire::alpn({"h3"}) + wire::service_parameter(2, ""))},
      {"mandatory parameters", https(1, "", wire::service_parameter(0, wire::u16(1)) + wire::alpn({"h2"}))},
  };
  for (const auto& c : cases) {
    const auto answer = answer_to(c.bytes);
    ASSERT_TRUE(answer.complete()) << c.why;
    EXPECT_THAT(answer.value().services, IsEmpty()) << c.why;
  }
  EXPECT_EQ(answer_to(https(1, "", wire::alpn({"h2"}))).value().services.size(), 1U) << "control";
}

TEST(ServiceBinding, MalformedOnesAreLeftOut) {
  const Case cases[] = {
      {"no target", response(65, {.answers = 1}, wire::record(wire::kToQuestion, 65, 1, wire::u16(1)))},
      {"parameters out of order", https(1, "", wire::service_parameter(4, kA1) + wire::alpn({"h2"}))},
      {"a parameter twice", https(1, "", wire::alpn({"h2"}) + wire::alpn({"h2"}))},
      {"length that lies", https(1, "", wire::u16(1) + wire::u16(40) + "\2h2")},
      {"empty alpn", https(1, "", wire::service_parameter(1, ""))},
      {"alpn that runs over", https(1, "", wire::service_parameter(1, "\5h2"))},
      {"port of one byte", https(1, "", wire::service_parameter(3, "x"))},
      {"hint of five bytes", https(1, "", wire::service_parameter(4, "12345"))},
      {"IPv6 hint of four bytes", https(1, "", wire::service_parameter(6, "1234"))},
      {"no-default-alpn with a value", https(1, "", wire::alpn({"h2"}) + wire::service_parameter(2, "x"))},
      {"no-default-alpn without alpn", https(1, "", wire::service_parameter(2, ""))},
      {"mandatory names what is not there",
       https(1, "", wire::service_parameter(0, wire::u16(4)) + wire::alpn({"h2"}))},
      {"mandatory names itself", https(1, "", wire::service_parameter(0, wire::u16(0)))},
      {"compressed target",
       response(65, {.answers = 1}, wire::record(wire::kToQuestion, 65, 1, wire::u16(1) + wire::kToQuestion))},
  };
  for (const auto& c : cases) EXPECT_TRUE(answer_to(c.bytes).malformed()) << c.why;
}

DnsQuery query_for(const std::string& bytes) {
  return parse_dns_query(base::as_bytes(bytes)).value();
}

DnsReplyRecord a_record(std::uint32_t ttl) {
  return {DnsType::kA, ttl, {std::byte{45}, std::byte{33}, std::byte{32}, std::byte{10}}};
}

TEST(DnsReply, EchoesTheQuestionByteForByte) {
  const auto query = query_for(plain(wire::name("aLLoWed.TeSt")));
  const auto bytes = build_dns_reply(query, {.answers = {a_record(5)}, .negative_ttl = std::nullopt}, 512);
  const auto expected = wire::header(7, 0x8180, {.answers = 1}) + wire::question(wire::name("aLLoWed.TeSt"), 1) +
                        wire::record(wire::kToQuestion, 1, 5, kA1);
  EXPECT_EQ(base::as_text(bytes), expected);
}

TEST(DnsReply, AnswersEdnsWithEdnsAndNoOptions) {
  const std::string subnet = wire::u16(8) + wire::with_length(std::string("\0\1\30\0\1\2\3", 7));
  const auto query = query_for(wire::query(9, "allowed.test", 1, wire::opt(4096, subnet), 1));
  const auto bytes = build_dns_reply(query, {.rcode = DnsRcode::kBadVers, .answers = {}, .negative_ttl = {}}, 512);
  EXPECT_EQ(base::as_text(bytes), wire::header(9, 0x8180, {.additionals = 1}) +
                                      wire::question(wire::name("allowed.test"), 1) + wire::opt(1232, "", 0x01000000));
}

TEST(DnsReply, ANegativeOneCarriesASoaThatParses) {
  const auto query = query_for(wire::query(9, "allowed.test", 28));
  const auto bytes = build_dns_reply(query, {.rcode = DnsRcode::kNxDomain, .answers = {}, .negative_ttl = 5}, 512);
  const auto parsed = parse_dns_response(bytes);
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().negative_ttl, 5U);
  EXPECT_EQ(parsed.value().rcode, DnsRcode::kNxDomain);
}

TEST(DnsReply, IsTruncatedWhenTheClientCannotTakeIt) {
  const auto query = query_for(wire::query(9, "allowed.test", 1));
  DnsReply reply;
  for (int i = 0; i < 40; ++i) reply.answers.push_back(a_record(5));
  const auto small = build_dns_reply(query, reply, kPlainUdpSize);
  EXPECT_LE(small.size(), kPlainUdpSize);
  const auto parsed = parse_dns_response(small);
  ASSERT_TRUE(parsed.complete());
  EXPECT_TRUE(parsed.value().truncated);
  EXPECT_EQ(parsed.value().answers.size(), 30U) << "what fits: (512 - 12 - 18) / 16";
  EXPECT_GT(build_dns_reply(query, reply, 65535).size(), kPlainUdpSize);
  const auto offered = query_for(wire::query(9, "allowed.test", 1, wire::opt(600), 1));
  const auto larger = build_dns_reply(offered, reply, 600);
  EXPECT_LE(larger.size(), 600U);
  EXPECT_EQ(parse_dns_response(larger).value().answers.size(), 34U) << "(600 - 12 - 18 - 11) / 16";
  reply.answers.resize(3);
  EXPECT_EQ(parse_dns_response(build_dns_reply(query, reply, kPlainUdpSize)).value().truncated, false) << "control";
}

TEST(DnsReply, AnExtendedErrorIsLeftOutBeforeAnythingElseIs) {
  auto query = parse_dns_query(base::as_bytes(wire::header(7, 0x0100, {.additionals = 1}) +
                                              wire::question(wire::name("a.test"), 1) + wire::opt(1232, "")))
                   .value();
  DnsReply reply{.answers = {a_record(5)}, .negative_ttl = std::nullopt};
  const auto size = build_dns_reply(query, reply, 1232).size();
  reply.error = DnsExtendedError{DnsErrorCode::kBlocked, "no\n\x7f\xe9"};
  const auto whole = build_dns_reply(query, reply, 1232);
  const std::string text(reinterpret_cast<const char*>(whole.data()), whole.size());
  EXPECT_TRUE(text.ends_with(wire::u16(15) + wire::with_length(wire::u16(15) + "no???"))) << "printable ASCII alone";
  EXPECT_EQ(whole.size(), size + 11);
  EXPECT_TRUE(parse_dns_response(whole).complete());
  EXPECT_EQ(build_dns_reply(query, reply, whole.size() - 1).size(), size) << "the answer is whole";
  reply.error->text = std::string(4000, 'x');
  EXPECT_EQ(build_dns_reply(query, reply, 65535).size(), size + 6 + DnsExtendedError::kMaxText);
  query.edns.reset();
  EXPECT_LT(build_dns_reply(query, reply, 65535).size(), size) << "no EDNS, no error";
}

TEST(DnsError, IsAHeaderWithTheIdAndOpcode) {
  const auto header = parse_dns_header(base::as_bytes(wire::header(0x1234, 0x2900, {.questions = 3})));
  EXPECT_EQ(base::as_text(build_dns_error(*header, DnsRcode::kNotImp)), wire::header(0x1234, 0xa984, {.questions = 0}));
}

TEST(DnsType, HasANameOrANumber) {
  EXPECT_EQ(to_string(DnsType::kHttps), "HTTPS");
  EXPECT_EQ(to_string(static_cast<DnsType>(65280)), "TYPE65280");
}

}  // namespace
}  // namespace soleroute::sniffer
