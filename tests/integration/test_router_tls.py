"""The name in a ClientHello decides, and nothing but the web's protocols passes under it."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import socket
import ssl
import struct
import time

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import tls_wire as tls
from lab import web
from lab.hellos import REFUSED, denied, refused, send

threat = pytest.mark.threat

ACCESS_DENIED = b"\x15\x03\x03\x00\x02\x02\x31"  # the whole alert


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


# --- Protocols ---


@threat("T074")
@pytest.mark.parametrize("host", ["allowed.test", "denied.test"])
def test_clear_http_on_443_is_told_so_and_not_relayed(case, lab, host):
    answer, _ = web.talk(lab.agent, at.AL, 443, web.request_bytes(host, f"/{case.canary}"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    for field in (b"X-Content-Type-Options: nosniff", b"X-Soleroute-Reason: malformed", b"Cache-Control: no-store"):
        assert field in answer, "as on every other page"
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
    goaway = protocol == "h2 preface" and b"Blocked by proxy policy: HTTP/2 without TLS" in answer
    assert goaway or answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 505", b"HTTP/1.1 501") or answer[:1] == b"\x15", answer[:60]
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
