"""The router: each denied name has an address of its own network, and every port of it says what was refused."""
# SPDX-License-Identifier: GPL-3.0-or-later

import socket
import struct

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import tls_wire, wait, web
from lab.dns_questions import ask


def address_of(lab, name, kind=dns.A):
    found = ask(lab, name, kind).addresses()
    assert at.stands_for_denied(found), found
    return found[0]


def test_every_port_is_refused_and_recorded_with_its_name(case, lab, agent):
    for kind in (dns.A, dns.AAAA):
        address = address_of(lab, f"{case.canary}.evil.test", kind)
        for port in (22, 6379, 27017):
            how, _, seconds = agent.call("tcp", address, port, b"hello")
            assert how == "refused" and seconds < 1, (address, port)
            record = case.record(phase="packet", host=f"{case.canary}.evil.test", port=port, client=at.AG6 if ":" in address else at.AG)
            assert record["reason"] == "endpoint_not_allowed"
    case.control()
    case.no_packet()


def test_http_and_tls_on_other_ports_get_the_page(case, lab):
    name = f"{case.canary}.evil.test"
    address = address_of(lab, name)
    page, _ = web.talk(lab.agent, address, 4873, f"GET / HTTP/1.1\r\nHost: {name}:4873\r\nConnection: close\r\n\r\n".encode())
    assert page.startswith(b"HTTP/1.1 403"), page[:100]
    assert f"{{host: {name}, port: 4873}}".encode() in page
    for host in ("allowed.test", at.AL, "gateway.internal"):
        page, _ = web.talk(lab.agent, address, 3000, f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert page.startswith(b"HTTP/1.1 403") and b"port: 3000" in page, host
    reply, how = web.talk(lab.agent, address, 8443, tls_wire.client_hello("allowed.test"))
    assert tls_wire.verdict(reply, how) in ("handshake", "alert"), "the gateway's own: nothing leaves"
    case.record(host=name, port=4873, reason="endpoint_not_allowed")
    case.no_packet()


def test_an_unknown_protocol_is_reset_and_recorded(case, lab):
    name = f"{case.canary}.evil.test"
    reply, _ = web.talk(lab.agent, address_of(lab, name), 6380, b"*1\r\n$4\r\nPING\r\n")
    assert reply == b""
    assert case.record(host=name, port=6380)["reason"] == "endpoint_not_allowed"


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_client_that_closes_at_once_is_recorded(case, lab, reset):
    name = f"{case.canary}.evil.test"
    with web.connected(lab.agent, address_of(lab, name), 6380) as link:
        if reset:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert case.record(host=name, port=6380)["reason"] == "endpoint_not_allowed"


def test_an_endpoint_delays_no_refusal_of_a_denied_name(lab, make_gateway, agent):
    gateway = make_gateway().start()
    gateway.reload(at.POLICY + "endpoints:\n  - {host: allowed.test, ports: [22, 5432, 8022]}\n")
    for port in (22, 5432):
        how, _, seconds = agent.call("tcp", address_of(lab, "denied.test"), port)
        assert how == "refused" and seconds < 0.9, port
    how, _, _ = agent.call("tcp", address_of(lab, "denied.test"), 8022)
    assert how == "reset", "control: this port may have HTTP"


def test_a_policy_that_lists_the_network_moves_the_addresses_away(lab, make_gateway):
    gateway = make_gateway().start()
    before = address_of(lab, "denied.test")
    gateway.reload(at.POLICY + f"endpoints:\n  - {{cidr: 100.65.0.0/16, port: 9999}}\n  - {{cidr: {at.EV}/32, port: 9999}}\n")
    after = wait.until(lambda: [a for a in ask(lab, "denied.test").addresses() if a != before], "another address")
    assert after[0].startswith("100.66."), after
    page = web.http(lab.agent, "denied.test:3000", address=after[0], port=3000)
    assert page.status == 403 and b"port: 3000" in page.body, "its rules moved too"
    gateway.reload(at.POLICY)
    assert ask(lab, "denied.test").addresses() == after, "and nothing moves them back"


def test_an_address_that_a_client_still_has_leads_to_a_name_that_is_allowed_now(lab, make_gateway):
    gateway = make_gateway().start()
    address = address_of(lab, "cdn-denied.test")
    assert web.http(lab.agent, "cdn-denied.test", address=address).status == 403
    gateway.reload(at.POLICY + "  - cdn-denied.test\n")
    assert web.http(lab.agent, "cdn-denied.test", address=address).body == b"CDN\n"
