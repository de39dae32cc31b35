"""A policy for each agent: the agent and its neighbour on one network, each with its own, and no way from one to the other."""
# SPDX-License-Identifier: GPL-3.0-or-later

import socket

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import web
from test_udp_endpoints import Server, exchange

threat = pytest.mark.threat

ECHO = 7007
REVIEWER = f'{{name: reviewer, addresses: [{at.AG}, "{at.AG6}"], domains: [allowed.test]'
CODER = f'{{name: coder, addresses: [{at.NEIGHBOUR}, "{at.NEIGHBOUR6}"], domains: ["*.wild.test"]'
POLICY = f"""\
domains: [cdn-allowed.test]
agents:
  - {REVIEWER}}}
  - {CODER}, endpoints: [{{cidr: {at.SPARE}/32, port: {ECHO}, protocol: udp}}, {{cidr: "{at.AL6}/128", port: {ECHO}, protocol: udp}}]}}
"""


@pytest.fixture
def two_agents(lab, make_gateway):
    return make_gateway(policy=POLICY).start(), lab


def status(namespace, host, address, path="/"):
    return web.http(namespace, host, path, address).status


def test_each_agent_has_its_own_policy_and_name_in_the_log(two_agents):
    gateway, lab = two_agents
    mark = gateway.log.mark()
    assert status(lab.agent, "allowed.test", at.AL) == 200
    assert status(lab.neighbour, "x.wild.test", at.WILD) == 200
    assert status(lab.agent, "x.wild.test", at.WILD) == 403
    assert status(lab.neighbour, "allowed.test", at.AL) == 403
    assert status(lab.agent, "cdn-allowed.test", at.CDN) == 403, "it does not inherit the common policy"
    for agent, client, host, action in (
        ("reviewer", at.AG, "allowed.test", "allowed"), ("coder", at.NEIGHBOUR, "x.wild.test", "allowed"),
        ("reviewer", at.AG, "x.wild.test", "blocked"), ("coder", at.NEIGHBOUR, "allowed.test", "blocked"),
    ):  # fmt: skip
        gateway.log.wait_for(mark, phase="http", agent=agent, client=client, host=host, action=action)


def test_a_name_of_another_agent_is_not_resolved(two_agents):
    gateway, lab = two_agents
    assert web.resolve(lab.neighbour, "own.wild.test").addresses() == [at.WILD]
    mark = lab.dns.mark()
    assert at.stands_for_denied(web.resolve(lab.agent, "other.wild.test").addresses())
    assert at.stands_for_denied(web.resolve(lab.agent, "own.wild.test").addresses()), "not from the cache either"
    assert not lab.dns.since(mark, "wild.test")
    del gateway


def test_gateway_internal_tells_each_agent_of_itself(two_agents):
    _, lab = two_agents
    pages = {}
    for namespace, denied in ((lab.agent, "for-reviewer.evil.test"), (lab.neighbour, "for-coder.evil.test")):
        web.http(namespace, denied, "/", at.EV)
        pages[namespace] = "".join(
            web.http(namespace, "gateway.internal", path).body.decode() for path in ("/", "/policy", "/policy.json", "/denials")
        )
    mine, other = pages[lab.agent], pages[lab.neighbour]
    assert "allowed.test" in mine and "for-reviewer" in mine and "agent reviewer" in mine
    assert "*.wild.test" in other and "for-coder" in other and "agent coder" in other
    for hidden in ("wild.test", "for-coder", "coder", at.NEIGHBOUR, "cdn-allowed"):
        assert hidden not in mine, hidden


@threat("T240")
@pytest.mark.parametrize("kind", ["U", "R0"])
def test_a_question_in_anothers_ipv6_name_is_not_asked(two_agents, kind):
    """T240: a program may send from any IPv6 address (IPV6_FREEBIND). Only what gets the answer back is believed."""
    gateway, lab = two_agents
    forged = dns.question(f"data-{kind.lower()}.wild.test", dns.A)
    queries, mark = lab.dns.mark(), gateway.log.mark()
    lab.agent_of(kind).call("udp_from", at.NEIGHBOUR6, 0, at.GW6, 53, forged, wait=0.1)
    how, answer = lab.agent_of(kind).call("udp_from", at.AG6, 0, at.GW6, 53, dns.question("allowed.test"))
    assert how == "answer" and answer[2] & 2, "the same from its own address: ask over TCP"
    with lab.neighbour.entered():
        told = dns.ask_tcp(at.GW6, dns.question("real.wild.test"))
    assert told.addresses() == [at.WILD], "the control: over TCP the address is proved"
    gateway.log.wait_for(mark, client=at.NEIGHBOUR6, agent="coder", host="real.wild.test")
    assert not lab.dns.since(queries, "data-") and not gateway.log.find(mark, host=lambda h: h and h.startswith("data-"))


@threat("T240")
def test_a_datagram_in_anothers_ipv6_name_does_not_leave(two_agents):
    """T240: the same for UDP endpoints, which only IPv4 has then."""
    gateway, lab = two_agents
    six, four = Server(lab.up, at.AL6, ECHO, b"six:"), Server(lab.up, at.SPARE, ECHO, b"four:")
    try:
        mark = gateway.log.mark()
        lab.agent_of("U").call("udp_from", at.NEIGHBOUR6, 0, at.AL6, ECHO, b"forged", wait=0.1)
        gateway.log.wait_for(mark, client=at.NEIGHBOUR6, action="blocked", detail=lambda d: "does not prove" in (d or ""))
        assert exchange(lab.neighbour, at.SPARE, ECHO)[0] == b"four:hello", "the control: IPv4"
        assert not six.seen
    finally:
        six.close()
        four.close()


@threat("T241")
@pytest.mark.parametrize("kind", ["U", "R0"])
def test_without_net_raw_no_program_has_anothers_ipv4_address(two_agents, kind):
    """T241: an address of another machine can be bound (IP_FREEBIND), and nothing leaves from it."""
    gateway, lab = two_agents
    mark = gateway.log.mark()
    for port in (53, 80):
        assert lab.agent_of(kind).call("from_foreign_v4", at.NEIGHBOUR, at.GW, port) == "not sent", port
    assert lab.agent_of(kind).call("from_foreign_v4", at.AG, at.GW, 53) == "sent", "the control: its own"
    assert not gateway.log.find(mark, client=at.NEIGHBOUR)


@threat("T242")
def test_no_other_address_leads_to_the_common_policy(lab, make_gateway):
    """T242: a restricted agent leaves its policy by its link-local address, or over the family that its entry forgot."""
    gateway = make_gateway(policy=POLICY).start()
    lab.dns.set("cdn-allowed.test", a=[at.CDN], aaaa=[at.AL6])
    link_local = lab.agent.ip("-6", "-o", "address", "show", "dev", "eth0", "scope", "link").split()[3].split("/")[0]
    asked = web.request_bytes("cdn-allowed.test", "/")

    def answer_to(source):
        with lab.agent.entered(), socket.socket(socket.AF_INET6) as link:
            link.settimeout(5)
            link.bind((source, 0, 0, socket.if_nametoindex("eth0")))
            link.connect((at.AL6, 80))
            link.sendall(asked)
            return link.recv(65536)

    mark = gateway.log.mark()
    page = answer_to(link_local)
    assert b" 403 " in page and b"No agent in the policy has this address" in page, page
    gateway.log.wait_for(mark, client=link_local, action="blocked", agent=None)
    gateway.reload(f"domains: [cdn-allowed.test]\nagents: [{{name: reviewer, addresses: [{at.AG}]}}]\n")
    assert b" 403 " in answer_to(at.AG6), "it may be the reviewer's"
    gateway.reload("domains: [cdn-allowed.test]\n")
    assert b" 403 " not in answer_to(at.AG6), "the control: there are no agents"
    lab.dns.set("cdn-allowed.test", a=[at.CDN])


def test_a_reload_ends_the_connections_of_the_agent_that_lost_them(two_agents):
    gateway, lab = two_agents
    with web.connected(lab.agent, at.AL, 80) as reviewer, web.connected(lab.neighbour, at.WILD, 80) as coder:
        for link, host in ((reviewer, "allowed.test"), (coder, "x.wild.test")):
            link.sendall(web.request_bytes(host, "/"))
            assert web.Reader(link).response().status == 200
        gateway.reload(f"agents: [{REVIEWER}}}, {{name: coder, addresses: [{at.NEIGHBOUR}]}}]\n")
        assert web.read_to_end(coder)[1] in ("fin", "rst")
        reviewer.sendall(web.request_bytes("allowed.test", "/"))
        assert web.Reader(reviewer).response().status == 200, "the other agent's goes on"


def test_observe_mode_is_of_one_agent(lab, make_gateway):
    gateway = make_gateway(policy=f"agents:\n  - {REVIEWER}}}\n  - {CODER}, mode: observe}}\n").start()
    mark = gateway.log.mark()
    assert status(lab.neighbour, "allowed.test", at.AL) == 200
    gateway.log.wait_for(mark, agent="coder", host="allowed.test", phase="http", observed=True)
    assert status(lab.agent, "x.wild.test", at.WILD) == 403


def test_agents_only_leaves_nothing_to_others(lab, make_gateway):
    gateway = make_gateway(policy=f"agents_only: true\ndomains: [allowed.test]\nagents: [{CODER}}}]\n").start()
    page = web.http(lab.agent, "allowed.test", "/", at.AL)
    assert page.status == 403 and b"No agent in the policy has this address" in page.body
    assert b"Nothing is allowed" in web.http(lab.agent, "gateway.internal", "/policy").body
    assert status(lab.neighbour, "x.wild.test", at.WILD) == 200
    assert not gateway.log.find(0, agent="reviewer")


def test_a_file_for_each_agent(lab, make_gateway, tmp_path):
    (tmp_path / "reviewer.yaml").write_text("domains: [allowed.test]\n")
    (tmp_path / "coder.yaml").write_text("domains: ['*.wild.test']\n")
    arguments = ["--agent", f"reviewer={at.AG},{at.AG6}:{tmp_path}/reviewer.yaml", "--agent", f"coder={at.NEIGHBOUR},[{at.NEIGHBOUR6}]:{tmp_path}/coder.yaml"]
    gateway = make_gateway(policy="domains: [cdn-allowed.test]\n", arguments=arguments).start()
    assert [status(one, "allowed.test", at.AL) for one in (lab.agent, lab.neighbour)] == [200, 403]
    (tmp_path / "coder.yaml").write_text("domains: [allowed.test]\n")
    gateway.reload()
    assert status(lab.neighbour, "allowed.test", at.AL) == 200
    (tmp_path / "coder.yaml").write_text("agents: []\nagents_only: true\n")
    assert "cannot have 'agents'" in gateway.reload(accepted=False)["detail"]
