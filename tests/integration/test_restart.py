"""A gateway that starts again: clients with open sockets, and with addresses that an earlier one gave."""
# SPDX-License-Identifier: GPL-3.0-or-later

import socket

import pytest

from lab import addresses as at
from lab import dns_wire, web
from lab.rawserver import answering


def answered(link, server):
    """Is one of three questions of this very socket answered?"""
    for _ in range(3):
        link.sendto(dns_wire.question("allowed.test"), (server, 53))
        try:
            if link.recvfrom(4096)[0]:
                return True
        except OSError:
            continue
    return False


@pytest.fixture
def asking(lab):
    """A UDP socket of the agent."""
    with lab.agent.entered():
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.settimeout(1)
    with link:
        yield link


@pytest.fixture
def taken(lab):
    """The ports that a gateway prefers are another program's."""
    with lab.gw.entered():
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of earlier tests may linger
    with udp, tcp:
        yield lambda: (udp.bind(("::", 29153)), tcp.bind(("::", 29180)))


@pytest.mark.parametrize("server", [at.GW, "8.8.8.8"], ids=["the gateway", "any resolver"])
def test_a_socket_that_asked_before_is_answered_by_a_gateway_on_other_ports(lab, make_gateway, asking, taken, server):
    one = make_gateway().start()
    assert answered(asking, server)
    one.kill()
    taken()
    two = make_gateway().start()
    assert answered(asking, server), "connection tracking has forgotten the earlier listener"
    assert two.status()["rules"]["differences"] == []


def test_a_new_socket_on_the_same_port_is_answered_too(lab, make_gateway, asking, taken):
    one = make_gateway().start()
    assert answered(asking, "8.8.8.8")
    port = asking.getsockname()[1]
    asking.close()
    one.kill()
    taken()
    make_gateway().start()
    with lab.agent.entered():
        again = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with again:
        again.settimeout(1)
        again.bind(("", port))
        assert answered(again, "8.8.8.8")


def test_what_is_not_an_agents_keeps_its_entry(lab, make_gateway):
    """A machine may route, or ask, for others too."""
    with lab.gw.entered():
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with own:
        own.settimeout(2)
        lab.gw.nft("table ip track {\nchain o {\ntype filter hook output priority 0\nct state new accept\n}\n}\n")
        try:
            assert answered(own, at.NS)
            port = own.getsockname()[1]
            make_gateway().start()
            table = lab.gw.run("cat", "/proc/net/nf_conntrack").stdout
            assert f"sport={port} dport=53" in table
        finally:
            lab.gw.run("nft", "delete", "table", "ip", "track", check=False)


def test_an_endpoint_is_reached_at_an_address_from_before_the_restart(lab, make_gateway):
    """The client asks nothing again: it has the address from a pool, a file or the gateway's last run."""
    lab.dns.set("db.wild.test", a=[at.SPARE, at.RAW])
    one = make_gateway(policy=at.POLICY + "endpoints: [{host: db.wild.test, port: 5432}]\n").start()
    with answering(lab.up, at.RAW, 5432, b"here"), answering(lab.up, at.EV, 5432, b"evil"):
        assert web.talk(lab.agent, at.RAW, 5432, b"x", enough=4)[0] == b"here"
        mark = lab.dns.mark()
        for _ in range(20):
            assert web.talk(lab.agent, at.EV, 5432, b"x", enough=4)[0] == b"", "the control: the name does not lead there"
        assert len(lab.dns.since(mark, "db.wild.test")) <= 4, "nor does it cost upstream a lookup for each"
    assert one.log.wait_for(0, phase="connect", host="db.wild.test")["action"] == "allowed"
    lab.dns.forget("db.wild.test")
