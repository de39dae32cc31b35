// A decision in words: for the 403 page, `gateway explain` and the log.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "policy/decision.h"
#include "policy/policy.h"

namespace soleroute::policy {

// One sentence, plain ASCII, nothing from the request unescaped: "a.test is not in the policy."
[[nodiscard]] std::string reason_sentence(const Policy& policy, const FlowFacts& facts, const Decision& decision);

// Lines to add to the policy that would allow this flow, ready to paste: a heading and one item in one line. Empty when
// no policy would allow it.
[[nodiscard]] std::string how_to_allow(const Policy& policy, const FlowFacts& facts, const Decision& decision);
// The file that the lines belong to: the last layer as the operator named it, printable and at most 200 characters;
// "policy.yaml" where there is none. Of an agent's own policy with " (agent NAME)".
[[nodiscard]] std::string policy_file(const Policy& policy);

// "gateway allow a.test", "gateway allow db.test:5432": what an operator can run meanwhile, in place of
// how_to_allow()'s lines. Empty where no such command says the same.
[[nodiscard]] std::string allow_command(const Policy& policy, const FlowFacts& facts, const Decision& decision);

// The host or address that is refused, in characters that cannot forge anything.
[[nodiscard]] std::string refusal_subject(const FlowFacts& facts);
// "Blocked by proxy policy: <host> (to allow it, add to policy.yaml: domains: [<host>])", without the part in
// parentheses where no policy would allow it. Plain ASCII, one line: some clients show nothing else.
[[nodiscard]] std::string refusal_headline(const Policy& policy, const FlowFacts& facts, const Decision& decision);
// The whole body of the refusal page (docs/refusals.md): the headline, then reason, deciding rule, existing rules of
// that host, lines to add.
[[nodiscard]] std::string refusal_page(const Policy& policy, const FlowFacts& facts, const Decision& decision);
// All of it in one line: "Blocked by proxy policy: <host>. ", the reason and the remedy. Plain ASCII.
[[nodiscard]] std::string refusal_message(const Policy& policy, const FlowFacts& facts, const Decision& decision);
// The same without the host: "a.test is not in the policy. To allow it, add to policy.yaml: domains: [a.test]".
[[nodiscard]] std::string reason_and_remedy(const Policy& policy, const FlowFacts& facts, const Decision& decision);
// The same as a JSON object: problem details (RFC 9457: type, title, status, detail, instance), and error
// (refusal_headline()), host, reason, message (refusal_message()), rule, suggestion.
[[nodiscard]] std::string refusal_json(const Policy& policy, const FlowFacts& facts, const Decision& decision,
                                       int status);

}  // namespace soleroute::policy
