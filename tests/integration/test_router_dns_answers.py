"""What a resolver answers is believed only as far as it may be: addresses, aliases, forgeries, HTTPS records."""
# SPDX-License-Identifier: GPL-3.0-or-later

import socket
import struct

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import packets, tls_wire, wait, web
from lab.dns_questions import ask, ask_tcp, fresh

threat = pytest.mark.threat


# --- Answers that must not be believed ---

PRIVATE_V4 = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", at.GW, at.GW_OWN, at.GWUP,
    at.BR, at.AG,
]  # fmt: skip
PRIVATE_V6 = [
    "::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "ff02::1", "2001:db8::1", "::ffff:10.0.0.1", "::10.0.0.1",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "2001:0:102:304::1", "64:ff9b:1::a9fe:a9fe", "::ffff:169.254.169.254",
    at.GW6, at.GWUP6,
]  # fmt: skip


# No policy is meant to list these, so that no page tells them.
NEVER_TOLD = ("0.0.0.0", "0.1.2.3", "100.100.100.200", "127.", "169.254.", "192.0.0.192", "224.", "255.", "fe80:", "fd00:ec2:", "ff02:", "64:ff9b::a9fe")


@threat("T040", "T011", "T128")
@pytest.mark.parametrize("address", PRIVATE_V4 + PRIVATE_V6)
def test_an_allowed_name_at_a_non_public_address_is_not_dialled(case, lab, address):
    case.canary_may_leave = True  # the name itself is allowed, and so is asked
    name = fresh(case)
    v6 = ":" in address
    lab.dns.set(name, **({"aaaa": [address]} if v6 else {"a": [address]}))
    answer = ask(lab, name, dns.AAAA if v6 else dns.A)
    assert answer.records == [] or answer.addresses() == [at.GW6 if v6 else at.GW]
    syns = lab.capture.mark()
    reply, how = web.talk(lab.agent, at.WILD, 443, tls_wire.client_hello(name), enough=1)
    assert tls_wire.verdict(reply, how) in ("alert", "rst", "fin", "handshake"), "refused, or told so on a page"
    response = web.http(lab.agent, name, f"/{case.canary}", address=at.WILD)
    assert response.status in (403, 502)
    assert address not in response.body.decode("latin1") or not address.startswith(NEVER_TOLD)
    case.no_syn(syns)
    record = case.record(host=name, reason="private_address")
    assert record["action"] == "blocked"


@threat("T040")
def test_of_mixed_answers_only_the_public_addresses_are_used(case, lab):
    case.canary_may_leave = True
    name = fresh(case)
    lab.dns.set(name, a=["10.0.0.1", at.WILD, "169.254.169.254"])
    assert ask(lab, name).addresses() == [at.WILD]
    assert web.http(lab.agent, name, address=at.WILD).body == b"WILD\n"


@threat("T040")
def test_a_name_that_changes_to_a_private_address_after_the_answer_is_refused(case, lab):
    """Rebinding: public for the client's question, private when it is dialled."""
    case.canary_may_leave = True
    name = fresh(case)
    lab.dns.set(name, a=[at.WILD], ttl=1)
    assert ask(lab, name).addresses() == [at.WILD]
    lab.dns.set(name, a=["127.0.0.1"], ttl=1)
    wait.until(lambda: ask(lab, name).addresses() != [at.WILD], "the first answer to expire", 5)
    syns = lab.capture.mark()
    assert web.http(lab.agent, name, address=at.EV).status in (403, 502)
    case.no_syn(syns)
    assert web.http(lab.agent, name, address=at.WILD).body == b"WILD\n", "what it was told before, it may still use"


@threat("T042")
def test_an_alias_is_followed_and_its_target_stays_denied(case, lab):
    case.canary_may_leave = True
    name = fresh(case)
    target = dns.labels("cdn.evil.test")
    lab.dns.script(name, lambda q: [dns.reply(q.raw, [dns.cname("cdn.evil.test"), *dns.a(at.WILD, owner=target)]
                                              if q.qtype == dns.A else [])])
    assert ask(lab, name).addresses() == [at.WILD]
    assert web.http(lab.agent, name, address=at.WILD).body == b"WILD\n"
    assert web.http(lab.agent, "cdn.evil.test", address=at.WILD).status == 403
    case.no_query("cdn.evil.test")


def _aliases(count, final):
    """CNAME n -> n+1 … and the address of the last, each owner spelt out."""

    def answer(query):
        if query.qtype != dns.A:
            return [dns.reply(query.raw)]
        owner, records = b"\xc0\x0c", []
        for number in range(count):
            target = f"a{number}.wild.test"
            records.append(dns.cname(target, owner=owner))
            owner = dns.labels(target)
        return [dns.reply(query.raw, records + dns.a(final, owner=owner))]

    return answer


@threat("T042")
@pytest.mark.parametrize(("count", "works"), [(8, True), (16, True), (30, True), (65, False), (200, False)])
def test_alias_chains_are_bounded(case, lab, count, works):
    case.canary_may_leave = True
    name = fresh(case)
    lab.dns.script(name, _aliases(count, at.WILD))
    answer = ask(lab, name)
    assert (answer.addresses() == [at.WILD]) == works
    assert works or answer.rcode == dns.SERVFAIL


HOSTILE_ANSWERS = {
    "an alias of itself": lambda q: [dns.reply(q.raw, [dns.cname(q.name)])],
    "two aliases of one another": lambda q: [
        dns.reply(q.raw, [dns.cname("a.wild.test"), dns.cname(q.name, owner=dns.labels("a.wild.test")), *dns.a(at.EV, owner=dns.labels("b.wild.test"))])
    ],
    "an address of somebody else": lambda q: [
        dns.reply(q.raw, dns.a(at.EV, owner=dns.labels("other.wild.test")))
    ],
    "a self pointer": lambda q: [dns.reply(q.raw, [dns.record(dns.CNAME, b"\xc0\x2e"), *dns.a(at.EV)])],
    "a forward pointer": lambda q: [dns.reply(q.raw, dns.a(at.EV, owner=b"\xff\xf0"))],
    "a pointer into the header": lambda q: [dns.reply(q.raw, dns.a(at.EV, owner=b"\xc0\x00"))],
    "a label of 0x40": lambda q: [dns.reply(q.raw, dns.a(at.EV, owner=b"\x40" + b"a" * 64 + b"\0"))],
    "rdata beyond the packet": lambda q: [dns.reply(q.raw, [b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 400) + b"\x2d"])],
    "a count that lies": lambda q: [dns.reply(q.raw, dns.a(at.EV))[:6] + b"\xff\xff" + dns.reply(q.raw, dns.a(at.EV))[8:]],
    "an address of 3 bytes": lambda q: [dns.reply(q.raw, [dns.record(dns.A, b"\x2d\x21\x20")])],
    "nothing but a header": lambda q: [q.raw[:2] + b"\x81\x80" + b"\0" * 8],
    "eleven bytes": lambda q: [dns.reply(q.raw, dns.a(at.EV))[:11]],
    "a question, not an answer": lambda q: [q.raw],
}


@threat("T042", "T044")
@pytest.mark.parametrize("what", HOSTILE_ANSWERS)
def test_hostile_answers_are_not_believed(case, lab, what):
    case.canary_may_leave = True
    name = fresh(case)
    lab.dns.script(name, HOSTILE_ANSWERS[what])
    with lab.agent.entered():
        answer = dns.ask(at.GW, dns.question(name), timeout=8)
    assert answer is not None, "the client is told, not left waiting"
    assert at.EV not in answer.addresses()
    assert answer.rcode in (dns.SERVFAIL, dns.NOERROR, dns.NXDOMAIN)
    case.no_packet()


def _with_question(query, name):
    """An answer whose question is another's."""
    return query.raw[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + dns.labels(name) + b"\0\1\0\1" + dns.a(at.EV)[0]


FORGERIES = {
    "a wrong id": lambda q: [bytes([q.raw[0] ^ 1]) + dns.reply(q.raw, dns.a(at.EV))[1:]],
    "another question": lambda q: [_with_question(q, "other.wild.test")],
    "lower-cased question": lambda q: [dns.reply(q.raw[:12] + q.raw[12:].lower(), dns.a(at.EV))]
    if any(c.isupper() for c in q.wire_name)
    else [],
    "another class": lambda q: [dns.reply(q.raw[: dns.question_end(q.raw) - 2] + b"\0\3", dns.a(at.EV))],
}


@threat("T052")
@pytest.mark.parametrize("what", [w for w in FORGERIES if w != "lower-cased question"])
def test_forged_answers_are_ignored_and_the_true_one_is_taken(case, lab, what):
    case.canary_may_leave = True
    name = fresh(case)

    def both(query):
        if query.qtype != dns.A:
            return [dns.reply(query.raw)]
        return [*FORGERIES[what](query), dns.reply(query.raw, dns.a(at.WILD))]

    lab.dns.script(name, both)
    assert ask(lab, name).addresses() == [at.WILD]
    lab.dns.set(name, a=[at.WILD])
    assert ask(lab, name).addresses() == [at.WILD], "nothing of the forgery was cached"


@threat("T052")
def test_an_answer_with_the_letter_case_lost_is_not_taken_over_udp(case, lab):
    """0x20: a forger who cannot see the question cannot spell it. The careless server is asked over TCP."""
    case.canary_may_leave = True
    name = fresh(case)

    def lowered(query):
        if query.qtype != dns.A:
            return [dns.reply(query.raw)]
        if query.transport == "tcp":
            return [dns.reply(query.raw, dns.a(at.WILD))]
        return [dns.reply(query.raw[:12] + query.raw[12:].lower(), dns.a(at.EV))]

    lab.dns.script(name, lowered)
    with lab.agent.entered():
        answer = dns.ask(at.GW, dns.question(name), timeout=8)
    assert answer.addresses() in ([at.WILD], [])


@threat("T052")
def test_an_answer_from_another_port_or_address_is_ignored(case, lab):
    case.canary_may_leave = True
    name = fresh(case)
    with lab.up.entered():
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stranger.bind((at.NS, 0))
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other.bind((at.AL, 0))

    def answer(query):
        if query.qtype != dns.A:
            return [dns.reply(query.raw)]
        for link in (stranger, other):
            link.sendto(dns.reply(query.raw, dns.a(at.EV)), query.client)
        return [dns.reply(query.raw, dns.a(at.WILD))]

    lab.dns.script(name, answer)
    with stranger, other:
        assert ask(lab, name).addresses() == [at.WILD]


@threat("T052")
def test_questions_leave_from_unpredictable_ports_with_unpredictable_ids_and_case(case, lab):
    case.canary_may_leave = True
    mark = lab.dns.mark()
    names = [fresh(case) for _ in range(24)]
    for name in names:
        ask(lab, name)
    asked = [q for q in lab.dns.asked[mark:] if q.name in names and q.qtype == dns.A]
    assert len(asked) >= 24
    assert len({q.client[1] for q in asked}) > 20, "source ports"
    assert len({q.raw[:2] for q in asked}) > 20, "ids"
    assert sum(any(c.isupper() for c in q.wire_name) for q in asked) > 18, "letter case"


@threat("T052")
def test_answers_spoofed_by_the_agent_are_dropped(case, lab, raw_agent):
    case.canary_may_leave = True
    name = fresh(case)
    mac = raw_agent.call("neighbour_mac", at.GW)

    def slow_truth(query):
        if query.qtype != dns.A:
            return [dns.reply(query.raw)]
        lie = dns.reply(query.raw, dns.a(at.EV))
        for target in (query.client[0], at.GW):
            datagram = packets.udp(at.NS, target, 53, query.client[1], lie)
            raw_agent.call("frame", mac, packets.ETH_IPV4, [packets.ipv4(at.NS, target, packets.UDP, datagram)] * 3)
        return [dns.reply(query.raw, dns.a(at.WILD))]

    lab.dns.script(name, slow_truth)
    assert ask(lab, name).addresses() == [at.WILD]
    lab.dns.forget(name)


@threat("T052")
def test_a_truncated_answer_is_asked_again_over_tcp(case, lab):
    case.canary_may_leave = True
    name = fresh(case)

    def truncated(query):
        if query.transport == "udp" and query.qtype == dns.A:
            return [dns.reply(query.raw, dns.a(at.EV), flags=0x8380)]
        return [dns.reply(query.raw, dns.a(at.WILD) if query.qtype == dns.A else [])]

    lab.dns.script(name, truncated)
    assert ask(lab, name).addresses() == [at.WILD]


def test_a_client_without_edns_gets_what_fits_and_tc(case, lab):
    case.canary_may_leave = True
    name = f"{'x' * 30}.{'y' * 30}.{'z' * 30}.{fresh(case)}"
    lab.dns.set(name, aaaa=[f"2600:3c00::{number:x}" for number in range(1, 41)])
    answer = ask(lab, name, dns.AAAA)
    assert 0 < len(answer.records) < 16
    assert answer.flags & 0x0200, "TC: there is more"
    assert len(answer.raw) <= 512
    for whole in (ask_tcp(lab, name, dns.AAAA), ask(lab, name, dns.AAAA, edns=[])):
        assert len(whole.records) == 16 and not whole.flags & 0x0200


# --- HTTPS records ---

ALPN_H3_H2 = (1, b"\x02h3\x02h2")
ECH = (5, b"\x00\x04blob")


def _https(lab, name, *records):
    lab.dns.set(name, a=[at.WILD], extra=[(dns.HTTPS, list(records))])
    answer = ask(lab, name, dns.HTTPS)
    assert answer is not None
    return [data for _, kind, _, data in answer.records if kind == dns.HTTPS]


def _parameters(data):
    at_byte, found = 3, {}
    while at_byte < len(data):
        key, size = struct.unpack_from("!HH", data, at_byte)
        found[key] = data[at_byte + 4 : at_byte + 4 + size]
        at_byte += 4 + size
    return found


@threat("T048")
def test_ech_and_h3_are_taken_out_of_https_records_and_hints_are_checked(case, lab):
    case.canary_may_leave = True
    hints = (4, socket.inet_aton(at.WILD) + socket.inet_aton("169.254.169.254"))
    v6hints = (6, socket.inet_pton(socket.AF_INET6, "fd00::1"))
    kept = _https(lab, fresh(case), dns.https(1, "", [ALPN_H3_H2, hints, ECH, v6hints]))
    assert len(kept) == 1
    parameters = _parameters(kept[0])
    assert b"h3" not in kept[0]
    assert parameters.get(1) == b"\x02h2"
    assert 5 not in parameters and 6 not in parameters
    assert parameters.get(4, socket.inet_aton(at.WILD)) == socket.inet_aton(at.WILD)


@threat("T048")
def test_https_records_that_lead_elsewhere_are_left_out(case, lab):
    case.canary_may_leave = True
    assert _https(lab, fresh(case), dns.https(0, "evil.test")) == [], "an alias"
    assert _https(lab, fresh(case), dns.https(1, "evil.test", [(1, b"\x02h2")])) == [], "another target"
    assert _https(lab, fresh(case), dns.https(1, "", [(1, b"\x02h2"), (3, b"\x20\xfb")])) == [], "another port"
    assert _https(lab, fresh(case), dns.https(1, "", [(1, b"\x02h3")])) in ([], [b"\0\1\0"]), "nothing but h3"
    case.no_query("evil.test")
