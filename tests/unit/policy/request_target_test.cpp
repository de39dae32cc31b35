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
                                      "/%2525252525252e."}) {
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
