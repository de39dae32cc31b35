# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails if a second path from facts to the log appears: requests, TLS connections, CONNECT and endpoints have one place
each that fills in the facts, and one function for all marks what passed as observed, or writes a decision of theirs.

`--self-test` shows that each rule can fail.
"""

import re
import sys

from source_tree import ROOT, files

FLOWS = ("gateway/flow/", "gateway/http/", "gateway/ingress/")
# (what, pattern, the files that may have it, once each)
RULES = [
    ("fills in FlowFacts", re.compile(r"\bFlowFacts(?: \w+)?(?:;|\{)"),
     ("gateway/http/request_flow.h", "gateway/ingress/tls_facts.h", "gateway/ingress/explicit_proxy.cpp",
      "gateway/ingress/endpoint.cpp", "gateway/ingress/udp_query.cpp")),
    ("fills in a record", re.compile(r"\bDecisionRecord(?: \w+)?(?:;|\{)"),
     ("gateway/http/request_flow.h", "gateway/flow/refusal.cpp", "gateway/flow/recent_denials.h",
      "gateway/flow/recent_denials.cpp")),
    ("makes a dial request", re.compile(r"\bDialRequest(?: \w+)?\{"), ("gateway/flow/connector.cpp",)),
    ("says `observed`", re.compile(r"\.observed = (?!false|record\.observed)"), ()),
    ("counts a decision", re.compile(r"\bcount_decision\("), ()),
    ("hands the log a decision", re.compile(r"\blog_?\.decision\("), ()),
]


def check(path, text):
    if not path.startswith(FLOWS):
        return []
    found = []
    for what, pattern, places in RULES:
        times = len(pattern.findall(text))
        if times > (1 if path in places else 0):
            found.append(f"{path}: {what}: only one place may do this (gateway/audit/decision_record.h, "
                         "gateway/http/request_flow.h)")
    return found


def self_test():
    bad = [
        ("gateway/http/h1/session.cpp", "policy::FlowFacts facts;"),
        ("gateway/ingress/endpoint.cpp", "policy::FlowFacts facts;\npolicy::FlowFacts facts;"),
        ("gateway/ingress/tls.cpp", "policy::FlowFacts{.port = 443}"),
        ("gateway/ingress/tls.cpp", "audit::DecisionRecord mine;"),
        ("gateway/ingress/tls.cpp", "flow::DialRequest request{name, 443};"),
        ("gateway/http/h2/session.cpp", "record.observed = !decision.allowed();"),
        ("gateway/ingress/tls.cpp", "audit::count_decision(context.counters, record);"),
        ("gateway/flow/refusal.cpp", "context.log.decision(record);"),
    ]
    good = [
        ("gateway/ingress/endpoint.cpp", "policy::FlowFacts facts;"),
        ("gateway/flow/recent_denials.cpp", "out.observed = record.observed; next_.decision(record);"),
        ("gateway/dns/responder.cpp", "policy::FlowFacts facts;"),
    ]
    wrong = [case for case in bad if not check(*case)] + [case for case in good if check(*case)]
    for case in wrong:
        print(f"self-test: wrong verdict on {case}")
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    sources = files(".cpp", ".h")
    found = [line for path in sources for line in check(path, (ROOT / path).read_text(encoding="utf-8"))]
    print("\n".join(found) if found else f"{len([path for path in sources if path.startswith(FLOWS)])} files use one pipeline")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
