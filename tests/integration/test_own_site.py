"""gateway.internal: what the agent can ask the gateway about itself, and that nothing else can stand in its place."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import json
import threading

import pytest

from lab import addresses as at
from lab import web
from lab.case import Case, Live

threat = pytest.mark.threat


def get(lab, path, **options):
    return web.http(lab.agent, "gateway.internal", path, **options)


def denials(lab):
    response = get(lab, "/denials")
    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    return json.loads(response.body)


def test_it_says_what_it_is_and_what_is_allowed(case, lab):
    assert web.resolve(lab.agent, "gateway.internal").addresses() == [at.GW]
    home = get(lab, "/")
    assert home.status == 200 and b"restricted by an allowlist" in home.body and b"*.wild.test" in home.body
    assert b"its subdomains" in get(lab, "/policy").body
    allowed = json.loads(get(lab, "/policy.json").body)
    assert [d["host"] for d in allowed["domains"]] == ["allowed.test", "*.wild.test", "cdn-allowed.test"]
    assert json.loads(get(lab, "/policy", headers=["Accept: application/json"]).body) == allowed
    case.no_query("gateway.internal")
    case.no_syn()


@threat("T110")
def test_it_gives_the_certificate_and_no_key(case, lab, router):
    pem = get(lab, "/ca.pem")
    assert pem.status == 200 and pem.body.startswith(b"-----BEGIN CERTIFICATE-----") and b"PRIVATE" not in pem.body
    authority = router.folder / "ca" / "mitmproxy-ca-cert.pem"
    assert pem.body.strip() == authority.read_bytes().strip()
    over_tls = web.https(lab.agent, "gateway.internal", authority, "/policy")
    assert over_tls.status == 200 and b"allowed.test" in over_tls.body
    with web.tls(lab.agent, "gateway.internal", authority, alpn=()) as link:
        link.sendall(web.request_bytes("gateway.internal", "/policy"))
        assert web.Reader(link).response().body == over_tls.body, "the same to a client that offers no ALPN"
    case.no_query("gateway.internal")
    case.no_syn()


@threat("T131")
def test_it_reflects_nothing_and_can_only_be_read(case, lab):
    for path in ("/<script>", "/denials/", "/../policy", "//", "/metrics", "/health", "/reload", "/policy%00"):
        page = get(lab, path)
        assert page.status == 404 and b"script" not in page.body, path
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        page = get(lab, "/policy", method=method, body=b"domains: [evil.test]")
        assert (page.status, page.headers["allow"]) == (405, "GET, HEAD"), method
    page = get(lab, "/")
    assert page.headers["cache-control"] == "no-store" and page.headers["x-content-type-options"] == "nosniff"
    assert not any(name.startswith("access-control") for name in page.headers)
    case.no_syn()


def test_it_remembers_refusals_of_every_phase(case, lab):
    name = f"{case.canary}.evil.test"
    web.resolve(lab.agent, name)
    web.http(lab.agent, name, "/page?token=secret", address=at.EV)
    web.talk(lab.agent, at.EV, 443, b"\x16\x03\x01\x00\x02\x00\x00")
    web.talk(lab.agent, at.EV, 9999, b"x")
    web.talk(lab.agent, at.GW, 8080, f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
    case.log.wait_for(case.log_start, phase="packet", port=9999)
    case.log.wait_for(case.log_start, phase="connect", host=name)
    told = denials(lab)
    assert told["client"] == at.AG
    mine = [d for d in told["denials"] if d.get("host") == name or d.get("destination", "").startswith(at.EV)]
    assert {d["phase"] for d in mine} == {"dns", "http", "tls", "packet", "connect"}, mine
    assert all(d["action"] == "blocked" for d in mine)
    assert f"- {name}" in told["suggestion"]
    assert "secret" not in json.dumps(told)
    case.no_query()


def test_a_neighbour_is_not_told(case, lab):
    """What this agent was refused is this agent's."""
    web.http(lab.agent, f"{case.canary}.evil.test", "/", address=at.EV)
    assert case.canary in json.dumps(denials(lab))
    with_proxy = web.talk(lab.gw, at.GW, 8080, b"GET http://gateway.internal/denials HTTP/1.1\r\nHost: gateway.internal\r\nConnection: close\r\n\r\n")[0]
    assert with_proxy.startswith(b"HTTP/1.1 200") and case.canary.encode() not in with_proxy


def test_no_policy_can_shadow_or_remove_it(lab, make_gateway):
    lab.dns.set("gateway.internal", a=[at.EV])
    for policy in ("domains: [gateway.internal]\n", "domains: []\n", "mode: observe\ndomains: [{host: gateway.internal, addresses: [45.33.32.0/24]}]\n"):
        one = make_gateway(policy=policy).start()
        case = Case(lab, one.log)
        assert b"restricted by an allowlist" in get(lab, "/").body, policy
        status = web.talk(lab.agent, at.GW, 8080, b"CONNECT gateway.internal:443 HTTP/1.1\r\nHost: gateway.internal:443\r\n\r\n" + b"\x00" * 10)[0]
        assert not status.startswith(b"HTTP/1.1 200") or b"\x15" in status
        case.no_syn()
        case.no_query("gateway.internal")
        one.stop()
        lab.reset_gateway_namespace()
    lab.dns.forget("gateway.internal")


def test_a_denied_host_that_is_optional_for_a_service_says_so_everywhere(lab, make_gateway):
    one = make_gateway(policy="services: [gemini]\ndomains: [allowed.test]\n").start()
    page = web.http(lab.agent, "play.googleapis.com", "/log", address=at.EV)
    said = "optional for gemini (telemetry): works without"
    assert page.status == 403 and f" It is {said}.".encode() in page.body, page.body
    assert b"services:\n  - {name: gemini, optional: [telemetry]}\n" in page.body
    assert one.log.wait_for(0, phase="http", host="play.googleapis.com")["detail"] == said
    told = json.loads(web.http(lab.agent, "gateway.internal", "/denials", at.GW).body)
    assert told["denials"][0]["detail"] == said
    assert told["suggestion"] == "services:\n  - {name: gemini, optional: [telemetry]}\n"
    assert b"gemini telemetry: play.googleapis.com" in web.http(lab.agent, "gateway.internal", "/policy", at.GW).body
    asked = web.http(lab.agent, "play.googleapis.com", "/log", address=at.EV, headers=["Accept: application/json"])
    assert json.loads(asked.body)["message"].startswith("Blocked by proxy policy: play.googleapis.com. "), asked.body
    other = web.http(lab.agent, "evil.test", "/log", address=at.EV)
    assert other.status == 403 and b"optional" not in other.body, "the control"


def ask_and_hang_up(lab, path, stop):
    """Eight connections of 16 requests each, none of whose answers is read; again and again."""
    requests = web.request_bytes("gateway.internal", path) * 16
    while not stop.is_set():
        with contextlib.ExitStack() as links, contextlib.suppress(OSError):
            for _ in range(8):
                links.enter_context(web.connected(lab.agent, at.GW, 80)).sendall(requests)


@threat("T190")
def test_asking_for_the_policy_without_end_delays_nobody(lab, make_gateway):
    """T190: an answer of gateway.internal costs the worker its sending, whatever the size of the policy."""
    names = "".join(f"  - host{i}.wild.test\n" for i in range(10000))
    one = make_gateway(policy="domains:\n  - allowed.test\n" + names, arguments=("--workers", "1")).start()
    assert get(lab, "/policy.json").body.count(b'"host"') == 10001, "the control: all of it is told"
    stop = threading.Event()
    flood = [threading.Thread(target=ask_and_hang_up, args=(lab, path, stop)) for path in ("/policy.json", "/denials")]
    with Live(lab, lab.neighbour, p95=0.3) as neighbour:
        for thread in flood:
            thread.start()
        try:
            threading.Event().wait(2)
        finally:
            stop.set()
            for thread in flood:
                thread.join()
    assert len(neighbour.seconds) > 10 and one.process.poll() is None


@threat("T190")
def test_clients_that_read_nothing_share_one_copy_of_the_policy(lab, make_gateway):
    """T190: forty unread answers of 1.4 MB each are one text in memory."""
    names = "".join(f"  - host{i}.wild.test\n" for i in range(30000))
    one = make_gateway(policy="domains:\n  - allowed.test\n" + names).start()
    size = len(get(lab, "/policy.json").body)
    assert size > 1 << 20
    before = one.resident_bytes()
    with contextlib.ExitStack() as links:
        held = [links.enter_context(web.connected(lab.agent, at.GW, 80)) for _ in range(40)]
        for link in held:
            link.sendall(web.request_bytes("gateway.internal", "/policy.json"))
            link.recv(1)
        assert one.resident_bytes() - before < 20 * size
        assert len(web.Reader(held[0]).exactly(size)) == size, "the control: who reads gets it"
