// The control socket: one JSON object asked, one answered, a line each, over a Unix socket that the agent cannot reach.
// Used on the controlling thread's event loop.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "gateway/audit/decision_feed.h"
#include "gateway/host/policy_mounts.h"
#include "gateway/serve/control_question.h"

namespace soleroute::gateway::serve {

// The policy that holds after a reload.
struct PolicyInForce {
  std::uint64_t version = 1;  // counted from the start of the program
  std::string summary;
  std::vector<std::size_t> behind{};              // workers, from 1, that still use the policy before this one
  std::optional<host::MountFault> mount_fault{};  // why this may not be the policy that was meant
};

// {"ask":"status"} is answered with:
//   {"health":"starting|healthy|degraded|stopping","version":…,"uptime_s":…,"topology":…,
//    "policy":{"files":[…],"hosts":n,"version":n,"read":{"s_ago":n,"why":"start|request|change"},"stale":bool,
//             "behind":[n,…]},
//    "workers":{"count":n,"stalled":[n,…]},"limits":{"descriptors":n,"connections":n},
//    "log":{"written":bool,"detail":"why not"},"rules":{"intended":"closed|open","differences":[…]},
//    "counters":{name:n,…}}
// {"ask":"reload"} reads the policy again, as SIGHUP does, and is answered when it holds or was refused:
//   {"accepted":true,"version":n,"detail":"what holds now"} or {"accepted":false,"detail":"what is wrong"}, with
//   "system":true if it is not the policy.
//   With "warning":"…" a policy file may not be the one outside; with "replaced":true it is not.
//   With "behind":[n,…] the workers that have not taken the policy within two seconds.
// {"ask":"allow","host":"api.example.com","for_s":900,"agent":"reviewer","save":true} adds an entry to the policy in
// force, {"ask":"deny",…} one that denies. "host" is an item as `--allow` takes it. Without "for_s" the entry lasts
// until the gateway stops; with "save" it is written to the policy file. The answer comes when it is in force or was
// refused: {"accepted":true,"version":n,"detail":"…"}, with "saved":"FILE", with "warning":"…" where something is not
// as it was asked, or {"accepted":false,"detail":"…"}.
// {"ask":"allowed"}: {"entries":[{"action":"allow|deny","host":…,"agent":…,"left_s":n},…]}; "agent" and "left_s" only
// where there is one.
// {"ask":"forget","host":…,"agent":…} removes such an entry, and is answered as allow is.
// {"ask":"answer","id":7,"verdict":"once|for|always|no","for_s":900} answers a held request, and is answered as allow.
// {"ask":"watch"} is answered with lines until the client closes: the latest decisions, then each as it is made, as
//   {"decision":{…the log's own object…}}; {"held":{"id":7,"decision":{…},"left_s":58}} for a request that waits for an
//   answer; {"settled":{"id":7,"verdict":"once|for|always|no|timeout"}}; {"lost":n} where the client reads too slowly.
// Anything else, and anybody but root and the user of the gateway: {"error":"…"}. One question a connection at a time;
// a line is at most 4 KiB. At most kMaxClients connections at once, 5 s without a question; one more ends the oldest
// that asks nothing.
class ControlSocket {
 public:
  static constexpr std::size_t kMaxClients = 16;
  using Reply = std::function<void(std::string)>;
  // Replies now or later, once, on the same thread: with a JSON object, "" if the question is unknown.
  using Answer = std::function<void(const ControlQuestion& question, Reply reply)>;
  // Of "watch"; null: too many read already.
  using Watch = std::function<std::unique_ptr<audit::DecisionFeed::Reader>(audit::DecisionFeed::News news)>;

  // Binds `path` with mode 0600, in a directory made with 0700 if it is missing. A socket that nobody answers on any
  // more is replaced; one that is answered is an error: two gateways would fight over the rules.
  // kOfThisNetwork: a process of another network namespace, as a jail's, is refused even as the same user.
  enum class Peers : std::uint8_t { kOfTheUser, kOfThisNetwork };
  // `watch` may be empty: then there is nothing to watch.
  [[nodiscard]] static base::Result<std::unique_ptr<ControlSocket>> open(boost::asio::io_context& io, std::string path,
                                                                         Answer answer, Watch watch = {},
                                                                         Peers peers = Peers::kOfTheUser);
  ~ControlSocket();  // removes the path
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

 private:
  struct State;
  explicit ControlSocket(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// An error if a gateway or guard answers on this control socket: asked before a rule is touched.
[[nodiscard]] base::Status check_alone(const std::string& control_socket);

// In the log behind what is wrong with a policy.
inline constexpr const char* kNotReloaded = "; not reloaded, the previous policy is still active";

// The same for one that was accepted: "policy.yaml: 9 hosts, revision 2", and a warning.
[[nodiscard]] std::string reload_detail(const PolicyInForce& in_force);

// The answer to "reload".
[[nodiscard]] std::string reload_answer(const base::Result<PolicyInForce>& reloaded);

}  // namespace soleroute::gateway::serve
