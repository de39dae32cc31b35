// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/held_requests.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/web_ports.h"
#include "gateway/audit/json_line.h"
#include "gateway/flow/context.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::flow {
namespace {

namespace asio = boost::asio;
using policy::Reason;

constexpr std::chrono::milliseconds kLook{500};  // how soon a client that has left is noticed
constexpr std::size_t kMaxItemPath = 512;

// The log's own object, without its line end.
std::string object_of(const audit::DecisionRecord& record) {
  std::string line = audit::to_json_line(record, std::chrono::system_clock::now());
  line.pop_back();
  return line;
}

std::string held_line(const HeldRequests::Request& request) {
  std::string item;
  audit::append_escaped(item, request.item);
  const auto left = std::chrono::ceil<std::chrono::seconds>(request.until - HeldRequests::Clock::now());
  return fmt::format("{{\"held\":{{\"id\":{},\"item\":\"{}\",\"decision\":{},\"left_s\":{}}}}}\n", request.id, item,
                     object_of(request.record), std::max<std::int64_t>(0, left.count()));
}

// A rule of the host decided: the path is what is missing.
bool is_about_a_path(const audit::DecisionRecord& denied) {
  const bool by_rule = denied.reason == policy::to_string(Reason::kNoRuleMatched) ||
                       denied.reason == policy::to_string(Reason::kSchemeNotPermitted);
  return by_rule && denied.phase == policy::Phase::kHttp && denied.path.starts_with('/') && denied.path != "/" &&
         denied.path.size() <= kMaxItemPath && !denied.scheme.empty();
}

}  // namespace

struct HeldRequests::Waiting {
  explicit Waiting(asio::io_context& on) : worker(on), timer(on) {}
  asio::io_context& worker;
  asio::steady_timer timer;
  Request request;
  Verdict expected = Verdict::kFor;                // guarded by the mutex of HeldRequests, as what follows
  std::optional<Verdict> verdict{};                // settled
  std::shared_ptr<const policy::Policy> policy{};  // with kOnce
};

std::string_view to_string(HeldRequests::Verdict verdict) {
  switch (verdict) {
    case HeldRequests::Verdict::kOnce:
      return "once";
    case HeldRequests::Verdict::kFor:
      return "for";
    case HeldRequests::Verdict::kAlways:
      return "always";
    case HeldRequests::Verdict::kNo:
      return "no";
    case HeldRequests::Verdict::kTimeout:
      return "timeout";
  }
  return "no";
}

std::string item_to_allow(const audit::DecisionRecord& denied) {
  if (denied.host.empty()) return denied.destination;
  const bool web = denied.port == 0 || base::is_web_port(denied.port);
  const auto address = base::IpAddress::parse(denied.host);
  if (address && denied.port != 0) return base::Endpoint{*address, denied.port}.to_string();
  if (web && is_about_a_path(denied)) return fmt::format("{}://{}{}", denied.scheme, denied.host, denied.path);
  // A word alone names a service to `gateway allow`, and a client can send one as its host.
  if (web) return denied.host.contains('.') ? denied.host : fmt::format("https://{}/", denied.host);
  return fmt::format("{}:{}", denied.host, denied.port);
}

bool may_be_asked(const policy::Decision& decision) {
  switch (decision.reason) {
    case Reason::kHostNotAllowed:
    case Reason::kHttpsNotPermitted:
    case Reason::kSchemeNotPermitted:
    case Reason::kNoRuleMatched:
    case Reason::kEndpointNotAllowed:
      return !decision.allowed();
    default:
      return false;
  }
}

std::shared_ptr<HeldRequests::Waiting> HeldRequests::begin(asio::io_context& worker, audit::DecisionRecord record) {
  auto waiting = std::make_shared<Waiting>(worker);
  const auto now = Clock::now();
  Request& request = waiting->request;
  request = {.item = item_to_allow(record), .record = std::move(record), .until = now + patience_};
  const auto& client = request.record.client;
  bool first = true;
  {
    const std::lock_guard lock(mutex_);
    const auto same_client = [&](const auto& one) { return one.second->request.record.client == client; };
    const auto held = static_cast<std::size_t>(std::ranges::count_if(waiting_, same_client));
    if (closed_ || request.item.empty() || waiting_.size() >= kMost || held >= kMostOfOneClient) return nullptr;
    if (is_refused(client, request.item, now)) return nullptr;
    first = std::ranges::none_of(
        waiting_, [&](const auto& one) { return same_client(one) && one.second->request.item == request.item; });
    request.id = ++last_id_;
    waiting_.emplace(request.id, waiting);
  }
  if (listeners_.say) listeners_.say(held_line(request));
  if (first && listeners_.asked) listeners_.asked(request);
  return waiting;
}

bool HeldRequests::is_refused(const base::IpAddress& client, std::string_view item, Clock::time_point now) {
  std::erase_if(refusals_, [now](const Refusal& one) { return one.until <= now; });
  return std::ranges::any_of(refusals_, [&](const Refusal& one) { return one.client == client && one.item == item; });
}

void HeldRequests::remember_refusal(const Request& request) {
  if (refusals_.size() >= kMaxRefusals) refusals_.erase(refusals_.begin());
  refusals_.push_back({request.record.client, request.item, Clock::now() + kRefusalKept});
}

void HeldRequests::say_settled(std::uint64_t id, Verdict verdict) const {
  if (!listeners_.say) return;
  listeners_.say(fmt::format("{{\"settled\":{{\"id\":{},\"verdict\":\"{}\"}}}}\n", id, to_string(verdict)));
}

void HeldRequests::end(const std::shared_ptr<Waiting>& waiting, Verdict verdict) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.erase(waiting->request.id) == 0) return;  // settled, and said so
    if (verdict == Verdict::kFor) verdict = waiting->expected;
  }
  say_settled(waiting->request.id, verdict);
}

std::optional<HeldRequests::Verdict> HeldRequests::verdict_of(const Waiting& waiting) const {
  const std::lock_guard lock(mutex_);
  return waiting.verdict;
}

std::optional<HeldRequests::Request> HeldRequests::find(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return std::nullopt;
  return found->second->request;
}

bool HeldRequests::settle(std::uint64_t id, Verdict verdict, const std::shared_ptr<const policy::Policy>& policy) {
  std::vector<std::shared_ptr<Waiting>> settled;
  {
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) return false;
    const auto named = found->second;
    if (verdict == Verdict::kNo) remember_refusal(named->request);
    std::erase_if(waiting_, [&](const auto& one) {
      const Request& request = one.second->request;
      const bool same = request.item == named->request.item && request.record.client == named->request.record.client;
      const bool meant = one.second == named || (verdict == Verdict::kNo && same);
      if (meant) settled.push_back(one.second);
      return meant;
    });
    for (const auto& one : settled) {
      one->verdict = verdict;
      one->policy = policy;
    }
  }
  for (const auto& one : settled) {
    say_settled(one->request.id, verdict);
    asio::post(one->worker, [one] { one->timer.cancel(); });
  }
  return true;
}

void HeldRequests::expect(std::uint64_t id, Verdict verdict) {
  const std::lock_guard lock(mutex_);
  if (const auto found = waiting_.find(id); found != waiting_.end()) found->second->expected = verdict;
}

std::string HeldRequests::lines() const {
  const std::lock_guard lock(mutex_);
  std::string lines;
  for (const auto& [id, waiting] : waiting_) lines += held_line(waiting->request);
  return lines;
}

std::size_t HeldRequests::size() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

void HeldRequests::close() {
  std::vector<std::uint64_t> ids;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const auto& [id, waiting] : waiting_) ids.push_back(id);
  }
  for (const std::uint64_t id : ids) settle(id, Verdict::kNo);
}

void HeldRequests::wake(const asio::io_context& worker) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, waiting] : waiting_) {
    if (&waiting->worker == &worker) waiting->timer.cancel();
  }
}

namespace {

// Its end, also where its coroutine is destroyed.
class Stay {
 public:
  Stay(HeldRequests& held, std::shared_ptr<HeldRequests::Waiting> waiting)
      : held_(held), waiting_(std::move(waiting)) {}
  Stay(const Stay&) = delete;
  Stay& operator=(const Stay&) = delete;
  ~Stay() { held_.end(waiting_, HeldRequests::Verdict::kTimeout); }

 private:
  HeldRequests& held_;
  std::shared_ptr<HeldRequests::Waiting> waiting_;
};

}  // namespace

asio::awaitable<OperatorAnswer> await_answer(Context& context, audit::DecisionRecord record,
                                             std::function<bool(const policy::Policy&)> passes,
                                             std::function<bool()> has_left) {
  HeldRequests& held = *context.held;
  const base::IpAddress client = record.client;
  record.agent = context.policy_for(client)->agent_name();
  const auto waiting = held.begin(context.io, std::move(record));
  OperatorAnswer answer;
  if (waiting == nullptr) co_return answer;
  const Stay stay(held, waiting);
  for (;;) {
    if (const auto verdict = held.verdict_of(*waiting)) {
      answer.once = *verdict == HeldRequests::Verdict::kOnce;
      if (answer.once && waiting->policy) answer.policy = policy::policy_for(waiting->policy, client);
      co_return answer;
    }
    if (passes(*context.policy_for(client))) {
      answer.policy = context.policy_for(client);
      held.end(waiting, HeldRequests::Verdict::kFor);
      co_return answer;
    }
    const auto now = HeldRequests::Clock::now();
    if (now >= waiting->request.until || has_left()) co_return answer;
    waiting->timer.expires_at(std::min(waiting->request.until, now + kLook));
    co_await waiting->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

bool has_left(net::Stream& stream) {
  if (!stream.is_open()) return true;
  pollfd peer{.fd = stream.native_handle(), .events = POLLRDHUP, .revents = 0};
  return ::poll(&peer, 1, 0) > 0;
}

}  // namespace soleroute::gateway::flow
