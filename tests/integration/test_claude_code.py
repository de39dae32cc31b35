"""An unmodified Claude Code, inspected under a path rule and passed through: it streams a reply from an origin that answers as Anthropic's."""
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest

from lab import addresses as at
from lab import agent_packages, anthropic, inspection, web

threat = pytest.mark.threat

CONTROL = "domains:\n  - allowed.test\n"
PASSED = CONTROL + "  - {host: api.anthropic.com, tls: passthrough}\n"
RULE = """\
  - host: api.anthropic.com
    rules:
      - {schemes: [https], methods: [POST], path: {exact: /v1/messages}}
"""
RULED = CONTROL + RULE
OTHERWISE = CONTROL + RULE.replace("messages", "complete")
REPLY = "".join(anthropic.PIECES)


@pytest.fixture(scope="module")
def program():
    if reason := agent_packages.unavailable():
        pytest.skip(reason)
    return anthropic.install()


@pytest.fixture(scope="module")
def api(lab):
    lab.dns.set(anthropic.HOST, a=[at.SPARE])
    one = anthropic.Api(lab.up, at.SPARE, lab.ca.issue(anthropic.HOST))
    yield one
    one.close()


@pytest.fixture(scope="module")
def router(lab, gateway_binary, api, tmp_path_factory):
    del gateway_binary, api
    yield from inspection.inspecting_router(lab, tmp_path_factory, RULED)


@pytest.fixture
def claude(lab, program, tmp_path):
    """claude(authority) starts one that trusts that authority beside the usual ones."""
    started = []

    def start(authority):
        started.append(anthropic.Claude(lab, program, tmp_path, authority))
        return started[-1]

    yield start
    for one in started:
        one.close()


def streams_a_reply(one, api):
    """Each piece is there before the origin sends the next: nobody on the way waits for more."""
    for piece in anthropic.PIECES:
        one.piece(piece)
        api.release()
    result = one.result()
    assert (result["is_error"], result["result"]) == (False, REPLY), result


@threat("C07")
def test_it_streams_a_reply_through_inspection_under_a_path_rule(case, router, api, claude):
    router.reload(RULED)
    mark = api.origin.mark()
    streams_a_reply(claude(router.ca_certificate), api)
    record = case.record(action="allowed", host=anthropic.HOST, path="/v1/messages")
    assert (record["method"], record["status"], record["scheme"]) == ("POST", 200, "https")
    assert record["rule"].endswith("policy.yaml:5")
    # What else it asks for by itself is refused, request by request, and does not keep it from its work.
    refused = case.record(action="blocked", host=anthropic.HOST, path=lambda path: path and path.startswith("/api/"))
    assert (refused["reason"], refused["status"]) == ("no_rule_matched", 403)
    assert {request.target for request in api.origin.since(mark)} == {"/v1/messages?beta=true"}


@threat("C07")
def test_it_streams_a_reply_through_pass_through_with_the_origins_own_certificate(case, lab, router, api, claude):
    router.reload(PASSED)
    streams_a_reply(claude(lab.ca.certificate), api)  # which is all it trusts for this: nobody has opened TLS
    record = case.record(action="allowed", host=anthropic.HOST, phase="tls")
    assert record["rule"].endswith("policy.yaml:3")
    assert not router.log.find(case.log_start, type="decision", host=anthropic.HOST, phase="http")


@threat("C01")
def test_it_is_told_of_a_path_that_the_rule_does_not_allow(case, router, api, claude):
    router.reload(OTHERWISE)
    mark = api.origin.mark()
    result = claude(router.ca_certificate).result()
    assert (result["is_error"], result["api_error_status"]) == (True, 403), result
    assert "no rule matches this method and path" in result["result"]
    record = case.record(action="blocked", host=anthropic.HOST, path="/v1/messages")
    assert (record["reason"], record["status"], record["method"]) == ("no_rule_matched", 403, "POST")
    assert not api.origin.since(mark)


@threat("C01")
def test_it_is_told_of_a_host_that_is_not_listed(case, router, api, claude):
    router.reload(CONTROL)
    mark = api.origin.mark()
    result = claude(router.ca_certificate).result()
    assert (result["is_error"], result["api_error_status"]) == (True, 403), result
    assert "is not in the policy" in result["result"]
    record = case.record(action="blocked", host=anthropic.HOST, path="/v1/messages")
    assert (record["reason"], record["status"]) == ("host_not_allowed", 403)
    assert not api.origin.since(mark)
    case.no_query(anthropic.HOST)


@threat("C01")
@pytest.mark.parametrize(("policy", "reason"), [(RULED, "no_rule_matched"), (PASSED, "host_not_allowed")], ids=["rule", "passed"])
def test_beside_it_other_paths_and_hosts_are_refused(case, lab, router, policy, reason):
    """Under the very policies under which it works: another path of its host, or a host beside it."""
    router.reload(policy)
    host, path = (anthropic.HOST, "/v1/files") if policy == RULED else ("console.anthropic.com", "/")
    address = at.SPARE if policy == RULED else at.GW
    response = web.https(lab.agent, host, router.ca_certificate, path, address=address)
    assert response.status == 403 and response.first_line.startswith(f"Blocked by proxy policy: {host}")
    record = case.record(action="blocked", host=host, path=path)
    assert (record["reason"], record["status"]) == (reason, 403)
    case.no_query("console.anthropic.com")
