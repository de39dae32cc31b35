"""SRV, TXT, PTR and canonical names, as clients that need them ask for them."""
# SPDX-License-Identifier: GPL-3.0-or-later

import ipaddress
import struct

from lab import addresses as at
from lab import dns_wire as dns
from lab import web
from lab.rawserver import listening

SRV = 33
POLICY = """\
domains:
  - {host: cluster.example.test, txt: true}
  - allowed.test
  - "*.wild.test"
  - www.example.test
endpoints:
  - {host: node0.example.test, port: 27017}
  - {host: node1.example.test, port: 27018}
"""


def location(target, port):
    return dns.record(SRV, struct.pack("!HHH", 0, 5, port) + dns.labels(target))


def locations(answer):
    """(target, port) of each SRV record."""
    found = []
    for _, kind, _, data in answer.records:
        if kind == SRV:
            found.append((dns.name_at(data, 6), struct.unpack_from("!H", data, 4)[0]))
    return found


def seed_list(lab, host):
    """What a mongodb+srv:// client does: SRV, TXT, and an address of each target."""
    hosts = locations(web.resolve(lab.agent, f"_mongodb._tcp.{host}", SRV))
    texts = [data[1:].decode() for _, kind, _, data in web.resolve(lab.agent, host, dns.TXT).records if kind == dns.TXT]
    return [(web.resolve(lab.agent, name).addresses(), port) for name, port in hosts], texts


def test_a_client_of_mongodb_srv_finds_its_cluster_and_connects(lab, make_gateway):
    gateway = make_gateway(policy=POLICY).start()
    options = b"authSource=admin&replicaSet=rs0"
    records = [location("node0.example.test", 27017), location("node1.example.test", 27018), location("exfil.evil.test", 27017)]
    lab.dns.set("_mongodb._tcp.cluster.example.test", extra=[(SRV, records)])
    lab.dns.set("cluster.example.test", extra=[(dns.TXT, [dns.record(dns.TXT, bytes([len(options)]) + options)])])
    for name in ("node0.example.test", "node1.example.test"):
        lab.dns.set(name, a=[at.SPARE])
    hosts, texts = seed_list(lab, "cluster.example.test")
    assert hosts == [([at.SPARE], 27017), ([at.SPARE], 27018)], "the target that the policy does not allow is left out"
    assert texts == [options.decode()]
    with listening(lab.up, at.SPARE, 27017), listening(lab.up, at.SPARE, 27018):
        for (address,), port in hosts:
            assert b"hi" in web.talk(lab.agent, address, port, b"x", enough=10)[0], port
    hidden = gateway.log.wait_for(0, host="exfil.evil.test")
    assert (hidden["action"], hidden["reason"]) == ("blocked", "host_not_allowed"), hidden
    assert lab.dns.since(0, "exfil.evil.test") == []


def test_srv_and_txt_carry_nothing_without_the_policy(lab, make_gateway):
    make_gateway(policy=POLICY).start()
    canary = dns.record(dns.TXT, b"\x06canary")
    for name in ("denied.test", "www.example.test", "_x.www.example.test", "a.b.cluster.example.test"):
        lab.dns.set(name, extra=[(dns.TXT, [canary])])
    mark = lab.dns.mark()
    for name in ("denied.test", "www.example.test", "_x.www.example.test", "a.b.cluster.example.test"):
        assert web.resolve(lab.agent, name, dns.TXT).records == [], name
    for name in ("_ldap._tcp.denied.test", "_data._tcp.evil.test", "secret._x.cluster.example.test"):
        assert web.resolve(lab.agent, name, SRV).records == [], name
    assert lab.dns.asked[mark:] == [], "never asked upstream"
    lab.dns.set("_x._tcp.www.example.test", extra=[(SRV, [location("www.example.test", 80)])])
    assert locations(web.resolve(lab.agent, "_x._tcp.www.example.test", SRV)) == [("www.example.test", 80)], "the control"


def test_canonical_names_and_pointers_are_those_of_allowed_names(lab, make_gateway):
    """What Kerberos asks for: the name behind the alias, and the name of the address."""
    make_gateway(policy=POLICY).start()

    def alias(target):
        owner = dns.labels(target)
        return lambda q: [dns.reply(q.raw, [dns.cname(target), *(dns.a(at.WILD, owner=owner) if q.qtype == dns.A else [])])]

    lab.dns.script("www.example.test", alias("host7.wild.test"))
    answer = web.resolve(lab.agent, "www.example.test")
    assert answer.addresses() == [at.WILD]
    assert [(owner, kind) for owner, kind, _, _ in answer.records] == [("www.example.test", dns.CNAME), ("host7.wild.test", dns.A)]
    pointer = ipaddress.ip_address(at.WILD).reverse_pointer
    named = web.resolve(lab.agent, pointer, dns.PTR)
    assert [dns.name_at(data, 0) for _, _, _, data in named.records] == ["www.example.test"]
    lab.dns.script("x.wild.test", alias("cdn.evil.test"))
    answer = web.resolve(lab.agent, "x.wild.test")
    assert [(owner, kind) for owner, kind, _, _ in answer.records] == [("x.wild.test", dns.A)], "a target that is not allowed stays hidden"
    mark = lab.dns.mark()
    assert web.resolve(lab.neighbour, pointer, dns.PTR).records == [], "another client did not ask for a name of it"
    assert web.resolve(lab.agent, ipaddress.ip_address(at.EV).reverse_pointer, dns.PTR).records == []
    denied = web.resolve(lab.agent, "denied.test").addresses()[0]
    assert web.resolve(lab.agent, ipaddress.ip_address(denied).reverse_pointer, dns.PTR).records == []
    assert lab.dns.since(mark, "arpa") == [], "never asked upstream"
