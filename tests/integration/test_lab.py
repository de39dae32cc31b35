"""The laboratory's own test: its oracles can fail and its controls can fail, so that passing means something."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab import addresses as at
from lab import dns_wire, hellos, packets, tls_wire, wait, web
from lab.case import Case, Live


@pytest.fixture
def forwarding(lab):
    lab.forward_everything()
    lab.wait_reachable()
    yield lab
    lab.reset_gateway_namespace()


@pytest.fixture
def dropping(lab):
    lab.drop_everything()
    yield lab
    lab.reset_gateway_namespace()


class TestWithPlainForwarding:
    """Everything passes: the controls hold and every deny oracle fails."""

    def test_controls_pass(self, forwarding):
        case = Case(forwarding)
        case.may_leave = {(at.AL, packets.TCP, 80), (at.AL, packets.TCP, 443)}
        case.control("http")
        case.control("https")
        assert case.controls == 2

    def test_no_packet_fails_for_tcp_udp_and_icmp(self, forwarding):
        agent = forwarding.agent_of("U")
        for send in (
            lambda c: agent.call("tcp", at.EV, 9999, c.canary.encode(), wait=0.3),
            lambda c: agent.call("udp", at.EV, 443, c.canary.encode(), wait=0.1),
            lambda c: agent.call("ping", at.EV, c.canary.encode()),
            lambda c: agent.call("tcp", at.EV6, 9999, c.canary.encode(), wait=0.3),
        ):
            case = Case(forwarding)
            send(case)
            with pytest.raises(AssertionError, match="packets left"):
                case.no_packet()
            with pytest.raises(AssertionError, match="canary"):
                case.no_canary()

    def test_the_attacker_box_hears_every_port(self, forwarding):
        mark = forwarding.ev.mark()
        forwarding.agent_of("U").call("tcp", at.EV, 31337, b"hello", wait=0.2)
        wait.until(lambda: [e for e in forwarding.ev.since(mark) if e[2] == b"hello"], "the bytes at the attacker")
        mark = forwarding.ev.mark()
        forwarding.agent_of("U").call("udp", at.EV, 53, b"datagram", wait=0.1)
        wait.until(lambda: [e for e in forwarding.ev.since(mark) if e[2] == b"datagram"], "the datagram")

    def test_no_query_fails_whatever_the_letter_case(self, forwarding):
        case = Case(forwarding)
        with forwarding.agent.entered():
            dns_wire.ask(at.GW, dns_wire.question(f"{case.canary.upper()}.evil.test"))
        with pytest.raises(AssertionError, match="asked upstream"):
            case.no_query()

    def test_no_syn_fails_for_a_hello_that_reached_the_origin(self, forwarding):
        case = Case(forwarding)
        answer, how = web.talk(forwarding.agent, at.AL, 443, tls_wire.client_hello("denied.test"), wait=1)
        assert tls_wire.verdict(answer, how) == "handshake"
        with pytest.raises(AssertionError, match="dialled"):
            case.no_syn()

    def test_a_handshake_of_the_origin_is_not_taken_for_the_gateways(self, forwarding):
        hello = tls_wire.client_hello("denied.test")
        assert hellos.send(forwarding, hello, wait=1) == "origin"
        with pytest.raises(AssertionError, match="origin"):
            hellos.refused(Case(forwarding), forwarding, hello, ends=hellos.DENIED, wait=1)

    def test_privileges_are_what_they_claim(self, forwarding):
        assert forwarding.agent_of("U").call("identity") == (65534, 0)
        assert forwarding.agent_of("R0").call("identity") == (0, 0)
        uid, capabilities = forwarding.agent_of("RD").call("identity")
        assert uid == 0
        assert capabilities & 1 << 13, "CAP_NET_RAW"
        assert not capabilities & 1 << 12, "CAP_NET_ADMIN"

    def test_live_passes(self, forwarding):
        with Live(forwarding):
            wait.until(lambda: len(forwarding.al.requests) > 3, "a few background controls")

    def test_every_origin_service_works_without_a_gateway(self, forwarding):
        ns = forwarding.agent
        assert web.http(ns, "allowed.test", "/bytes/100000", at.AL).body[:4] == b"0123"
        assert len(web.http(ns, "allowed.test", "/chunked/100000", at.AL).body) == 100000
        assert web.http(ns, "allowed.test", "/echo", at.AL, "POST", body=b"xyz").body == b"xyz"
        assert web.https(ns, "x.wild.test", forwarding.ca.certificate, address=at.WILD).body == b"WILD\n"


class TestWithEverythingDropped:
    """Nothing passes: the deny oracles hold, and the controls catch the cheat."""

    def test_deny_oracles_hold(self, dropping):
        case = Case(dropping)
        agent = dropping.agent_of("U")
        assert agent.call("tcp", at.EV, 443, case.canary.encode(), wait=0.3)[0] in ("timeout", "prohibited")
        agent.call("udp", at.EV, 443, case.canary.encode(), wait=0.1)
        case.no_packet()
        case.no_syn()
        case.no_query()

    def test_controls_fail(self, dropping):
        case = Case(dropping)
        with pytest.raises((AssertionError, OSError)):
            case.control()
        with pytest.raises((AssertionError, OSError)):
            case.finish()

    def test_live_fails(self, dropping):
        live = Live(dropping)
        live.__enter__()
        wait.until(lambda: live.seconds, "one control", 15)
        with pytest.raises(AssertionError, match="controls failed"):
            live.__exit__(None, None, None)


def test_a_capture_sees_what_is_sent_before_the_question(lab):
    mark = lab.capture.mark()
    with lab.gw.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        for _ in range(500):
            link.sendto(b"burst", (at.EV, 7))
    assert len([p for p in lab.capture.outgoing(mark) if p.dport == 7]) == 500


_KILLED_RUN = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from lab.network import Lab
lab = Lab()
print(" ".join(n.name for n in lab.namespaces), flush=True)
lab.agent_of("U").call("identity")
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_a_killed_run(lab, number):
    del lab
    support = Path(__file__).resolve().parents[1] / "support"
    child = subprocess.Popen(
        [sys.executable, "-c", _KILLED_RUN, str(support)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    names = child.stdout.readline().decode().split()
    assert len(names) == 5, "the run made its namespaces"
    assert all(os.path.exists(f"/run/netns/{name}") for name in names)
    child.send_signal(number)
    child.wait()
    wait.until(lambda: not any(os.path.exists(f"/run/netns/{name}") for name in names), "the namespaces to be gone", 20)
    assert not any(os.path.exists(f"/etc/netns/{name}") for name in names)
