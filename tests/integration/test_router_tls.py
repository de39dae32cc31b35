"""THREATS B.4: what a ClientHello says, however it is cut, decides; nothing that is not one reaches an origin."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import socket
import ssl
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import tls_wire as tls
from lab import wait, web
from lab.case import Live

threat = pytest.mark.threat

ACCESS_DENIED = b"\x15\x03\x03\x00\x02\x02\x31"  # the whole alert
REFUSED = ("alert", "rst", "fin")
DENIED = ("page", "alert")  # the gateway shakes hands to show its page; beyond its budget of those, and in vain, it is an alert


def answered(lab, data, address=at.AL, **options):
    """Raw bytes to port 443: what came back, told from the first byte."""
    return tls.verdict(*web.talk(lab.agent, address, 443, data, enough=1, **options))


def send(lab, data, address=at.AL, **options):
    """The same, of one connection alone, with who shook hands: "origin" if somebody was dialled, "page" if nobody was."""
    mark = lab.capture.mark()
    how = answered(lab, data, address, **options)
    if how != "handshake":
        return how
    return "origin" if lab.capture.syns(mark) else "page"


def refused(case, lab, data, address=at.AL, ends=REFUSED, **options):
    """Refused within two seconds, and nobody was dialled for it."""
    mark = lab.capture.mark()
    begin = time.monotonic()
    how = send(lab, data, address, **options)
    assert how in ends, (how, data[:60])
    assert time.monotonic() - begin < 2 + options.get("delay", 0) * len(data)
    case.no_syn(mark)
    return how


def denied(case, lab, data, address=at.AL, **options):
    """A hello in order, for a name that the policy does not allow."""
    how = refused(case, lab, data, address, DENIED, **options)
    case.record(phase="tls", action="blocked", reason="host_not_allowed")
    return how


def all_at_once(function, items, workers=16):
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))


# --- Names ---


@threat("C01", "T053")
def test_an_allowed_name_reaches_its_origin_with_the_origins_own_certificate(case, lab):
    with web.tls(lab.agent, "allowed.test", lab.ca.certificate) as link:
        issuer = dict(pair[0] for pair in link.getpeercert()["issuer"])
        assert issuer["commonName"] == "Soleroute test authority"
        link.sendall(web.request_bytes("allowed.test", "/"))
        assert web.Reader(link).response().body == b"AL\n"
    record = case.record(phase="tls", action="allowed", host="allowed.test")
    assert record["matched_host"] == "allowed.test"
    assert record["rule"].endswith("policy.yaml:2")


@threat("T053")
@pytest.mark.parametrize("alpn", [(), (b"http/1.1",)], ids=["no ALPN", "http/1.1"])
def test_a_denied_name_is_answered_by_the_gateway_and_logged(case, lab, alpn):
    assert send(lab, tls.client_hello("denied.test", alpn=alpn), at.EV) == "page"
    record = case.one_record(phase="tls", action="blocked", host="denied.test")
    assert record["reason"] == "host_not_allowed"
    assert record["client"] == at.AG
    assert record["destination"] == f"{at.EV}:443"
    case.no_packet()


@threat("T075")
def test_a_denied_name_of_another_protocol_gets_an_alert_and_no_page(case, lab):
    answer, how = web.talk(lab.agent, at.EV, 443, tls.client_hello("denied.test", alpn=(b"ssh",)))
    assert (answer, how) == (ACCESS_DENIED, "fin")
    assert case.one_record(phase="tls", action="blocked", host="denied.test")["reason"] == "host_not_allowed"
    case.no_packet()


@threat("T053")
@pytest.mark.parametrize("address", [at.EV, "8.8.8.8", "10.99.0.1", "169.254.169.254"], ids=lambda a: a)
def test_the_clients_own_address_is_not_used_for_an_allowed_name(case, lab, address):
    """Fronting by address: the gateway dials where the name really leads."""
    with web.tls(lab.agent, "allowed.test", lab.ca.certificate, address=address) as link:
        link.sendall(web.request_bytes("allowed.test", "/"))
        assert web.Reader(link).response().body == b"AL\n"
    case.no_packet()


@threat("T054", "C14")
def test_of_two_names_behind_one_address_only_the_allowed_one_works(case, lab):
    assert web.https(lab.agent, "cdn-allowed.test", lab.ca.certificate).body == b"CDN\n"
    denied(case, lab, tls.client_hello("cdn-denied.test"), at.CDN)


@threat("T055")
@pytest.mark.parametrize("data", [tls.record(tls.hello()), tls.record(tls.hello(tls.extension(0, b""))),
                                  tls.record(tls.hello(tls.extension(0, b"\0\0")))], ids=["none", "empty", "no entry"])  # fmt: skip
def test_without_a_name_there_is_no_default(case, lab, data):
    refused(case, lab, data)
    record = case.record(phase="tls", action="blocked", reason=lambda r: r in ("no_sni", "malformed", "invalid_name"))
    assert "host" not in record


IP_NAMES = ["45.33.32.66", "45.33.32.10", "[::1]", "::1", "1.1.1.1.", "0x2d212042", "757145666", "055.041.040.0102", "45.33.8258",
            "127.1", "\uff10.\uff10.\uff10.\uff10", "0x2d.0x21.0x20.0x42"]  # fmt: skip


@threat("T056")
@pytest.mark.parametrize("name", IP_NAMES)
def test_addresses_are_not_names(case, lab, name):
    mark = lab.dns.mark()
    refused(case, lab, tls.client_hello(name.encode()))
    assert lab.dns.asked[mark:] == []


@threat("T056")
def test_a_name_that_begins_like_an_address_is_a_name(case, lab):
    assert send(lab, tls.client_hello("45.33.32.66.wild.test"), at.WILD, wait=0.5) == "origin"
    del case


@threat("T057", "C01")
@pytest.mark.parametrize("name", ["ALLOWED.TEST", "Allowed.Test", "X.WILD.test"])
def test_letter_case_does_not_matter(case, lab, name):
    assert send(lab, tls.client_hello(name), wait=0.5) == "origin"
    del case


@threat("T057")
def test_a_trailing_dot_gets_one_decision_everywhere(case, lab):
    by_tls = send(lab, tls.client_hello("allowed.test."), wait=0.5) == "origin"
    by_http = web.http(lab.agent, "allowed.test.", "/", at.AL).status == 200
    with lab.agent.entered():
        by_dns = dns.ask(at.GW, dns.question("allowed.test.")).addresses() == [at.AL]
    assert by_tls == by_http == by_dns is True
    denied(case, lab, tls.client_hello("denied.test."))
    for name in ("allowed.test..", ".allowed.test", "."):
        refused(case, lab, tls.client_hello(name))


BAD_BYTES = [
    b"evil.test\0.allowed.test", b"evil.test\0.wild.test", b"allowed.test\0", b"allowed.test\r\nX", b"allowed.test ",
    b"\tallowed.test", b"allowed.test/", b"evil.test#.wild.test", b"evil.test?.wild.test", b"evil.test@x.wild.test", b"*.wild.test",
    b"a..wild.test", b".wild.test", b"a%2e.wild.test", b"a\x80.wild.test", b"a\xff.wild.test", b"a\x1b[2J.wild.test", b"a\x7f.wild.test",
    b"allowed.test:443", b"https://allowed.test", b"a\\.wild.test", b"a'.wild.test", b"a;b.wild.test", b"(a).wild.test", b"",
]  # fmt: skip


@threat("T058", "T123")
@pytest.mark.parametrize("name", BAD_BYTES, ids=repr)
def test_bytes_that_no_host_name_has_are_refused(case, lab, name):
    mark = lab.dns.mark()
    refused(case, lab, tls.client_hello(name))
    assert lab.dns.asked[mark:] == []
    case.record(phase="tls", action="blocked")


LOOK_ALIKES = [
    b"xn--80ak6aa92e.test", b"\xd0\xb0llowed.test", b"allowed\xe3\x80\x82test", b"allowed\xef\xbc\x8etest", b"allow\xc2\xaded.test",
    b"a\xcc\x81llowed.test", b"XN--80AK6AA92E.TEST", b"xn--a-.test", b"xn--.test", b"\xef\xbd\x81llowed.test",
]  # fmt: skip


@threat("T059")
@pytest.mark.parametrize("name", LOOK_ALIKES, ids=repr)
def test_look_alikes_are_other_names(case, lab, name):
    refused(case, lab, tls.client_hello(name), ends=(*REFUSED, "page"))
    case.record(phase="tls", action="blocked", reason=lambda r: r in ("host_not_allowed", "invalid_name", "malformed"))


@threat("T060")
@pytest.mark.parametrize("name", [
    "a" * 64 + ".wild.test", ("a" * 63 + ".") * 3 + "a" * 52 + ".wild.test", ("a" * 63 + ".") * 4 + "wild.test",
    ("a" * 63 + ".") * 16 + "wild.test", ("a" * 63 + ".") * 250 + "wild.test", "a." * 130 + "wild.test",
], ids=lambda n: f"{len(n)} bytes")  # fmt: skip
def test_over_long_names_are_refused(case, lab, name):
    mark = lab.dns.mark()
    refused(case, lab, tls.client_hello(name))
    assert lab.dns.asked[mark:] == []


@threat("T060")
def test_the_longest_legal_name_is_looked_up(case, lab):
    name = ("a" * 63 + ".") * 3 + "b" * 51 + ".wild.test"
    assert len(name) == 253
    assert send(lab, tls.client_hello(name), wait=0.5) == "origin"
    del case


A, D = b"allowed.test", b"denied.test"


@threat("T061")
@pytest.mark.parametrize("extension", [
    tls.sni(A, D), tls.sni(D, A), tls.sni(A, A), tls.sni((1, D), A), tls.sni((1, A)), tls.sni((255, b""), A), tls.sni(*[A] * 500),
    tls.sni(A) + tls.sni(D), tls.sni(A) + tls.sni(A), tls.sni(A, (1, b"x")),
], ids=["A D", "D A", "A A", "1D A", "1A", "255 A", "500", "two extensions", "twice", "A 1x"])  # fmt: skip
def test_anything_but_one_name_is_refused(case, lab, extension):
    refused(case, lab, tls.record(tls.hello(extension)))


# --- Lengths, records and segments ---


@threat("T063")
def test_no_mutated_byte_lets_a_denied_hello_through(case, lab):
    good = tls.client_hello("denied.test")
    mutated = [good[:i] + bytes([good[i] ^ flip]) + good[i + 1 :] for i in range(len(good)) for flip in (0x01, 0x80)]
    ends = all_at_once(lambda data: answered(lab, data, at.EV, finish=True, wait=5), mutated)
    assert set(ends) <= {*REFUSED, "handshake"}, set(ends)
    case.no_syn()


@threat("T063")
def test_a_mutated_allowed_hello_is_passed_unchanged_or_refused(case, lab):
    good = tls.client_hello("allowed.test")
    mutated = [good[:i] + bytes([good[i] ^ 0x20]) + good[i + 1 :] for i in range(len(good))]
    ends = all_at_once(lambda data: answered(lab, data, finish=True, wait=5), mutated)
    assert set(ends) <= {*REFUSED, "handshake"}, set(ends)
    assert {"alert", "handshake"} <= set(ends)
    del case


@threat("T063")
def test_a_truncated_hello_is_never_taken_for_one_without_a_name(case, lab):
    good = tls.client_hello("allowed.test")
    ends = all_at_once(lambda cut: answered(lab, good[:cut], finish=True, wait=5), range(1, len(good)))
    assert set(ends) <= set(REFUSED), set(ends)
    case.no_syn()


def _lying(case_name):
    name = b"allowed.test"
    entry = b"\0" + tls.u16(name)
    bodies = {
        "list longer than extension": struct.pack("!H", len(entry) + 50) + entry,
        "list shorter than names": struct.pack("!H", len(entry) - 4) + entry,
        "empty name": tls.u16(b"\0\0\0"),
        "name longer than list": tls.u16(b"\0" + struct.pack("!H", 200) + name),
        "bytes after the list": tls.u16(entry) + b"tail",
    }
    if case_name in bodies:
        return tls.record(tls.hello(tls.extension(0, bodies[case_name])))
    message = tls.hello(tls.sni(name))
    return {
        "extensions longer than message": tls.record(message[:-30]),
        "handshake shorter than extensions": tls.record(b"\x01" + struct.pack("!I", len(message) - 40)[1:] + message[4:]),
        "bytes after the extensions": tls.record(b"\x01" + tls.u24(message[4:] + b"tail")),
        "record of 1": tls.record(message[:1]),
        "record of 4": tls.record(message[:4]),
        "session id of 33": tls.record(b"\x01" + tls.u24(message[4:38] + b"\x21" + b"s" * 33 + message[71:])),
        "odd cipher suites": tls.record(b"\x01" + tls.u24(message[4:71] + tls.u16(b"\x13\x01\x13") + b"\x01\0" + message[93:])),
        "no compression": tls.record(b"\x01" + tls.u24(message[4:91] + b"\0" + message[93:])),
        "a server hello": tls.record(b"\x02" + message[1:]),
        "a hello request first": tls.record(b"\0\0\0\0" + message),
    }[case_name]


@threat("T063")
@pytest.mark.parametrize("what", [
    "list longer than extension", "list shorter than names", "empty name", "name longer than list", "bytes after the list",
    "extensions longer than message", "handshake shorter than extensions", "bytes after the extensions", "record of 1", "record of 4",
    "session id of 33", "odd cipher suites", "no compression", "a server hello", "a hello request first",
])  # fmt: skip
def test_lengths_that_lie_are_refused(case, lab, what):
    refused(case, lab, _lying(what), finish=True)


@threat("T064", "C04")
def test_one_byte_segments_change_nothing(case, lab):
    assert send(lab, tls.client_hello("allowed.test"), step=1, delay=0.001, wait=1) == "origin"
    denied(case, lab, tls.client_hello("denied.test"), step=1, delay=0.001)
    denied(case, lab, tls.client_hello("denied.test"), step=3, delay=0.002)


@threat("T064", "C04")
def test_a_pause_within_the_first_bytes_is_waited_for(case, lab):
    for name, dialled in (("allowed.test", True), ("denied.test", False)):
        data = tls.client_hello(name)
        with web.connected(lab.agent, at.AL, 443) as link:
            link.sendall(data[:3])
            mark = lab.capture.mark()
            time.sleep(1.5)  # the client's own pause is the case
            case.no_syn(mark)
            link.sendall(data[3:])
            assert tls.verdict(link.recv(16), "") in (("handshake",) if dialled else ("handshake", "alert"))
            assert bool(lab.capture.syns(mark)) == dialled


@threat("C04")
def test_a_hello_in_two_records_split_anywhere_is_one_hello(case, lab):
    message = tls.hello(tls.sni(b"allowed.test"))
    other = tls.hello(tls.sni(b"denied.test"))
    cuts = range(1, len(message), 5)
    before = lab.al.connections
    ends = all_at_once(lambda n: answered(lab, tls.record(message[:n]) + tls.record(message[n:]), wait=0.5), cuts)
    assert set(ends) == {"handshake"}
    assert lab.al.connections - before == len(cuts), "each with the origin"
    mark = lab.capture.mark()
    cuts = range(1, len(other), 5)
    ends = all_at_once(lambda n: answered(lab, tls.record(other[:n]) + tls.record(other[n:])), cuts)
    assert set(ends) <= {"handshake", "alert"}
    case.no_syn(mark)
    blocked = {"type": "decision", "phase": "tls", "host": "denied.test", "reason": "host_not_allowed"}
    wait.until(lambda: len(case.log.find(case.log_start, **blocked)) == len(cuts), "a record of each")


@threat("T066", "C04")
def test_one_byte_records_and_empty_ones_before_a_hello_hide_nothing(case, lab):
    for name, expected in ((b"allowed.test", ("origin",)), (b"denied.test", DENIED)):
        message = tls.hello(tls.sni(name))
        assert send(lab, tls.fragmented(message, 1), wait=1) in expected
        assert send(lab, tls.record(b"") + tls.record(message), wait=1) in (*expected, "alert")
    denied(case, lab, tls.record(b"") + tls.client_hello("denied.test"))


@threat("T066")
@pytest.mark.parametrize("first", [
    tls.record(b"") * 1000, tls.record(b"\x01", tls.CCS), tls.record(b"\x01\x00", tls.ALERT), tls.record(b"x", tls.APPLICATION),
    tls.record(b"\x01\0\0", 24), tls.record(b"", tls.APPLICATION), tls.record(b"", 255),
], ids=["1000 empty", "ccs", "alert", "application data", "heartbeat", "empty application data", "type 255"])  # fmt: skip
@pytest.mark.parametrize("name", ["denied.test", "allowed.test"])
def test_other_records_before_the_hello_are_refused(case, lab, first, name):
    refused(case, lab, first + tls.client_hello(name))


@threat("T067", "C02")
@pytest.mark.parametrize("pad", [1400, 1900, 2100, 4096, 8192, 12000, 15000])
def test_a_late_name_in_a_large_hello_is_still_read(case, lab, pad):
    message = tls.hello(tls.sni(b"allowed.test"), pad=pad)
    data = tls.fragmented(message, 16000)
    assert send(lab, data, wait=1) in ("origin", "alert"), "an OpenSSL origin may refuse the longest itself"
    if pad <= 12000:
        assert send(lab, data, wait=1) == "origin"
        assert send(lab, data, wait=1, step=1400, delay=0.01) == "origin"
    denied(case, lab, tls.fragmented(tls.hello(tls.sni(b"denied.test"), pad=pad), 16000))


@threat("T067")
def test_a_hello_over_the_bound_is_refused_as_too_large(case, lab):
    message = tls.hello(tls.sni(b"allowed.test"), pad=14000)
    refused(case, lab, tls.fragmented(message, 1))  # five bytes of record header for each of the message
    case.record(phase="tls", action="blocked", reason="too_large")


@threat("T068")
def test_a_claimed_16_mib_hello_is_cut_at_the_bound(case, lab, router):
    before = router.resident_bytes()
    data = tls.record(b"\x01\xff\xff\xff" + b"\0" * 16000) + tls.record(b"\0" * 16000) * 8
    with Live(lab, lab.neighbour):
        ends = all_at_once(lambda _: answered(lab, data), range(200))
    assert set(ends) <= set(REFUSED)
    assert router.resident_bytes() - before < 64 << 20
    del case


@threat("T068", "T134")
def test_silence_and_dripping_end_at_the_stated_time_out(case, lab):
    """Ten seconds from the connection to the decision, whatever is dribbled meanwhile."""
    drips = {443: tls.client_hello("allowed.test"), 80: b"GET / HTTP/1.1\r\nHost: allowed.test\r\n" + b"X: y\r\n" * 50}

    def one(kind):
        port, silent = kind
        drip = drips[port]
        with web.connected(lab.agent, at.AL, port) as link:
            link.settimeout(0.5)
            begin = time.monotonic()
            for at_byte in range(len(drip)):
                try:
                    if not silent:
                        link.sendall(drip[at_byte : at_byte + 1])
                    if not link.recv(4096):
                        break
                except (socket.timeout, TimeoutError):
                    continue
                except OSError:
                    break
            return time.monotonic() - begin

    took = all_at_once(one, [(port, silent) for port in drips for silent in (True, False)])
    assert all(9 < seconds < 12 for seconds in took), took
    case.record(action="blocked", reason="timed_out")
    case.no_syn()


# --- Versions ---


@threat("T069", "C03")
def test_grease_and_odd_versions_do_not_hide_the_name(case, lab):
    assert send(lab, tls.client_hello("allowed.test", grease=True), wait=1) == "origin"
    for options in ({"grease": True}, {"versions": b"\x03\x04"}, {"tls13": False}, {"legacy": b"\x03\x01"}, {"ciphers": b"\xfa\xfa"}):
        denied(case, lab, tls.client_hello("denied.test", **options))
    for version in (b"\x03\x00", b"\x03\x01", b"\x03\x03", b"\x03\x04"):
        assert send(lab, tls.record(tls.hello(tls.sni(b"allowed.test")), version=version), wait=1) in ("origin", "alert")
        denied(case, lab, tls.record(tls.hello(tls.sni(b"denied.test")), version=version))
    for version in (b"\x7f\x00", b"\x02\x00", b"\x00\x03"):
        refused(case, lab, tls.record(tls.hello(tls.sni(b"allowed.test")), version=version))


SSLV2 = bytes.fromhex("802e0100020015000000100100800300800700c006004002008004008000000a0000050000040000090000060000031f" "0123456789abcdef" "00")


@threat("T070")
@pytest.mark.parametrize("data", [
    SSLV2, SSLV2[:3] + b"\x03\x01" + SSLV2[5:], tls.record(b"\x01" + tls.u24(b"\x03\x00" + os.urandom(32) + b"\0" + b"\0\x02\0\x05" + b"\x01\0"), version=b"\x03\x00"),
], ids=["SSLv2", "SSLv2 that announces 3.1", "SSLv3 without extensions"])  # fmt: skip
def test_old_hellos_have_no_name_and_no_way(case, lab, data):
    refused(case, lab, data, finish=True)


@threat("T072")
def test_a_second_hello_changes_nothing_about_where_the_connection_goes(case, lab):
    """After a HelloRetryRequest the name could change; the dialled origin cannot. The residual risk is documented."""
    case.canary_may_leave = True
    retry = b"\x03\x03" + bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c") + b"\0" + b"\x13\x01\0" + \
        tls.u16(tls.extension(43, b"\x03\x04") + tls.extension(51, b"\0\x1d"))  # fmt: skip
    got = []

    def origin(link):
        got.append(link.recv(65536))
        link.sendall(tls.record(b"\x02" + tls.u24(retry), version=b"\x03\x03"))
        got.append(link.recv(65536))

    with lab.raw.serving(origin), web.connected(lab.agent, at.RAW, 443) as link:
        link.sendall(tls.client_hello("raw.wild.test", share=False))
        assert link.recv(4096)[:1] == b"\x16"
        link.sendall(tls.client_hello("denied.test"))
        assert web.read_to_end(link)[1] in ("fin", "rst")
    wait.until(lambda: len(got) == 2, "the origin's side")
    case.no_packet()


@threat("T074")
@pytest.mark.parametrize("host", ["allowed.test", "denied.test"])
def test_clear_http_on_443_is_told_so_and_not_relayed(case, lab, host):
    answer, _ = web.talk(lab.agent, at.AL, 443, web.request_bytes(host, f"/{case.canary}"))
    assert answer.startswith(b"HTTP/1.1 400") or answer == b""
    case.no_syn()
    case.record(action="blocked", host=host)


@threat("T074")
@pytest.mark.parametrize("name", ["allowed.test", "denied.test"])
def test_tls_on_80_is_refused(case, lab, name):
    answer, how = web.talk(lab.agent, at.AL, 80, tls.client_hello(name))
    assert tls.verdict(answer, how) in REFUSED
    case.no_syn()


OTHERS = {
    "ssh": b"SSH-2.0-x\r\n", "socks4": b"\x04\x01\x00\x50\x2d\x21\x20\x42\0", "socks5": b"\x05\x01\x00", "smtp": b"EHLO x\r\n",
    "openvpn": b"\x00\x0e\x38" + b"\x01" * 14, "h2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0",
    "rdp": b"\x03\x00\x00\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0", "mqtt": b"\x10\x10\0\4MQTT\4\2\0\x3c\0\4test", "random": b"\xa7" + os.urandom(4095),
    "dns": struct.pack("!H", 30) + dns.question("allowed.test"), "redis": b"*1\r\n$4\r\nPING\r\n", "nul": b"\0", "newline": b"\n",
}  # fmt: skip


@threat("T075", "T022")
@pytest.mark.parametrize("port", [80, 443])
@pytest.mark.parametrize("protocol", OTHERS)
def test_other_protocols_on_web_ports_are_refused(case, lab, protocol, port):
    answer, how = web.talk(lab.agent, at.AL, port, OTHERS[protocol], finish=protocol in ("nul", "newline", "mqtt", "socks5"))
    assert how != "timeout", "at once"
    assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 505", b"HTTP/1.1 501") or answer[:1] == b"\x15", answer[:60]
    case.no_syn()


@threat("T075")
@pytest.mark.parametrize("alpn", [b"dot", b"ssh", b"acme-tls/1", b"smtp", b"doq"])
def test_protocols_that_are_not_the_webs_are_refused_by_alpn(case, lab, alpn):
    mark = lab.capture.mark()
    how = send(lab, tls.client_hello("allowed.test", alpn=(alpn,)), wait=1)
    assert how in REFUSED, "recommended default: h2, http/1.1 or none"
    case.no_syn(mark)


@threat("T075", "C01")
@pytest.mark.parametrize("alpn", [(), (b"http/1.1",), (b"h2", b"http/1.1")], ids=["none", "http/1.1", "h2"])
def test_web_protocols_pass_by_alpn(case, lab, alpn):
    assert send(lab, tls.client_hello("allowed.test", alpn=alpn), wait=1) == "origin"
    del case


# --- Connections that were let through ---


@threat("C10")
def test_half_close_still_gets_the_rest_of_the_answer(case, lab):
    case.canary_may_leave = True

    def origin(link):
        data = b""
        while more := link.recv(65536):
            data += more
        link.sendall(b"all " + str(len(data)).encode())

    with lab.raw.serving(origin), web.connected(lab.agent, at.RAW, 443) as link:
        hello = tls.client_hello("raw.wild.test")
        link.sendall(hello + case.canary.encode())
        link.shutdown(socket.SHUT_WR)
        assert web.read_to_end(link) == (b"all %d" % (len(hello) + 16), "fin")


@threat("C16")
def test_an_origin_that_resets_or_is_slow_is_passed_on_as_it_is(case, lab):
    def resetting(link):
        link.recv(65536)
        link.sendall(b"partial")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with lab.raw.serving(resetting):
        answer, how = web.talk(lab.agent, at.RAW, 443, tls.client_hello("raw.wild.test"))
        assert how in ("rst", "fin")
        assert b"partial".startswith(answer)

    def slow(link):
        link.recv(65536)
        time.sleep(11)  # longer than any time-out before the decision
        link.sendall(b"late")

    with lab.raw.serving(slow):
        assert web.talk(lab.agent, at.RAW, 443, tls.client_hello("raw.wild.test"), wait=20) == (b"late", "fin")
    del case


def test_bulk_both_ways_arrives_whole(case, lab):
    size = 32 << 20
    ca = lab.ca.certificate
    with lab.capture.headers_only():
        assert len(web.https(lab.agent, "allowed.test", ca, f"/bytes/{size}", timeout=60).body) == size
        body = b"u" * (16 << 20)
        uploaded = web.https(lab.agent, "allowed.test", ca, "/upload", method="POST", body=body, timeout=60)
    assert uploaded.body == str(len(body)).encode()
    del case


def test_the_bytes_of_the_hello_are_forwarded_unchanged(case, lab):
    """What was inspected is what is sent."""
    case.canary_may_leave = True
    got = []

    def origin(link):
        data = b""
        while not data.endswith(b"END"):
            data += link.recv(65536)
        got.append(data)

    data = tls.fragmented(tls.hello(tls.sni(b"raw.wild.test"), pad=3000), 700) + b"then" + case.canary.encode() + b"END"
    with lab.raw.serving(origin):
        web.talk(lab.agent, at.RAW, 443, data, step=333, delay=0.001)
    assert got == [data]


def test_an_untrusting_client_sees_no_certificate_but_the_origins(case, lab):
    context = ssl.create_default_context()
    with web.connected(lab.agent, at.AL, 443) as raw, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(raw, server_hostname="allowed.test")
    del case
