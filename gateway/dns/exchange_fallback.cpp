// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/dns/await.h"
#include "gateway/dns/exchange.h"

namespace soleroute::gateway::dns {
namespace {

namespace asio = boost::asio;
using sniffer::DnsAnswer;
using sniffer::DnsRcode;
using sniffer::DnsResponse;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using Traits = std::shared_ptr<UpstreamTraits>;

// A server that has not shown that it knows EDNS has this part of the time to show it.
constexpr int kEdnsShareOfTen = 4;
// Further questions to a server that loses the letter case, until two answers agree.
constexpr int kMoreAnswers = 3;
constexpr milliseconds kProbeTime{2000};
// A forger's answer comes before the true one. Only of servers that have not shown that they lose the letter case.
constexpr milliseconds kCasePatience{100};
constexpr std::string_view kNoTcp = "does not answer over TCP: long answers are cut to what fits";

milliseconds left_until(Clock::time_point deadline) {
  return std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
}

// May the same question without EDNS have a better end?
bool edns_may_be_why(const Heard& heard, bool speaks_edns) {
  if (!heard.fault) return false;
  if (heard.fault == ExchangeFault::kNoEdns || heard.fault == ExchangeFault::kMalformed) return true;
  if (heard.rcode == DnsRcode::kServFail) return true;
  return !speaks_edns && (heard.fault == ExchangeFault::kTimedOut || !is_usable(heard.rcode));
}

// Did the server say something about the question?
bool is_answer(const Heard& heard) {
  if (!heard.fault) return true;
  return (heard.fault == ExchangeFault::kTruncated || heard.fault == ExchangeFault::kCaseLost) &&
         is_usable(heard.rcode);
}

std::string fault_at_edns(const Heard& heard) {
  if (heard.fault == ExchangeFault::kTimedOut) return "does not answer queries with EDNS: asked without it";
  if (heard.fault == ExchangeFault::kMalformed) return "sends malformed answers to EDNS: asked without it";
  return "answers " + sniffer::to_string(heard.rcode) + " to EDNS: asked without it";
}

// A slow server and a failing one look like one that fails at EDNS: asked once more, now that it knows the answer.
asio::awaitable<void> confirm_edns_fault(asio::io_context& io, ExchangeRequest request, Traits traits,
                                         std::string fault) {
  request.edns = true;
  request.timeout = kProbeTime;
  const auto server = request.server;
  const auto heard = co_await exchange_udp(io, std::move(request));
  if (is_answer(heard)) {
    traits->edns_worked(server);
  } else {
    traits->learn(server, Lack::kEdns, fault);
  }
}

void remember_edns_fault(asio::io_context& io, const ExchangeRequest& request, const Traits& traits,
                         const Heard& with_edns) {
  auto fault = fault_at_edns(with_edns);
  if (with_edns.fault == ExchangeFault::kNoEdns) return traits->learn(request.server, Lack::kEdns, fault);
  if (!traits->assume(request.server, Lack::kEdns)) return;
  auto confirming = confirm_edns_fault(io, request, traits, std::move(fault));
  asio::co_spawn(io, std::move(confirming), kIgnore);
}

asio::awaitable<Heard> over_udp(asio::io_context& io, ExchangeRequest request, Traits traits) {
  const auto deadline = Clock::now() + request.timeout;
  if (!request.edns || traits->lacks(request.server, Lack::kEdns)) {
    request.edns = false;
    co_return co_await exchange_udp(io, std::move(request));
  }
  const bool speaks_edns = traits->speaks_edns(request.server);
  ExchangeRequest first = request;
  if (!speaks_edns) first.timeout = request.timeout * kEdnsShareOfTen / 10;
  auto heard = co_await exchange_udp(io, first);
  if (is_answer(heard)) traits->edns_worked(request.server);
  if (!edns_may_be_why(heard, speaks_edns)) co_return heard;
  request.edns = false;
  request.timeout = left_until(deadline);
  if (request.timeout <= milliseconds::zero()) co_return heard;
  auto plain = co_await exchange_udp(io, request);
  if (is_answer(plain)) remember_edns_fault(io, request, traits, heard);
  // What was said to either is worth more than silence to the other.
  if (plain.fault == ExchangeFault::kTimedOut && heard.fault != ExchangeFault::kNoEdns) co_return heard;
  co_return plain;
}

bool has_records(const DnsResponse& response) {
  const auto answer = sniffer::answer_of(response);
  return answer.complete() && answer.value().found;
}

// What both say, for a question whose letter case neither repeats; nothing if they disagree. A forger who sees no
// question would have to guess port and id of both.
std::optional<DnsResponse> common_to(const DnsResponse& one, const DnsResponse& other) {
  if (one.rcode != other.rcode) return std::nullopt;
  if (!is_usable(one.rcode)) return other;
  const auto first = sniffer::answer_of(one);
  const auto second = sniffer::answer_of(other);
  if (!first.complete() || !second.complete()) return std::nullopt;
  const DnsAnswer& mine = first.value();
  const DnsAnswer& its = second.value();
  if (!mine.canonical.same_ignoring_case(its.canonical) || mine.found != its.found) return std::nullopt;
  if (mine.services != its.services) return std::nullopt;
  DnsResponse both = other;
  std::erase_if(both.answers, [&](const sniffer::DnsRecord& record) {
    return record.address && std::ranges::find(mine.addresses, *record.address) == mine.addresses.end();
  });
  const bool lost_all = !its.addresses.empty() && !has_records(both);
  if (lost_all || mine.addresses.empty() != its.addresses.empty()) return std::nullopt;
  return both;
}

// Of a truncated response, what fits is better than nothing.
ExchangeResult what_fits(DnsResponse response, ExchangeFault fault) {
  if (!is_usable(response.rcode)) return std::unexpected(ExchangeFault::kServerFault);
  if (response.truncated && !has_records(response)) return std::unexpected(fault);
  return response;
}

asio::awaitable<ExchangeResult> until_two_agree(asio::io_context& io, ExchangeRequest request, DnsResponse first,
                                                Traits traits) {
  const auto deadline = Clock::now() + request.timeout;
  request.edns = request.edns && !traits->lacks(request.server, Lack::kEdns);
  std::vector<DnsResponse> answers{std::move(first)};
  for (int i = 0; i < kMoreAnswers; ++i) {
    request.timeout = left_until(deadline);
    if (request.timeout <= milliseconds::zero()) break;
    auto heard = co_await exchange_udp(io, request);
    if (!heard.response) co_return std::unexpected(ExchangeFault::kCaseLost);
    if (heard.fault != ExchangeFault::kCaseLost) co_return what_fits(*std::move(heard.response), *heard.fault);
    for (const auto& answer : answers) {
      auto both = common_to(answer, *heard.response);
      if (!both) continue;
      traits->learn(request.server, Lack::kLetterCase,
                    "changes the letter case of questions: answers are taken when two agree");
      co_return what_fits(*std::move(both), ExchangeFault::kTruncated);
    }
    answers.push_back(*std::move(heard.response));
  }
  co_return std::unexpected(ExchangeFault::kCaseLost);
}

bool tcp_may_help(ExchangeFault fault) {
  return fault == ExchangeFault::kTruncated || fault == ExchangeFault::kCaseLost ||
         fault == ExchangeFault::kForgeries || fault == ExchangeFault::kMalformed || fault == ExchangeFault::kNoEdns;
}

bool tcp_is_missing(ExchangeFault fault) {
  return fault == ExchangeFault::kUnreachable || fault == ExchangeFault::kTimedOut;
}

void note_neatness(const ExchangeRequest& request, const Traits& traits, const DnsResponse& response) {
  if (!response.miscounted && !response.left_out) return;
  traits->learn(request.server, Lack::kNeatness,
                response.miscounted ? "sends bytes after the message, or a wrong count of records: ignored"
                                    : "sends records that cannot be read: ignored");
}

// TCP, where the server has it and that can help. Half of the time is for what can be done without.
asio::awaitable<ExchangeResult> over_tcp(asio::io_context& io, ExchangeRequest request, Traits traits, Heard heard) {
  const ExchangeFault fault = *heard.fault;
  if (!tcp_may_help(fault)) co_return std::unexpected(fault);
  // It may have been one name that TCP failed for: where nothing else is left, it is tried again.
  const bool can_do_without = heard.response && (fault != ExchangeFault::kTruncated || has_records(*heard.response));
  if (can_do_without && traits->lacks(request.server, Lack::kTcp)) co_return std::unexpected(fault);
  if (heard.response) request.timeout /= 2;
  if (request.timeout <= milliseconds::zero()) co_return std::unexpected(fault);
  auto result = co_await exchange_tcp(io, request);
  if (!result && tcp_is_missing(result.error()) && heard.response) {
    traits->learn(request.server, Lack::kTcp, kNoTcp);
  }
  if (result && fault == ExchangeFault::kCaseLost) {
    traits->learn(request.server, Lack::kLetterCase,
                  "changes the letter case of questions: answers are confirmed over TCP");
  }
  if (!result && result.error() != ExchangeFault::kServerFault) co_return std::unexpected(fault);
  co_return result;
}

}  // namespace

asio::awaitable<ExchangeResult> exchange(asio::io_context& io, ExchangeRequest request, Traits traits) {
  const auto deadline = Clock::now() + request.timeout;
  if (!traits->lacks(request.server, Lack::kLetterCase)) request.case_patience = kCasePatience;
  auto heard = co_await over_udp(io, request, traits);
  if (!heard.fault) {
    note_neatness(request, traits, *heard.response);
    co_return *std::move(heard.response);
  }
  request.timeout = left_until(deadline);
  auto confirmed = co_await over_tcp(io, request, traits, heard);
  if (confirmed || !heard.response || confirmed.error() != *heard.fault) co_return confirmed;
  if (heard.fault == ExchangeFault::kTruncated) co_return what_fits(*std::move(heard.response), *heard.fault);
  if (heard.fault != ExchangeFault::kCaseLost) co_return confirmed;
  request.timeout = left_until(deadline);
  co_return co_await until_two_agree(io, std::move(request), *std::move(heard.response), traits);
}

asio::awaitable<bool> examine(asio::io_context& io, ExchangeRequest request, Traits traits) {
  const auto over_all = co_await exchange(io, request, traits);
  if (!over_all && tcp_is_missing(over_all.error())) co_return false;
  const auto tcp = co_await exchange_tcp(io, request);
  if (!tcp && tcp_is_missing(tcp.error())) traits->learn(request.server, Lack::kTcp, kNoTcp);
  co_return true;
}

}  // namespace soleroute::gateway::dns
