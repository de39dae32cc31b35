// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <array>
#include <string>

#include "gateway/http/h1/exchange.h"
#include "tests/unit/http/h1_lab.h"

namespace soleroute::gateway::http::h1 {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

constexpr const char* kGet = "GET /a HTTP/1.1|Host: allowed.test||";
constexpr const char* kOk = "HTTP/1.1 200 OK|Content-Length: 2||hi";

class Http1KeptConnection : public Http1Lab {
 protected:
  // The origin's side of it, after so many requests and answers.
  test::Peer kept_connection(test::Peer& agent, int requests) {
    test::Peer server;
    for (int i = 0; i < requests; ++i) {
      agent.send(wire(kGet));
      if (!server) server = origin("127.0.0.2");
      EXPECT_EQ(server.head(), wire(kGet));
      server.send(wire(kOk));
      EXPECT_EQ(agent.message(), wire(kOk));
    }
    return server;
  }

  // The answer to `request`, which has been sent, comes over a connection of its own.
  void expect_a_fresh_connection(test::Peer& agent, const std::string& request) {
    auto fresh = origin("127.0.0.2");
    EXPECT_EQ(fresh.head(), request);
    fresh.send(wire(kOk));
    EXPECT_EQ(agent.message(), wire(kOk));
  }
};

// How the gateway knows of it differs: at first it asks, later it is told.
constexpr std::array kKept{1, 2, 5};

TEST_F(Http1KeptConnection, WhatIsSentWhileNothingIsAskedEndsTheKeptConnection) {
  for (const int requests : kKept) {
    SCOPED_TRACE(requests);
    auto& agent = client();
    auto server = kept_connection(agent, requests);
    server.send(wire("HTTP/1.1 200 OK|Content-Length: 4||FAKE"));
    agent.send(wire(kGet));
    expect_a_fresh_connection(agent, wire(kGet));
  }
}

TEST_F(Http1KeptConnection, ADeadKeptConnectionIsReplacedUnseen) {
  for (const int requests : kKept) {
    SCOPED_TRACE(requests);
    for (const bool broken : {false, true}) {
      auto& agent = client();
      auto server = kept_connection(agent, requests);
      broken ? server.abort() : server.close();
      const std::string post = wire("POST / HTTP/1.1|Host: allowed.test|Content-Length: 0||");
      agent.send(post);  // is not repeated once it is sent
      expect_a_fresh_connection(agent, post);
    }
  }
}

// The reset comes along with the answer: what was read last does not tell.
TEST_F(Http1KeptConnection, AKeptConnectionThatBreaksWithItsAnswerIsReplacedUnseen) {
  for (const int requests : kKept) {
    SCOPED_TRACE(requests);
    auto& agent = client();
    auto server = kept_connection(agent, requests);
    agent.send(wire(kGet));
    server.head();
    hold([&] {
      server.send(wire(kOk));
      server.abort();
    });
    EXPECT_EQ(agent.message(), wire(kOk));
    agent.send(wire(kGet));
    expect_a_fresh_connection(agent, wire(kGet));
  }
}

TEST_F(Http1KeptConnection, AnAnswerThatBreaksOnAKeptConnectionEndsAtOnce) {
  for (const int requests : kKept) {
    SCOPED_TRACE(requests);
    auto& agent = client();
    auto server = kept_connection(agent, requests);
    agent.send(wire(kGet));
    server.head();
    hold([&] {
      server.send(wire("HTTP/1.1 200 OK|Content-Length: 9||part"));
      server.abort();
    });
    EXPECT_THAT(agent.rest(), EndsWith("<reset>"));
  }
}

TEST_F(Http1KeptConnection, AKeptClientThatBreaksOffIsNoticed) {
  for (const int requests : kKept) {
    SCOPED_TRACE(requests);
    auto& agent = client();
    auto server = kept_connection(agent, requests);
    agent.send(wire(kGet));
    server.head();
    hold([&] {
      agent.abort();
      server.send(wire(kOk));
    });
    EXPECT_EQ(server.rest(), "") << "its connection ends with the client's";
  }
}

// Closed at the very moment of the next request: repeated only where that cannot do something twice.
TEST_F(Http1KeptConnection, RepeatsOnlyIdempotentRequests) {
  for (const std::string method : {"GET", "POST"}) {
    auto& agent = client();
    auto server = kept_connection(agent, 1);
    const std::string again = wire(method + " /again HTTP/1.1|Host: allowed.test|Content-Length: 0||");
    agent.send(again);
    EXPECT_EQ(server.head(), again);
    server.close();  // without an answer
    if (method == "POST") {
      EXPECT_THAT(agent.rest(), StartsWith("HTTP/1.1 502"));
      continue;
    }
    expect_a_fresh_connection(agent, again);
  }
}

}  // namespace
}  // namespace soleroute::gateway::http::h1
