// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/request_target.h"

#include <gtest/gtest.h>

#include <string>

namespace soleroute::policy {
namespace {

TEST(NormalisedPath, MakesEquivalentSpellingsEqualAndNoOthers) {
  struct Row {
    std::string_view path, normalised, why;
  };
  for (const auto& row : std::initializer_list<Row>{
           {"/", "/", "the root"},
           {"/%7Eu/%41", "/~u/A", "unreserved characters need no escape"},
           {"/a%2fb", "/a%2Fb", "an encoded slash stays encoded"},
           {"/a%3a", "/a%3A", "reserved characters keep their form"},
           {"/a:b;c=d,e@f", "/a:b;c=d,e@f", "what a path may hold"},
           {"/a//b", "/a//b", "an empty segment is a segment"},
           {"/%c3%a9", "/%C3%A9", "UTF-8"},
           {"/\xc3\xa9", "/%C3%A9", "raw UTF-8, as some clients send it"},
           {"/a|b", "/a%7Cb", "a character that should have been escaped"},
           {"/...", "/...", "three dots are a name"},
           {"/.hidden/..b", "/.hidden/..b", "dots with a name"},
           {"/%20/a%20b", "/%20/a%20b", "blanks without a dot"},
           {"/v1.%20x/a..%20", "/v1.%20x/a..%20", "dots and blanks with a name"},
           {"/%EF%BC%8E%EF%BC%8Ea", "/%EF%BC%8E%EF%BC%8Ea", "fullwidth dots with a name"},
           {"/%E2%80%A6", "/%E2%80%A6", "an ellipsis is three dots"},
           {"/a%E2%88%95b", "/a%E2%88%95b", "a division slash within a name"},
           {"/%C2%A5100", "/%C2%A5100", "a yen sign, which some fonts show as a backslash"},
           {"/100%25", "/100%25", "an encoded percent"},
       }) {
    EXPECT_EQ(normalised_path(row.path), std::string(row.normalised)) << row.path << ": " << row.why;
  }
}

TEST(NormalisedPath, RefusesWhatServersCouldReadDifferently) {
  for (const std::string_view path : {"",
                                      "a",
                                      "*",
                                      "/.",
                                      "/..",
                                      "/a/./b",
                                      "/a/../b",
                                      "/%2e",
                                      "/%2E%2e/",
                                      "/.%2e/",
                                      "/a/..%2Fb",
                                      "/a/%2e%2e%2fb",
                                      "/a%2f..%2fb",
                                      "/a/..%5cb",
                                      "/a\\b",
                                      "/a%5Cb",
                                      "/%252e%252e/",
                                      "/%25252e%25252e/",
                                      "/..;x/",
                                      "/a/.;/b",
                                      "/%00",
                                      "/%0a",
                                      "/%7f",
                                      "/a\nb",
                                      "/%",
                                      "/%2",
                                      "/%g0",
                                      "/%c0%ae/",
                                      "/%ff",
                                      "/\xff",
                                      "/%255c",
                                      "/%2525252525252e.",
                                      "/a/..%20/b",
                                      "/a/%20..",
                                      "/a/.%20./b",
                                      "/a/.. ",
                                      "/a/..%20.",
                                      "/a/.%c2%a0/b",
                                      "/a/..%e3%80%80;x/b",
                                      "/a/%EF%BC%8E%EF%BC%8E/b",
                                      "/a/\uff0e./b",
                                      "/a/%E2%80%A5/b",
                                      "/a/%E2%80%A4%E2%80%A4/b",
                                      "/a/..%E2%88%95b",
                                      "/a/..%EF%BC%8Fb",
                                      "/a%E2%81%84..%E2%81%84b",
                                      "/a/..%EF%BC%BCb",
                                      "/a/..%C2%A5b",
                                      "/a/..%EF%BC%9Bx/b",
                                      "/a/..%2520/b",
                                      "/a/%25EF%25BC%258E%25EF%25BC%258E/b",
                                      "/a/.%E2%80%8B./b"}) {
    EXPECT_EQ(normalised_path(path), std::nullopt) << path;
  }
  EXPECT_EQ(normalised_path("/" + std::string(kMaxTargetBytes, 'a')), std::nullopt);
}

TEST(NormalisedPath, IsItsOwnNormalForm) {
  for (const std::string_view path : {"/%7Eu/%41", "/a%2fb", "/\xc3\xa9", "/a|b", "/100%25"}) {
    const auto once = normalised_path(path);
    ASSERT_TRUE(once) << path;
    EXPECT_EQ(normalised_path(*once), once) << path;
  }
}

TEST(ParseQuery, IsADecodedMultimap) {
  EXPECT_EQ(parse_query(""), QueryParameters{});
  EXPECT_EQ(parse_query("&&"), QueryParameters{});
  EXPECT_EQ(parse_query("b=2&a=1&a=0"), (QueryParameters{{"a", "0"}, {"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(parse_query("a+b=c%20d"), (QueryParameters{{"a b", "c d"}}));
  EXPECT_EQ(parse_query("a"), (QueryParameters{{"a", ""}}));
  EXPECT_EQ(parse_query("a=b=c"), (QueryParameters{{"a", "b=c"}}));
  EXPECT_EQ(parse_query("a=1;b=2"), (QueryParameters{{"a", "1;b=2"}}));
  EXPECT_EQ(parse_query("=x"), (QueryParameters{{"", "x"}}));
  EXPECT_EQ(parse_query("a=%2"), std::nullopt);
  std::string many = "a";
  for (std::size_t i = 0; i < kMaxQueryParameters; ++i) many += "&a";
  EXPECT_EQ(parse_query(many), std::nullopt);
}

}  // namespace
}  // namespace soleroute::policy
