// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/tls_client_hello.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sniffer/tls_record.h"
#include "tests/support/client_hello.h"

namespace soleroute::sniffer {
namespace {

using namespace testing::tls;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Parsed<ClientHello> parse(const std::string& bytes) {
  return parse_client_hello(base::as_bytes(bytes));
}

// "name", "(no name)", "(need more)" or "malformed: why".
std::string outcome(const std::string& bytes) {
  const auto parsed = parse(bytes);
  if (parsed.need_more()) return "(need more)";
  if (parsed.malformed()) return "malformed: " + std::string(parsed.fault().reason);
  const auto& name = parsed.value().server_name;
  return name ? name->text() : "(no name)";
}

std::string with_extensions(const std::string& extensions) {
  return record(hello(extensions + usual_extensions()));
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

struct Case {
  std::string why;
  std::string bytes;
  std::string expected;  // outcome, or its beginning if malformed
};

void expect_outcomes(const std::vector<Case>& cases) {
  for (const auto& c : cases) EXPECT_THAT(outcome(c.bytes), ::testing::StartsWith(c.expected)) << c.why;
}

TEST(TlsClientHello, ReadsTheNameOfAnOrdinaryHello) {
  const auto parsed = parse(record(hello(server_name("Allowed.Test") + alpn({"h2", "http/1.1"}) + usual_extensions())));
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().server_name->text(), "allowed.test");
  EXPECT_THAT(parsed.value().alpn, ElementsAre("h2", "http/1.1"));
  EXPECT_TRUE(parsed.value().offers_tls13);
  EXPECT_FALSE(parsed.value().encrypted_client_hello);
}

TEST(TlsClientHello, SizeCoversTheHelloAndNotWhatFollows) {
  const std::string bytes = ordinary("allowed.test");
  const auto parsed = parse(bytes + record("\x01", 20) + record(std::string(50, 'e'), 23));
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().size, bytes.size());
}

// T055, T061
TEST(TlsClientHello, AcceptsExactlyOneHostName) {
  std::vector<Name> many(500, Name{"allowed.test"});
  expect_outcomes({
      {"control", with_extensions(server_name("allowed.test")), "allowed.test"},
      {"no server_name at all", with_extensions(""), "(no name)"},
      {"no extension block, as SSL 3.0 sent", record([] {
         const HelloParts parts;
         const std::string body = parts.legacy_version + std::string(32, 'r') + sized("", 1) + sized(parts.ciphers, 2) +
                                  sized(parts.compressions, 1);
         return "\x01" + sized(body, 3);
       }()),
       "(no name)"},
      {"allowed first", with_extensions(server_names({{"allowed.test"}, {"denied.test"}})), "malformed: more than one"},
      {"denied first", with_extensions(server_names({{"denied.test"}, {"allowed.test"}})), "malformed: more than one"},
      {"the same twice", with_extensions(server_names({{"allowed.test"}, {"allowed.test"}})), "malformed: more than"},
      {"another type first", with_extensions(server_names({{"denied.test", 1}, {"allowed.test"}})),
       "malformed: a server"},
      {"an empty name of type 255 first", with_extensions(server_names({{"", 255}, {"allowed.test"}})), "malformed: a"},
      {"another type only", with_extensions(server_names({{"allowed.test", 1}})), "malformed: a server name of a type"},
      {"five hundred", with_extensions(server_names(many)), "malformed: more than one"},
      {"an empty list", with_extensions(server_names({})), "malformed: the server_name list is cut"},
      {"an empty extension", with_extensions(extension(0, "")), "malformed: the server_name list has"},
      {"two extensions", with_extensions(server_name("allowed.test") + server_name("denied.test")),
       "malformed: an ext"},
      {"two extensions far apart",
       record(hello(server_name("allowed.test") + usual_extensions() + server_name("denied.test"))),
       "malformed: an extension occurs twice"},
  });
}

// T056 to T060
TEST(TlsClientHello, RefusesNamesThatAreNotHostNames) {
  const std::string label63(63, 'a');
  const std::string longest = label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b');
  ASSERT_EQ(longest.size(), 253U);
  const std::vector<std::string> bad = {"45.33.32.66",
                                        "[::1]",
                                        "::1",
                                        "1.1.1.1.",
                                        "0x2d212042",
                                        "757145666",
                                        "055.041.040.0102",
                                        "45.33.8258",
                                        "127.1",
                                        "\xef\xbc\x90.\xef\xbc\x90.\xef\xbc\x90.\xef\xbc\x90",
                                        "allowed.test..",
                                        ".allowed.test",
                                        ".",
                                        "",
                                        "evil.test\0.allowed.test"s,
                                        "evil.test\0.wild.test"s,
                                        "allowed.test\0"s,
                                        "allowed.test\r\nX",
                                        "allowed.test ",
                                        "\tallowed.test",
                                        "allowed.test/",
                                        "evil.test#.wild.test",
                                        "\x80.test",
                                        "\xff.test",
                                        "*.wild.test",
                                        "\xd0\xb0llowed.test",
                                        "allowed\xe3\x80\x82test",
                                        "allowed\xef\xbc\x8etest",
                                        "allow\xc2\xad"
                                        "ed.test",
                                        "a\xcc\x81llowed.test",
                                        "xn--a-.test",
                                        "-a.test",
                                        "allowed.test:443",
                                        "user@allowed.test",
                                        std::string(64, 'a') + ".wild.test",
                                        longest + "b",
                                        repeated(label63 + ".", 4) + "wild.test",
                                        repeated(label63 + ".", 16) + "wild.test",
                                        repeated(label63 + ".", 200) + "wild.test"};
  for (const auto& name : bad) {
    EXPECT_EQ(outcome(with_extensions(server_name(name))), "malformed: the server name is not a valid host name")
        << name;
  }
  expect_outcomes({
      {"upper case is the same name", with_extensions(server_name("ALLOWED.TEST")), "allowed.test"},
      {"one final dot is the same name", with_extensions(server_name("allowed.test.")), "allowed.test"},
      {"a name that begins like an address", with_extensions(server_name("45.33.32.66.wild.test")),
       "45.33.32.66.wild."},
      {"an A-label stays what it is", with_extensions(server_name("XN--80ak6aa92e.test")), "xn--80ak6aa92e.test"},
      {"an underscore in a deep label", with_extensions(server_name("_dmarc.allowed.test")), "_dmarc.allowed.test"},
      {"the longest name", with_extensions(server_name(longest)), longest},
  });
}

// T063
TEST(TlsClientHello, RefusesLengthsThatLie) {
  const std::string name = "allowed.test";
  const auto sni_body = [&](std::size_t list, std::size_t length, const std::string& text) {
    return with_extensions(extension(0, number(list, 2) + std::string(1, '\0') + number(length, 2) + text));
  };
  HelloParts long_session;
  long_session.session_id = std::string(33, 's');
  HelloParts odd_ciphers;
  odd_ciphers.ciphers += "x";
  HelloParts no_ciphers;
  no_ciphers.ciphers.clear();
  HelloParts no_compression;
  no_compression.compressions.clear();
  const std::string good = server_name(name) + usual_extensions();
  const std::string trailing = [&] {
    std::string message = hello(good) + "xx";
    return record("\x01" + number(message.size() - 4, 3) + message.substr(4));
  }();
  expect_outcomes({
      {"control", sni_body(15, 12, name), "allowed.test"},
      {"list longer than the extension", sni_body(16, 12, name), "malformed: the server_name list has"},
      {"list shorter than the extension", sni_body(14, 12, name), "malformed: the server_name list has"},
      {"name of no length", sni_body(15, 0, name), "malformed"},
      {"name longer than the list", sni_body(15, 13, name), "malformed: a server name longer"},
      {"name shorter than the list", sni_body(15, 11, name), "malformed: more than one"},
      {"session id of 33", record(hello(good, long_session)), "malformed: a wrong session id"},
      {"odd cipher list", record(hello(good, odd_ciphers)), "malformed: a wrong cipher"},
      {"no cipher", record(hello(good, no_ciphers)), "malformed: a wrong cipher"},
      {"no compression method", record(hello(good, no_compression)), "malformed: a wrong compression"},
      {"bytes after the extensions", trailing, "malformed: the extension block"},
      {"an extension longer than its block", record(hello(good + number(99, 2) + number(10, 2) + "abc")),
       "malformed: an"},
      {"half an extension header", record(hello(good + "\0\x63\0"s)), "malformed: an extension is cut"},
      {"an empty ALPN name", with_extensions(alpn({"h2", ""})), "malformed: an empty ALPN"},
      {"an empty ALPN list", with_extensions(alpn({})), "malformed: the ALPN list"},
      {"an odd list of versions", record(hello(extension(43, "\x03\x03\x04\x03"s))), "malformed: supported_versions"},
      {"a record longer than TLS allows", "\x16\x03\x01\x40\x01" + std::string(0x4001, 'x'), "malformed: a TLS record"},
      {"bytes after the hello in its record", record(hello(good) + "\x01"), "malformed: data follows"},
      {"a second hello in the same record", record(hello(good) + hello(server_name("denied.test"))), "malformed: data"},
  });
}

// T063: a changed byte leaves the name, or no name, or nothing readable; the last two are refused.
TEST(TlsClientHello, NoSingleByteChangeMakesAnotherName) {
  const std::string bytes = ordinary("allowed.test");
  const std::size_t name_at = bytes.find("allowed.test");
  int refused = 0;
  int same = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const bool in_name = i >= name_at && i < name_at + 12;
    for (int delta = 1; delta < 256 && !in_name; ++delta) {
      std::string mutated = bytes;
      mutated[i] = static_cast<char>(mutated[i] + delta);
      const auto parsed = parse(mutated);
      const bool named = parsed.complete() && parsed.value().server_name;
      (named ? same : refused) += 1;
      if (named) {
        ASSERT_EQ(parsed.value().server_name->text(), "allowed.test") << "byte " << i << " plus " << delta;
      }
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_GT(same, 1000);  // random, keys, versions
}

TEST(TlsClientHello, AsksForMoreAtEveryTruncation) {
  for (const std::string& bytes : {ordinary("allowed.test"), records(ordinary("allowed.test").substr(5), 7)}) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto parsed = parse(bytes.substr(0, size));
      ASSERT_TRUE(parsed.need_more()) << size;
      EXPECT_GT(parsed.missing().at_least, size);
      EXPECT_LE(parsed.missing().at_least, bytes.size());
    }
    EXPECT_EQ(outcome(bytes), "allowed.test");
  }
}

// T211, RFC 8446 sections 5.1 and 6.2: what a client that is wrong is told.
TEST(TlsClientHello, SaysWhichAlertAnswersIt) {
  const std::string message = hello(server_name("allowed.test") + usual_extensions());
  const auto alert_of = [](const std::string& bytes) {
    const auto parsed = parse(bytes);
    return parsed.malformed() ? parsed.fault().tls_alert : -1;
  };
  EXPECT_EQ(alert_of(record(message)), -1) << "the control";
  EXPECT_EQ(alert_of(record("\x02" + message.substr(1))), kUnexpectedMessageAlert) << "a ServerHello";
  EXPECT_EQ(alert_of(record(message.substr(0, 9)) + std::string("\x17\x03\x03\0\0", 5)), kUnexpectedMessageAlert);
  EXPECT_EQ(alert_of(record(message + "x")), kUnexpectedMessageAlert) << "no end at the record's end";
  EXPECT_EQ(alert_of("\x16\x03\x01\x40\x01"), kRecordOverflowAlert);
  EXPECT_EQ(alert_of("\x16\x02"), kProtocolVersionAlert);
  EXPECT_EQ(alert_of(with_extensions(server_name("a.test") + server_name("a.test"))), kIllegalParameterAlert);
  EXPECT_EQ(alert_of(record(message.substr(0, message.size() - 1) + "\xff")), -1);
}

// T211: a record of another kind is met with its first byte, not when the hello should have been whole.
TEST(TlsClientHello, MeetsARecordOfAnotherKindAtOnce) {
  const std::string message = hello(server_name("allowed.test") + usual_extensions());
  HandshakeRecords records;
  std::string bytes;
  for (const std::string& part :
       {record(message.substr(0, 2)), record(message.substr(2, 2)), record(message.substr(4, 9))}) {
    for (const char byte : part) {
      bytes += byte;
      EXPECT_FALSE(records.inspect(base::as_bytes(bytes)));
    }
  }
  bytes += '\x17';
  const auto fault = records.inspect(base::as_bytes(bytes));
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->tls_alert, kUnexpectedMessageAlert);
}

// T064: asked only when `at_least` says so, one byte at a time costs few parses.
TEST(TlsClientHello, DribbledBytesCostFewParses) {
  const std::string message = hello(padding(8000) + server_name("allowed.test") + usual_extensions());
  for (const std::size_t split : {std::size_t{1}, std::size_t{100}, std::size_t{16000}}) {
    const std::string bytes = records(message, split);
    std::size_t wanted = 1;
    int parses = 0;
    std::string found;
    for (std::size_t size = 1; size <= bytes.size(); ++size) {
      if (size < wanted) continue;
      ++parses;
      const auto parsed = parse(bytes.substr(0, size));
      if (parsed.need_more()) wanted = std::max(parsed.missing().at_least, size + 1);
      if (parsed.complete()) found = parsed.value().server_name->text();
    }
    EXPECT_EQ(found, "allowed.test") << split;
    EXPECT_LT(parses, 70) << split;
  }
}

// T064, T066, C04
TEST(TlsClientHello, ReadsAnySplitIntoRecords) {
  const std::string message = hello(server_name("allowed.test") + usual_extensions());
  for (std::size_t split = 1; split < message.size(); ++split) {
    EXPECT_EQ(outcome(record(message.substr(0, split)) + record(message.substr(split))), "allowed.test") << split;
    EXPECT_EQ(outcome(records(message, split)), "allowed.test") << split;
  }
}

// T066
TEST(TlsClientHello, ReadsEmptyHandshakeRecordsAndNothingElseBeforeTheHello) {
  const std::string hello_bytes = ordinary("allowed.test");
  const std::string message = hello_bytes.substr(5);
  const auto empties = [](std::size_t count) { return repeated(record(""), count); };
  expect_outcomes({
      {"one empty record, as OpenSSL accepts", empties(1) + hello_bytes, "allowed.test"},
      {"the name is not lost behind it", empties(1) + ordinary("denied.test"), "denied.test"},
      {"as many as are allowed", empties(kMaxEmptyRecords) + hello_bytes, "allowed.test"},
      {"one between two parts", record(message.substr(0, 9)) + empties(1) + record(message.substr(9)), "allowed.test"},
      {"one more than allowed", empties(kMaxEmptyRecords + 1) + hello_bytes, "malformed: too many empty"},
      {"a thousand", empties(1000) + hello_bytes, "malformed: too many empty"},
      {"change_cipher_spec first", record("\x01", 20) + hello_bytes,
       "malformed: a TLS record that is not of the handshake"},
      {"a warning alert first", record("\x01\0"s, 21) + hello_bytes,
       "malformed: a TLS record that is not of the handshake"},
      {"application data first", record("data", 23) + hello_bytes,
       "malformed: a TLS record that is not of the handshake"},
      {"a heartbeat first", record("\x01\0\x01"s, 24) + hello_bytes,
       "malformed: a TLS record that is not of the handshake"},
      {"an empty record of another type first", record("", 23) + hello_bytes,
       "malformed: a TLS record that is not of the handshake"},
      {"an alert inside the hello", record(message.substr(0, 9)) + record("\x01\0"s, 21) + record(message.substr(9)),
       "malformed: a TLS record that is not of the handshake"},
      {"another handshake message first", record("\x02\0\0\0"s) + hello_bytes, "malformed: the first handshake"},
  });
}

// T067, T068
TEST(TlsClientHello, ReadsLargeHellosUpToTheBound) {
  for (const std::size_t size : {1400U, 1900U, 2100U, 4096U, 8192U, 12000U, 14336U, 15000U, 60000U}) {
    const std::string message = hello(padding(size) + server_name("allowed.test") + usual_extensions());
    EXPECT_EQ(outcome(records(message, 16384)), "allowed.test") << size;
  }
  const std::string post_quantum = extension(
      51, sized("\x11\xec"s + sized(std::string(1216, 'q'), 2) + "\0\x1d"s + sized(std::string(32, 'k'), 2), 2));
  EXPECT_EQ(outcome(record(hello(post_quantum + server_name("allowed.test")))), "allowed.test");
}

TEST(TlsClientHello, RefusesWhatIsTooLargeAsSoonAsItIsAnnounced) {
  const auto announced = parse(record("\x01\xff\xff\xff"s));
  ASSERT_TRUE(announced.malformed());
  EXPECT_TRUE(announced.fault().too_large);
  const std::string message = hello(padding(kMaxClientHelloBytes - 100) + server_name("allowed.test"));
  const auto over = parse(records(message, 16384).substr(0, 20));
  ASSERT_TRUE(over.malformed());
  EXPECT_TRUE(over.fault().too_large);
  const auto endless = parse(records(hello(padding(15000) + server_name("allowed.test")), 1));
  ASSERT_TRUE(endless.malformed()) << "one-byte records count with their headers";
  EXPECT_TRUE(endless.fault().too_large);
}

// T069, C03
TEST(TlsClientHello, VersionsDoNotHideTheName) {
  const std::string message = hello(server_name("allowed.test") + usual_extensions());
  HelloParts old;
  old.legacy_version = "\x03\x01";
  HelloParts grease;
  grease.ciphers = "\x0a\x0a" + grease.ciphers;
  const std::string greased = extension(0x1a1a, "") + server_name("allowed.test") +
                              extension(43, sized("\x2a\x2a\x03\x04"s, 1)) + extension(0xdada, "\0"s);
  const std::string only13 = server_name("allowed.test") + extension(43, sized("\x03\x04"s, 1));
  expect_outcomes({
      {"record version 0x0300", record(message, 22, "\x03\0"s), "allowed.test"},
      {"record version 0x0303", record(message, 22, "\x03\x03"), "allowed.test"},
      {"record version 0x0304", record(message, 22, "\x03\x04"), "allowed.test"},
      {"record version 0x0305", record(message, 22, "\x03\x05"), "allowed.test"},
      {"record version 0x7f00", record(message, 22, "\x7f\0"s), "malformed: the record version"},
      {"record version 0x0200", record(message, 22, "\x02\0"s), "malformed: the record version"},
      {"legacy_version 0x0301", record(hello(server_name("allowed.test"), old)), "allowed.test"},
      {"GREASE everywhere", record(hello(greased, grease)), "allowed.test"},
      {"TLS 1.3 alone", record(hello(only13)), "allowed.test"},
  });
  EXPECT_FALSE(parse(record(hello(server_name("allowed.test"), old))).value().offers_tls13);
}

// T070
TEST(TlsClientHello, RefusesSsl2) {
  const std::string body = "\x01\x00\x02\x00\x15\x00\x00\x00\x10"s + std::string(37, 'x');
  const std::string announcing31 = "\x01\x03\x01\x00\x15\x00\x00\x00\x10"s + std::string(37, 'x');
  expect_outcomes({
      {"SSLv2 CLIENT-HELLO", "\x80\x2e" + body, "malformed: a TLS record that is not of the handshake"},
      {"SSLv2 hello announcing 3.1", "\x80\x2e" + announcing31, "malformed: a TLS record that is not of the handshake"},
      {"three-byte SSLv2 header", "\x00\x2e\x00"s + body, "malformed: a TLS record that is not of the handshake"},
      {"plain HTTP", "GET / HTTP/1.1\r\n", "malformed: a TLS record that is not of the handshake"},
  });
}

TEST(TlsClientHello, NoticesEncryptedClientHello) {
  const auto outer = parse(record(hello(server_name("public.test") + extension(0xfe0d, std::string(200, 'e')))));
  ASSERT_TRUE(outer.complete());
  EXPECT_TRUE(outer.value().encrypted_client_hello);
}

}  // namespace
}  // namespace soleroute::sniffer
