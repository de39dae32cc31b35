"""`--ask`: what is denied waits for an operator's answer, and passes only with one."""
# SPDX-License-Identifier: GPL-3.0-or-later

import threading
import time

import pytest

from lab import addresses as at
from lab import control, tls_wire, wait, web

threat = pytest.mark.threat
POLICY = "domains: [allowed.test]\n"
ASK = ("--ask=20s",)


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(policy=POLICY, arguments=ASK).start()


class Asking:
    """A function of the agent's side on a thread: result() is what it returned."""

    def __init__(self, function, *arguments, **options):
        self._result = []
        self._thread = threading.Thread(target=lambda: self._result.append(function(*arguments, **options)), daemon=True)
        self._thread.start()

    def result(self):
        self._thread.join(wait.DEADLINE)
        assert self._result, "it still waits, or it failed"
        return self._result[0]

    def waits(self):
        return self._thread.is_alive()


def get(lab, host="cdn-allowed.test", address=at.CDN, **options):
    return web.http(lab.agent, host, address=address, **options)


def answer(gateway, held, verdict, **more):
    done = control.ask(gateway.control, ask="answer", id=held["id"], verdict=verdict, **more)
    assert done["accepted"] is True, done
    return done


@threat("T253")
def test_once_is_for_this_request_alone(lab, gateway):
    with control.Watch(gateway.control) as watch:
        asking = Asking(get, lab)
        held = watch.next("held", host="cdn-allowed.test")
        assert held["item"] == "cdn-allowed.test" and 0 < held["left_s"] <= 20 and held["decision"]["action"] == "blocked"
        assert asking.waits() and gateway.status()["held"] == 1
        answer(gateway, held, "once")
        assert watch.next("settled") == {"id": held["id"], "verdict": "once"}
        assert asking.result().body == b"CDN\n"
        again = Asking(get, lab)
        second = watch.next("held", host="cdn-allowed.test")
        assert second["id"] != held["id"], "the next one is asked about again"
        answer(gateway, second, "no")
        assert again.result().status == 403
    assert control.ask(gateway.control, ask="allowed") == {"entries": []}


def test_for_is_for_all_that_wait_and_for_those_that_come(lab, gateway):
    with control.Watch(gateway.control) as watch:
        asking = [Asking(get, lab) for _ in range(3)]
        first = [watch.next("held") for _ in asking][0]
        answer(gateway, first, "for", for_s=900)
        assert [one.result().status for one in asking] == [200, 200, 200]
        assert watch.next("settled", id=first["id"])["verdict"] == "for"
    assert get(lab).status == 200
    entry = control.ask(gateway.control, ask="allowed")["entries"][0]
    assert entry["host"] == "cdn-allowed.test" and 800 < entry["left_s"] <= 900


def test_always_is_in_the_file(lab, gateway):
    with control.Watch(gateway.control) as watch:
        asking = Asking(get, lab)
        answer(gateway, watch.next("held"), "always")
        assert asking.result().status == 200
        assert watch.next("settled")["verdict"] == "always"
    assert gateway.policy_file.read_text() == "domains: [allowed.test, cdn-allowed.test]\n"


def test_another_terminal_releases_it(lab, gateway):
    with control.Watch(gateway.control) as watch:
        asking = Asking(get, lab)
        watch.next("held")
        begun = time.monotonic()
        assert control.ask(gateway.control, ask="allow", host="cdn-allowed.test")["accepted"] is True
        assert asking.result().status == 200
        assert time.monotonic() - begun < 2


@threat("T253")
def test_no_is_remembered_for_a_moment(lab, gateway):
    with control.Watch(gateway.control) as watch:
        asking = [Asking(get, lab) for _ in range(3)]
        first = [watch.next("held") for _ in asking][0]
        answer(gateway, first, "no")
        assert [one.result().status for one in asking] == [403, 403, 403], "the same question of the same client"
    begun = time.monotonic()
    assert get(lab).status == 403 and time.monotonic() - begun < 5, "not asked again at once"


@threat("T253")
def test_without_an_answer_it_is_denied(lab, make_gateway):
    gateway = make_gateway(policy=POLICY, arguments=("--ask=1s",)).start()
    with control.Watch(gateway.control) as watch:
        asking = Asking(get, lab)
        held = watch.next("held")
        assert watch.next("settled") == {"id": held["id"], "verdict": "timeout"}
        assert asking.result().status == 403
        late = control.ask(gateway.control, ask="answer", id=held["id"], verdict="once")
        assert late["accepted"] is False and "its time is over" in late["detail"]
    assert get(lab, "allowed.test", at.AL).status == 200


@threat("T253")
def test_tls_waits_at_its_hello_and_reaches_the_origin(lab, gateway):
    with control.Watch(gateway.control) as watch, web.connected(lab.agent, at.CDN, 443) as link:
        link.sendall(tls_wire.client_hello("cdn-allowed.test"))
        held = watch.next("held", host="cdn-allowed.test", phase="tls")
        answer(gateway, held, "once")
        assert link.recv(1) == b"\x16", "the origin's own handshake"
        gateway.reload("domains: [allowed.test, name-allowed.test]\n")
        link.settimeout(0.3)
        assert web.read_to_end(link)[1] == "timeout", "a reload that says nothing about it does not end it"


@threat("T253")
def test_what_a_line_denies_never_waits_and_ends_what_was_granted(lab, make_gateway):
    gateway = make_gateway(policy=POLICY + "deny: [denied.test]\n", arguments=ASK).start()
    with control.Watch(gateway.control) as watch, web.connected(lab.agent, at.CDN, 443) as link:
        begun = time.monotonic()
        assert get(lab, "denied.test", at.EV).status == 403 and time.monotonic() - begun < 5
        assert gateway.status()["held"] == 0
        link.sendall(tls_wire.client_hello("cdn-allowed.test"))
        answer(gateway, watch.next("held", host="cdn-allowed.test"), "once")
        assert link.recv(1) == b"\x16"
        assert control.ask(gateway.control, ask="deny", host="cdn-allowed.test")["accepted"] is True
        assert web.read_to_end(link)[1] in ("rst", "fin"), "a deny ends it"


def test_connect_waits(lab, gateway):
    def connect():
        with web.connected(lab.agent, at.GW, 8080) as link:
            link.sendall(b"CONNECT cdn-allowed.test:443 HTTP/1.1\r\nHost: cdn-allowed.test:443\r\n\r\n")
            first = link.recv(200)
            link.sendall(tls_wire.client_hello("cdn-allowed.test"))
            return first, link.recv(1)

    with control.Watch(gateway.control) as watch:
        asking = Asking(connect)
        held = watch.next("held", phase="connect")
        assert held["item"] == "cdn-allowed.test"
        answer(gateway, held, "once")
        first, second = asking.result()
        assert first.startswith(b"HTTP/1.1 200") and second == b"\x16"
        refused = Asking(connect)
        answer(gateway, watch.next("held", phase="connect"), "no")
        assert refused.result()[0].startswith(b"HTTP/1.1 403")


@threat("T253")
def test_what_is_wrong_in_itself_never_waits(lab, gateway):
    with control.Watch(gateway.control) as watch:
        begun = time.monotonic()
        with web.connected(lab.agent, at.AL, 80) as link:
            link.sendall(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
            assert b" 400 " in link.recv(100)
        with web.connected(lab.agent, at.AL, 443) as link:
            link.sendall(b"\x16\x03\x01\x00\x05hello")
            web.read_to_end(link)
        assert time.monotonic() - begun < 5
        assert gateway.status()["held"] == 0 and not any("held" in one for one in watch.seen)


@threat("T254")
def test_one_agent_holds_so_many_and_others_are_served(lab, gateway):
    links = []
    with control.Watch(gateway.control) as watch:
        for number in range(20):
            links.append(Asking(get, lab, f"h{number}.test", at.EV))
        for _ in range(16):
            watch.next("held")
        refused = wait.until(lambda: [one for one in links if not one.waits()], "the ones beyond the bound")
        assert gateway.status()["held"] == 16
        assert all(one.result().status == 403 for one in refused)
        assert get(lab, "allowed.test", at.AL).status == 200
        assert gateway.status()["health"] == "healthy"
    assert gateway.stop() == 0, "and what waits does not delay the end"


@threat("T254")
def test_a_client_that_leaves_waits_no_longer(lab, gateway):
    with control.Watch(gateway.control) as watch:
        with web.connected(lab.agent, at.CDN, 80) as link:
            link.sendall(b"GET / HTTP/1.1\r\nHost: cdn-allowed.test\r\n\r\n")
            held = watch.next("held")
        assert watch.next("settled") == {"id": held["id"], "verdict": "timeout"}
    wait.until(lambda: gateway.status()["held"] == 0, "nothing waits")


RULES = "domains:\n  - allowed.test\n  - host: cdn-allowed.test\n    rules:\n      - path: {exact: /only}\n"


def test_a_request_that_no_rule_admits_waits_with_its_path(lab, make_gateway):
    gateway = make_gateway(policy=RULES, arguments=ASK).start()
    with control.Watch(gateway.control) as watch:
        asking = Asking(get, lab, path="/other")
        held = watch.next("held", reason="no_rule_matched")
        assert held["item"] == "http://cdn-allowed.test/other"
        answer(gateway, held, "once")
        assert asking.result().status == 200


def test_a_command_answers(lab, make_gateway, tmp_path):
    """It reads the question, and what it prints is the answer."""
    program = tmp_path / "answers"
    program.write_text('#!/bin/sh\nread -r question\necho "$question" >> "$0.log"\ncase $question in *cdn-allowed.test*) echo "for 5m" ;; *) echo no ;; esac\n')
    program.chmod(0o755)
    gateway = make_gateway(policy=POLICY, arguments=(*ASK, "--ask-command", str(program))).start()
    assert get(lab).status == 200
    assert get(lab, "denied.test", at.EV).status == 403
    assert [entry["host"] for entry in control.ask(gateway.control, ask="allowed")["entries"]] == ["cdn-allowed.test"]
    asked = (tmp_path / "answers.log").read_text()
    assert '"item":"cdn-allowed.test"' in asked and '"item":"denied.test"' in asked


@threat("T255")
def test_what_the_agent_says_is_never_run(lab, make_gateway, tmp_path):
    gateway = make_gateway(policy=RULES, arguments=(*ASK, "--ask-command", "read -r question; echo no")).start()
    marker = tmp_path / "run"
    for path in (f"/$(touch%20{marker})", f"/`touch${{IFS}}{marker}`", f"/;touch${{IFS}}{marker}"):
        assert get(lab, path=path).status in (403, 400)
    assert not marker.exists()
    del gateway


def test_a_command_that_says_nothing_leaves_it_to_others(lab, make_gateway):
    gateway = make_gateway(policy=POLICY, arguments=(*ASK, "--ask-command", "exit 1")).start()
    with control.Watch(gateway.control) as watch:
        asking = Asking(get, lab)
        held = watch.next("held")
        answer(gateway, held, "once")
        assert asking.result().status == 200


INSPECTED = "domains:\n  - host: allowed.test\n    rules:\n      - {schemes: [https], path: {exact: /only}}\n"


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_inspected_https_waits_over_both_versions(lab, make_gateway, version):
    gateway = make_gateway(policy=INSPECTED, arguments=(*ASK, "--trust", str(lab.ca.certificate))).start()
    certificate = lab.folder / "held-ca.pem"
    certificate.write_bytes((gateway.folder / "ca" / "mitmproxy-ca-cert.pem").read_bytes())
    certificate.chmod(0o644)
    curl = ("curl", "-sS", "-m", "20", version, "--cacert", str(certificate), "https://allowed.test/other")
    with control.Watch(gateway.control) as watch:
        asking = Asking(lab.run_client, *curl)
        held = watch.next("held", phase="http", path="/other")
        assert held["item"] == "https://allowed.test/other"
        answer(gateway, held, "once")
        assert asking.result() == (0, "AL\n")
        refused = Asking(lab.run_client, *curl)
        answer(gateway, watch.next("held", phase="http", path="/other"), "no")
        assert "Blocked by proxy policy" in refused.result()[1]


def test_an_answer_is_for_the_agent_that_asked(lab, make_gateway):
    agent = f'agents: [{{name: reviewer, addresses: [{at.AG}, "{at.AG6}"], domains: [allowed.test]}}]\n'
    gateway = make_gateway(policy=POLICY + agent, arguments=ASK).start()
    with control.Watch(gateway.control) as watch:
        asking = Asking(get, lab)
        held = watch.next("held", host="cdn-allowed.test")
        assert held["decision"]["agent"] == "reviewer"
        answer(gateway, held, "once")
        assert asking.result().status == 200
        asking = Asking(get, lab)
        answer(gateway, watch.next("held", host="cdn-allowed.test"), "for", for_s=60)
        assert asking.result().status == 200
        assert [entry["agent"] for entry in control.ask(gateway.control, ask="allowed")["entries"]] == ["reviewer"]
        other = Asking(web.http, lab.neighbour, "cdn-allowed.test", address=at.CDN)
        held = watch.next("held", host="cdn-allowed.test")
        assert "agent" not in held["decision"], "the common policy has not changed"
        answer(gateway, held, "no")
        assert other.result().status == 403
