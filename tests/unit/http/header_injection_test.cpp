// Headers that the policy sets, against whatever a request brings of the same name.
// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/header_injection.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_reader.h"
#include "gateway/http/h1/body.h"
#include "gateway/http/h1/forwarded_head.h"
#include "gateway/http2/body.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::http {
namespace {

using policy::HeaderForm;
using policy::HeaderTransform;

std::vector<HeaderTransform> transforms(bool replace) {
  return {{.name = "Authorization", .form = HeaderForm::kBearer, .username = "", .secret = "a", .replace = replace},
          {.name = "X-Api-Key", .form = HeaderForm::kRaw, .username = "", .secret = "k", .replace = replace}};
}

std::vector<InjectedField> fields() {
  std::vector<InjectedField> out;
  for (const auto& [name, value] : {std::pair("Authorization", "Bearer REAL"), std::pair("X-Api-Key", "KEY")}) {
    secrets::Secret secret(32);
    secret.append(value);
    out.push_back({name, std::move(secret)});
  }
  return out;
}

sniffer::RequestHead parse(const std::string& text) {
  auto parsed = sniffer::parse_request_head(base::as_bytes(text));
  EXPECT_TRUE(parsed.complete()) << text;
  return parsed.complete() ? std::move(parsed).value() : sniffer::RequestHead{};
}

std::string request(std::string_view lines) {
  return "GET /v1/a?b=c HTTP/1.1\r\nHost: api.test\r\n" + std::string(lines) + "\r\n";
}

TEST(HeaderInjection, SetsItsFieldsBehindTheRequestsOwnInTheirOrderAndCase) {
  const std::string text = request("uSER-agent: x\r\nAccept:   */*\r\n");
  EXPECT_EQ(h1::injected_request(parse(text), transforms(false), fields()),
            "GET /v1/a?b=c HTTP/1.1\r\nHost: api.test\r\nuSER-agent: x\r\nAccept:   */*\r\n"
            "Authorization: Bearer REAL\r\nX-Api-Key: KEY\r\n\r\n");
}

struct Variant {
  std::string_view line, why;
};
constexpr std::array kVariants{
    Variant{"Authorization: Bearer FAKE\r\n", "the same name"},
    Variant{"AUTHORIZATION: Bearer FAKE\r\n", "another case"},
    Variant{"authorization:\r\n", "without a value"},
    Variant{"X-Api-Key: FAKE\r\n", "the other header"},
    Variant{"x_api_key: FAKE\r\n", "underscores, which CGI makes the same"},
    Variant{"X_Api-Key: FAKE\r\n", "a mixture"},
    Variant{"Accept: */*\r\nAuthorization: Bearer FAKE\r\nauthorization: Bearer FAKE\r\n", "twice"},
};

TEST(HeaderInjection, RefusesARequestThatBringsTheHeaderItself) {
  for (const auto& variant : kVariants) {
    const auto text = request(variant.line);
    EXPECT_TRUE(refuses_own_fields(transforms(false), parse(text).fields)) << variant.why;
  }
  EXPECT_FALSE(refuses_own_fields(transforms(false), parse(request("X-Api-Keys: a\r\nAuthorizations: b\r\n")).fields));
  const auto own = request("Authorization: mine\r\n");
  EXPECT_FALSE(refuses_own_fields({}, parse(own).fields)) << "where nothing is set, the client's own passes";
}

TEST(HeaderInjection, ReplacesEveryVariantWhereItIsToldTo) {
  for (const auto& variant : kVariants) {
    const auto text = request(variant.line);
    EXPECT_FALSE(refuses_own_fields(transforms(true), parse(text).fields)) << variant.why;
    const auto out = h1::injected_request(parse(text), transforms(true), fields());
    EXPECT_EQ(out.find("FAKE"), std::string::npos) << variant.why << "\n" << out;
    const auto head = parse(out);
    int authorizations = 0;
    int keys = 0;
    for (const auto& field : head.fields) {
      authorizations += policy::same_header(field.name, "authorization") ? 1 : 0;
      keys += policy::same_header(field.name, "x-api-key") ? 1 : 0;
    }
    EXPECT_EQ(authorizations, 1) << out;
    EXPECT_EQ(keys, 1) << out;
  }
}

TEST(HeaderInjection, RefusesFieldsThatWouldHaveTheHeaderDroppedOrSentLater) {
  for (const bool replace : {false, true}) {
    for (const std::string_view line :
         {"Connection: close, Authorization\r\n", "connection: x_api_key\r\n", "Trailer: X-Sum, authorization\r\n"}) {
      const auto text = request(line);
      EXPECT_TRUE(refuses_own_fields(transforms(replace), parse(text).fields)) << line;
    }
    EXPECT_FALSE(refuses_own_fields(transforms(replace), parse(request("Connection: keep-alive\r\n")).fields));
  }
}

TEST(HeaderInjection, LeavesOutWhatNeverPassesAGatewayToo) {
  const auto text = request("Proxy-Authorization: Basic x\r\nUpgrade: foo\r\nConnection: upgrade\r\n");
  const auto out = h1::injected_request(parse(text), transforms(false), fields());
  EXPECT_EQ(out.find("roxy-"), std::string::npos) << out;
  EXPECT_EQ(out.find("pgrade"), std::string::npos) << out;
  EXPECT_NE(out.find("Authorization: Bearer REAL\r\n"), std::string::npos) << out;
}

TEST(HeaderInjection, IsTheSameOverHttp2) {
  http2::Fields request{{"accept", "*/*"}, {"authorization", "Bearer FAKE"}, {"x_api_key", "FAKE"}, {"x-other", "a"}};
  EXPECT_TRUE(refuses_own_fields(transforms(false), request));
  EXPECT_FALSE(refuses_own_fields(transforms(true), request));
  http2::Body body;
  inject(transforms(true), fields(), request, body);
  const http2::Fields wanted{
      {"accept", "*/*"}, {"x-other", "a"}, {"authorization", "Bearer REAL", true}, {"x-api-key", "KEY", true}};
  EXPECT_EQ(request, wanted);
}

std::string chunked(std::string_view trailers) {
  return "3\r\nabc\r\n0\r\n" + std::string(trailers) + "\r\n";
}

// Whole, and byte by byte.
bool is_refused(const std::vector<HeaderTransform>& set, std::string_view trailers) {
  const std::string text = chunked(trailers);
  h1::BodyTracker whole(sniffer::BodyFraming::kChunked, 0, sniffer::Sender::kClient);
  h1::BodyTracker slow(sniffer::BodyFraming::kChunked, 0, sniffer::Sender::kClient);
  whole.refuse_trailers(set);
  slow.refuse_trailers(set);
  const bool all = whole.take(base::as_bytes(text)).taken == text.size();
  for (std::size_t i = 0; i < text.size() && !slow.malformed(); ++i) {
    EXPECT_EQ(slow.take(base::as_bytes(text).subspan(i, 1)).taken, 1u);
  }
  EXPECT_EQ(whole.malformed(), slow.malformed()) << trailers;
  EXPECT_TRUE(whole.malformed() || (all && whole.done() && slow.done())) << trailers;
  return whole.malformed();
}

TEST(HeaderInjection, RefusesATrailerNamedAsAHeaderThatIsSetAnnouncedOrNot) {
  for (const bool replace : {false, true}) {
    for (const auto& variant : kVariants) {
      EXPECT_TRUE(is_refused(transforms(replace), variant.line)) << variant.why;
      EXPECT_FALSE(is_refused({}, variant.line)) << "where nothing is set, the client's own passes";
    }
    EXPECT_FALSE(is_refused(transforms(replace), "X-Sum: 1\r\nAuthorizations: b\r\n"));
    EXPECT_FALSE(is_refused(transforms(replace), ""));
  }
}

TEST(HeaderInjection, LeavesSuchTrailersOutOverHttp2WhetherTheyAreThereOrStillToCome) {
  const http2::Fields trailers{{"x-sum", "1"}, {"authorization", "FAKE"}, {"x_api_key", "FAKE"}};
  const http2::Fields kept{{"x-sum", "1"}};
  http2::Fields request;
  http2::Body there;
  there.finish(trailers);
  http2::Body to_come;
  {
    const auto set = transforms(false);  // which a body outlives
    inject(set, fields(), request, there);
    inject(set, fields(), request, to_come);
  }
  to_come.finish(trailers);
  EXPECT_EQ(there.trailers(), kept);
  EXPECT_EQ(to_come.trailers(), kept);
  http2::Body untouched;
  inject({}, {}, request, untouched);
  untouched.finish(trailers);
  EXPECT_EQ(untouched.trailers(), trailers) << "where nothing is set, the client's own pass";
}

TEST(HeaderInjection, SaysWithWhichStatusAndReasonARequestIsAnswered) {
  policy::Decision decision;
  const http2::Fields own{{"authorization", "mine"}};
  EXPECT_TRUE(prepare_injection(decision, own, nullptr)) << "nothing to set";
  const auto set = transforms(false);
  decision.transforms = set;
  const auto refused = prepare_injection(decision, own, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, policy::Reason::kHeaderNotPermitted);
  EXPECT_EQ(refused.error().status, 403);
  const auto unavailable = prepare_injection(decision, http2::Fields{}, nullptr);
  ASSERT_FALSE(unavailable);
  EXPECT_EQ(unavailable.error().reason, policy::Reason::kSecretUnavailable);
  EXPECT_EQ(unavailable.error().status, 502);
  EXPECT_EQ(unavailable.error().detail, "secret a: no secrets directory (--secrets-dir)");
}

TEST(HeaderInjection, FailsWithTheIdWhereThereIsNoSecret) {
  const auto none = injected_fields(transforms(false), nullptr);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "secret a: no secrets directory (--secrets-dir)");
  const secrets::SecretStore store("/nonexistent");
  const auto absent = injected_fields(transforms(false), &store);
  ASSERT_FALSE(absent);
  EXPECT_TRUE(absent.error().message.starts_with("secret a: ")) << absent.error().message;
  EXPECT_TRUE(injected_fields({}, nullptr)) << "nothing to set, nothing needed";
}

}  // namespace
}  // namespace soleroute::gateway::http
