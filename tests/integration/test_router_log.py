"""The log: no line can be forged, no terminal driven, no secret written."""
# SPDX-License-Identifier: GPL-3.0-or-later

import datetime
import json
import signal

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import tls_wire, wait, web
from lab.case import Case

threat = pytest.mark.threat

HOSTILE = {
    "a line": b'\r\n{"type":"decision","action":"allowed","host":"evil.test"}', "a quote": b'","action":"allowed', "a terminal title": b"\x1b]0;pwned\x07\x1b[2J",
    "C1": b"\x9b31m", "U+2028": "\u2028".encode(), "broken UTF-8": b"\xff\xfe", "U+202E": "\u202e".encode(), "64 KiB": b"A" * 65000, "backspaces": b"\b" * 20,
    "NUL": b"\0", "backslash": b"\\", "DEL": b"\x7f",
}  # fmt: skip


def well_formed(lines):
    """LOG1's form: JSON, and no byte that moves a cursor or ends a line."""
    for line in lines:
        record = json.loads(line)
        assert not [b for b in line if b < 0x20 or b == 0x7F], line[:200]
        text = line.decode()
        assert not [c for c in text if 0x80 <= ord(c) < 0xA0 or c in "\u2028\u2029\u202e\ufeff"], line[:200]
        assert {"ts", "type"} <= record.keys()
        assert len(line) < 20000
        stamp = datetime.datetime.strptime(record["ts"], "%Y-%m-%dT%H:%M:%S.%fZ")
        assert stamp.year >= 2020
        if record["type"] == "decision":
            assert {"phase", "action", "reason"} <= record.keys(), record
            assert record["action"] in ("allowed", "blocked")


@threat("T129")
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_bytes_in_every_field_make_no_other_record(case, lab, router, what):
    text = HOSTILE[what]
    start = len(router.log.lines)
    allowed_before = len(router.log.find(case.log_start, action="allowed"))
    requests = [
        b"GET / HTTP/1.1\r\nHost: " + text + b".denied.test\r\n\r\n",
        b"GET /" + text + b" HTTP/1.1\r\nHost: denied.test\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: denied.test\r\nUser-Agent: " + text + b"\r\nConnection: close\r\n\r\n",
        text + b" / HTTP/1.1\r\nHost: denied.test\r\nConnection: close\r\n\r\n",
    ]
    for request in requests:
        web.talk(lab.agent, at.EV, 80, request, finish=True)
    if len(text) < 60000:
        web.talk(lab.agent, at.EV, 443, tls_wire.client_hello(text + b".denied.test"), finish=True)
    label = text[:60]
    with lab.agent.entered():
        dns.ask(at.GW, dns.question(bytes([len(label)]) + label + b"\x06denied\x04test\x00"), timeout=0.5)
    case.control()
    assert not router.log.broken, router.log.broken[:1]
    well_formed(router.log.lines[start:])
    evil = [r for r in router.log.find(case.log_start, action="allowed")[allowed_before:] if r.get("host") != "allowed.test"]
    assert not evil, evil
    case.no_packet()


@threat("T129")
def test_over_long_values_are_cut_and_say_so(case, lab, router):
    web.talk(lab.agent, at.EV, 80, b"GET /" + b"p" * 8000 + b" HTTP/1.1\r\nHost: denied.test\r\nConnection: close\r\n\r\n")
    record = case.record(phase="http", host="denied.test", path=lambda p: p and p.startswith("/ppp"))
    assert record["truncated"] is True
    assert len(record["path"]) < 4096
    del router


@threat("T132")
def test_secrets_are_not_in_the_log_the_status_or_the_page(case, lab, router):
    case.canary_may_leave = True
    secret = case.canary
    headers = [f"Authorization: Bearer {secret}", f"Cookie: s={secret}", f"Proxy-Authorization: Basic {secret}", f"X-Api-Key: {secret}"]
    for host, address in (("allowed.test", at.AL), ("denied.test", at.EV)):
        response = web.http(lab.agent, host, f"/path?token={secret}", address, "POST", headers, secret.encode())
        assert secret.encode() not in response.body
    web.talk(lab.agent, at.EV, 80, f"GET http://user:{secret}@denied.test/ HTTP/1.1\r\nHost: denied.test\r\n\r\n".encode(), finish=True)
    web.talk(lab.agent, at.EV, 80, f"GET / HTTP/1.1\r\nHost: denied.test\r\nBroken {secret}\r\n\r\n".encode(), finish=True)
    case.control()
    start = [line for line in router.log.lines if secret.encode() in line]
    assert not start, start[:2]
    assert secret not in json.dumps(router.status())
    assert secret.encode() not in router.errors
    assert case.record(phase="http", host="allowed.test", path="/path"), "the path without its query"


@threat("T132")
def test_a_crash_writes_no_secret(lab, make_gateway, tmp_path):
    one = make_gateway().start()
    case = Case(lab, one.log)
    case.canary_may_leave = True
    web.http(lab.agent, "allowed.test", "/x", headers=[f"Authorization: Bearer {case.canary}"])
    one.send_signal(signal.SIGABRT)
    one.process.wait(10)
    one.log.join()
    assert not [line for line in one.log.lines if case.canary.encode() in line]
    assert case.canary.encode() not in one.errors
    assert not list(tmp_path.rglob("core*"))


@threat("T129")
def test_the_debug_log_is_as_well_formed(lab, make_gateway):
    one = make_gateway(arguments=["--log", "debug"]).start()
    case = Case(lab, one.log)
    for text in HOSTILE.values():
        web.talk(lab.agent, at.EV, 80, b"GET / HTTP/1.1\r\nHost: " + text[:500] + b"\r\nAuthorization: " + case.canary.encode() + b"\r\n\r\n", finish=True)
    case.control()
    assert not one.log.broken
    well_formed(one.log.lines)
    assert not [line for line in one.log.lines if case.canary.encode() in line]


def test_quiet_logs_denials_only(lab, make_gateway):
    one = make_gateway(arguments=["--log", "quiet"]).start()
    case = Case(lab, one.log)
    web.http(lab.agent, "denied.test", f"/{case.canary}", address=at.EV)
    case.record(phase="http", action="blocked")
    case.control()
    web.http(lab.agent, "denied.test", "/after", address=at.EV)
    one.log.wait_for(0, phase="http", path="/after")
    assert not one.log.find(case.log_start, type="decision", action="allowed")


def test_an_allowed_request_is_logged_with_what_is_known(case, lab):
    response = web.http(lab.agent, "allowed.test", "/echo?x=1", method="POST", body=b"hello")
    assert response.status == 200
    record = case.record(phase="http", action="allowed", path="/echo")
    assert (record["client"], record["host"], record["scheme"], record["port"], record["method"]) == (at.AG, "allowed.test", "http", 80, "POST")
    assert record["matched_host"] == "allowed.test"
    assert record["rule"].endswith("policy.yaml:2")
    assert record["status"] == 200
    assert record["duration_ms"] >= 0
    dns_record = case.record(phase="dns", action="allowed", host="allowed.test")
    assert dns_record["client"] == at.AG


def test_a_thousand_identical_denials_are_counted_and_not_all_written(case, lab, user_agent, router):
    """A loop in the agent does not fill the disk."""
    for _ in range(300):
        user_agent.call("udp", at.EV, 9999, case.canary.encode(), wait=0.001)
    case.control()
    written = router.log.find(case.log_start, phase="packet", port=9999)
    assert 1 <= len(written) <= 300
    case.no_packet()


def test_counters_grow_with_decisions(case, lab, router):
    before = router.status()["counters"]
    web.http(lab.agent, "allowed.test")
    web.http(lab.agent, "denied.test", address=at.EV)
    after = router.status()["counters"]
    assert after["decisions_denied"] > before["decisions_denied"]
    assert after["decisions_allowed"] > before["decisions_allowed"]
    del case


def test_metrics_are_served_where_the_operator_says_and_not_to_the_agent(lab, make_gateway):
    one = make_gateway(arguments=["--metrics", "127.0.0.1:9464"]).start()
    case = Case(lab, one.log)
    case.control()
    page = web.http(lab.gw, "localhost", "/metrics", address="127.0.0.1", port=9464)
    assert page.status == 200
    assert b"decisions" in page.body
    assert b"allowed.test" not in page.body, "no label for each host"
    assert lab.agent_of("U").call("tcp_scan", at.GW, [9464]) == {}
    wait.until(lambda: one.status()["health"] == "healthy", "health")
