"""Endpoints and hosts on other ports: ranges, names below a suffix, SSH on 443, HTTP and TLS under rules."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import ssl

import pytest

from lab import addresses as at
from lab import inspection, page_examples, web
from lab.origin import Origin
from lab.rawserver import accepting
from test_udp_endpoints import Server, exchange

POLICY = f"""\
domains:
  - allowed.test
  - {{host: web.wild.test, ports: [443, 8443, 3000], rules: [{{methods: [GET]}}]}}
  - {{host: plain.wild.test, ports: [8443]}}
  - {{host: mqtt.wild.test, alpn: [x-amzn-mqtt-ca]}}
endpoints:
  - {{host: db.wild.test, ports: [5400-5499, 5600]}}
  - {{host: "*.pool.wild.test", port: 6000}}
  - {{host: "*.pool.wild.test", ports: 50-60, protocol: udp}}
  - {{host: ssh.wild.test, port: 443, protocol: tcp}}
  - {{host: cdn.wild.test, port: 443, protocol: tcp}}
  - {{host: smtp.wild.test, port: 443, protocol: tcp}}
  - {{host: grpc.wild.test, port: 80, protocol: tcp}}
  - {{cidr: {at.SPARE}/32, port: 1234}}
"""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BANNER = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"


@pytest.fixture(scope="module")
def router(lab, gateway_binary, tmp_path_factory):
    del gateway_binary
    yield from inspection.inspecting_router(lab, tmp_path_factory, POLICY)


class Taken(list):
    heard = b""


@contextlib.contextmanager
def echo(lab, address, port, greeting=b""):
    """A server that greets, and then answers in capitals; gives the connections it took, and what it heard."""
    taken = Taken()

    def serve(link):
        taken.append(link)
        link.sendall(greeting)
        data = link.recv(4096)
        taken.heard += data
        link.sendall(data.upper())

    with accepting(lab.up, address, port, serve):
        yield taken


@pytest.fixture(scope="module")
def others(lab):
    """HTTP on 3000 and TLS on 8443 of SPARE."""
    origin = Origin(lab.up, "OTHER", [at.SPARE], lab.ca.issue("*.wild.test"), ports=(3000,), tls_ports=(8443,))
    for name in ("web.wild.test", "plain.wild.test"):
        lab.dns.set(name, a=[at.SPARE])
    yield origin
    origin.close()
    for name in ("web.wild.test", "plain.wild.test"):
        lab.dns.forget(name)


def said(lab, address, port, data=b"hello", enough=5):
    return web.talk(lab.agent, address, port, data, enough=enough)[0]


@contextlib.contextmanager
def tunnel(lab, authority):
    """A connection whose CONNECT was answered."""
    with web.connected(lab.agent, at.GW, 8080) as link:
        link.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        web.Reader(link).head()
        yield link


def said_in_tunnel(lab, authority, data):
    with tunnel(lab, authority) as link:
        link.sendall(data)
        return web.read_to_end(link, enough=5)[0]


# --- Endpoints ---


def test_an_endpoint_has_the_ports_of_its_ranges_and_no_others(lab, router):
    lab.dns.set("db.wild.test", a=[at.RAW])
    assert web.resolve(lab.agent, "db.wild.test").addresses() == [at.RAW]
    for port, works in ((5400, True), (5499, True), (5600, True), (5399, False), (5500, False)):
        with echo(lab, at.RAW, port) as taken:
            assert said(lab, at.RAW, port) == (b"HELLO" if works else b""), port
            assert bool(taken) == works
    assert router.status()["rules"]["differences"] == []


def test_names_below_a_suffix_are_endpoints_once_dns_gave_their_address(lab, router):
    lab.dns.set("one.pool.wild.test", a=[at.RAW])
    with echo(lab, at.RAW, 6000) as taken:
        mark = router.log.mark()
        assert said(lab, at.RAW, 6000) == b"" and not taken, "no client has looked the name up yet"
        record = router.log.wait_for(mark, phase="connect", port=6000)
        assert "*.pool.wild.test" in record["detail"]
        assert web.resolve(lab.agent, "one.pool.wild.test").addresses() == [at.RAW]
        mark = router.log.mark()
        assert said(lab, at.RAW, 6000) == b"HELLO"
        assert router.log.wait_for(mark, phase="connect", port=6000)["host"] == "one.pool.wild.test"


def test_udp_endpoints_have_ranges_and_names_below_a_suffix_too(lab, router):
    lab.dns.set("two.pool.wild.test", a=[at.RAW])
    assert web.resolve(lab.agent, "two.pool.wild.test").addresses() == [at.RAW]
    for port, works in ((50, True), (60, True), (49, False), (61, False)):
        server = Server(lab.up, at.RAW, port, b"udp ")
        answer = exchange(lab.agent, at.RAW, port, wait_s=3.0 if works else 0.3)
        server.close()
        assert (answer == (b"udp hello", (at.RAW, port))) == works and bool(server.seen) == works, port
    assert web.resolve(lab.agent, "two.pool.wild.test").addresses() == [at.RAW], "53, in the range, is the gateway's"
    assert router.status()["rules"]["differences"] == []


def test_a_name_is_looked_up_for_a_client_that_has_its_address_from_before(lab, router):
    """And connections to other addresses cost upstream no more than one look-up of each name."""
    lab.dns.set("db.wild.test", a=[at.SPARE, at.RAW])
    router.stop()
    router.start()
    with echo(lab, at.RAW, 5432), echo(lab, at.EV, 5432) as evil:
        mark = lab.dns.mark()
        assert said(lab, at.RAW, 5432) == b"HELLO", "after a restart the client need not ask again"
        assert lab.dns.since(mark, "db.wild.test")
        mark = lab.dns.mark()
        for _ in range(20):
            assert said(lab, at.EV, 5432) == b""
        assert len(lab.dns.since(mark, "db.wild.test")) <= 4 and not evil


def test_an_address_in_an_endpoint_works_redirected_and_by_connect(lab, router):
    with echo(lab, at.SPARE, 1234):
        assert said(lab, at.SPARE, 1234) == b"HELLO"
        assert said_in_tunnel(lab, f"{at.SPARE}:1234", b"hello") == b"HELLO"
    with echo(lab, at.SPARE, 1235) as taken:
        assert said(lab, at.SPARE, 1235) == b"" and not taken, "the control"
        assert b"HELLO" not in said_in_tunnel(lab, f"{at.SPARE}:1235", b"hello") and not taken
    del router


# --- SSH on 443, on 80 all but HTTP ---


def test_ssh_on_443_passes_for_the_client_that_was_told_the_address(lab, router):
    """What is neither TLS nor HTTP, and only for a name that an endpoint lists; refused readably before."""
    lab.dns.set("ssh.wild.test", a=[at.SPARE])
    with echo(lab, at.SPARE, 443) as taken:
        mark = router.log.mark()
        assert said(lab, at.SPARE, 443, BANNER) == b"" and not taken
        assert "SSH" in router.log.wait_for(mark, reason="malformed")["detail"]
        assert web.resolve(lab.agent, "ssh.wild.test").addresses() == [at.SPARE]
        assert said(lab, at.SPARE, 443, BANNER) == BANNER.upper() and taken
        record = router.log.wait_for(mark, phase="connect", host="ssh.wild.test")
        assert (record["action"], record["port"]) == ("allowed", 443)
        taken.clear()
        for smuggled in (b"GET / HTTP/1.1\r\nHost: cdn-denied.test\r\n\r\n", b"SSH-2.0-x / HTTP/1.1\r\nHost: a\r\n\r\n",
                         b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"):  # fmt: skip
            said(lab, at.SPARE, 443, smuggled)
            assert not taken, smuggled
        assert web.talk(lab.neighbour, at.SPARE, 443, BANNER)[0] == b"" and not taken, "another client was not told"


def test_tls_for_another_name_does_not_pass_by_the_endpoint(lab, router):
    """An address shared with denied names, as those of CDNs are, leads to the listed name alone."""
    lab.dns.set("cdn.wild.test", a=[at.CDN])
    lab.dns.set("smtp.wild.test", a=[at.SPARE])
    assert web.resolve(lab.agent, "cdn.wild.test").addresses() == [at.CDN]
    mark = router.log.mark()
    with pytest.raises((ssl.SSLError, OSError)), web.tls(lab.agent, "cdn-denied.test", lab.ca.certificate, at.CDN):
        pass
    assert router.log.wait_for(mark, phase="tls", host="cdn-denied.test")["action"] == "blocked"
    with echo(lab, at.SPARE, 443, greeting=b"220 hi\r\n"):
        assert web.resolve(lab.agent, "smtp.wild.test").addresses() == [at.SPARE]
        assert web.talk(lab.agent, at.SPARE, 443, b"", enough=6)[0] == b"220 hi\r\n", "a server that speaks first"


def test_ssh_on_443_passes_by_connect(lab, router):
    lab.dns.set("ssh.wild.test", a=[at.SPARE])
    with echo(lab, at.SPARE, 443) as taken:
        assert said_in_tunnel(lab, "ssh.wild.test:443", BANNER).startswith(b"SSH-2") and taken
        taken.clear()
        assert b"SSH-2" not in said_in_tunnel(lab, "mqtt.wild.test:443", BANNER), "the control: no endpoint has it"
        assert not taken
    del router


def test_a_tunnel_that_was_silent_is_decided_again_when_it_speaks(lab, router):
    """A reload that withdraws the endpoint meanwhile refuses it."""
    lab.dns.set("ssh.wild.test", a=[at.SPARE])
    try:
        with echo(lab, at.SPARE, 443) as taken, tunnel(lab, "ssh.wild.test:443") as link:
            router.reload(POLICY.replace("ssh.wild.test", "other.wild.test"))
            link.sendall(BANNER)
            assert web.read_to_end(link, enough=5)[0] == b""
            assert BANNER not in taken.heard
            assert router.log.wait_for(0, phase="connect", host="ssh.wild.test", action="blocked")
    finally:
        router.reload(POLICY)


def test_http2_in_clear_is_refused_in_words_also_for_an_endpoint(lab, router):
    """Its requests name other hosts of a shared address, which nothing reads."""
    assert b"Use HTTP/1.1 or https" in web.talk(lab.agent, at.AL, 80, PREFACE)[0]
    lab.dns.set("grpc.wild.test", a=[at.SPARE])
    assert web.resolve(lab.agent, "grpc.wild.test").addresses() == [at.SPARE]
    with echo(lab, at.SPARE, 80) as taken:
        for data in (PREFACE, PREFACE[:18]):
            assert b"Use HTTP/1.1 or https" in said(lab, at.SPARE, 80, data, enough=300), data
            assert b"PRI" not in said_in_tunnel(lab, "grpc.wild.test:80", data)
        assert not taken
    with echo(lab, at.SPARE, 80, greeting=b"\0\0\0\4\0\0\0\0\0") as taken:
        assert said(lab, at.SPARE, 80, b"") == b"", "nor where the server begins with it"
    with echo(lab, at.SPARE, 80) as taken:
        assert said(lab, at.SPARE, 80, BANNER) == BANNER.upper(), "the control"
        assert router.log.wait_for(0, phase="connect", host="grpc.wild.test", action="allowed")


def test_alpn_of_the_entry_passes_and_others_do_not(lab, router):
    lab.dns.set("mqtt.wild.test", a=[at.WILD])
    with web.tls(lab.agent, "mqtt.wild.test", lab.ca.certificate, at.WILD, alpn=("x-amzn-mqtt-ca",)) as link:
        assert link.version()
    mark = router.log.mark()
    with pytest.raises((ssl.SSLError, OSError)), web.tls(lab.agent, "mqtt.wild.test", lab.ca.certificate, at.WILD, alpn=("ssh",)):
        pass
    assert "alpn: [ssh]" in router.log.wait_for(mark, phase="tls", host="mqtt.wild.test", action="blocked")["detail"]


# --- HTTP and TLS on other ports ---


def tls_on(lab, host, port, authority, request):
    context = ssl.create_default_context(cafile=str(authority))
    with web.connected(lab.agent, at.SPARE, port) as raw, context.wrap_socket(raw, server_hostname=host) as link:
        link.sendall(request)
        return web.Reader(link).response()


def test_https_on_another_port_is_inspected_under_the_rules(lab, router, others):
    seen = others.mark()
    good = tls_on(lab, "web.wild.test", 8443, router.ca_certificate, web.request_bytes("web.wild.test:8443", "/good"))
    assert (good.status, good.body) == (200, b"OTHER\n")
    bad = tls_on(lab, "web.wild.test", 8443, router.ca_certificate, web.request_bytes("web.wild.test:8443", "/bad", "POST"))
    assert (bad.status, bad.headers["x-soleroute-reason"]) == (403, "no_rule_matched")
    other = tls_on(lab, "web.wild.test", 8443, router.ca_certificate, web.request_bytes("web.wild.test:443", "/other"))
    assert other.status == 400, "the connection has one port"
    assert not others.since(seen, "/bad") and not others.since(seen, "/other")
    record = router.log.wait_for(0, phase="http", host="web.wild.test", path="/good")
    assert (record["scheme"], record["port"]) == ("https", 8443)
    passed = tls_on(lab, "plain.wild.test", 8443, lab.ca.certificate, web.request_bytes("plain.wild.test:8443", "/"))
    assert passed.body == b"OTHER\n", "unopened, with the origin's own certificate"


def test_http_on_another_port_goes_by_the_rules(lab, router, others):
    seen = others.mark()
    assert web.http(lab.agent, "web.wild.test:3000", "/good", address=at.SPARE, port=3000).body == b"OTHER\n"
    bad = web.http(lab.agent, "web.wild.test:3000", "/bad", address=at.SPARE, port=3000, method="POST")
    assert (bad.status, bad.headers["x-soleroute-reason"]) == (403, "no_rule_matched")
    for host in ("allowed.test:3000", "plain.wild.test:3000"):
        refused = web.http(lab.agent, host, "/bad", address=at.SPARE, port=3000)
        assert (refused.status, refused.headers["x-soleroute-reason"]) == (403, "endpoint_not_allowed"), host
    denied = web.http(lab.agent, "denied.test:3000", "/bad", port=3000, address=web.address_of(lab.agent, "denied.test"))
    assert denied.status == 403 and b"denied.test" in denied.body
    assert not others.since(seen, "/bad")
    del router


def test_the_explicit_proxy_takes_other_ports_too(lab, router, others):
    with web.connected(lab.agent, at.GW, 8080) as link:
        link.sendall(b"GET http://web.wild.test:3000/good HTTP/1.1\r\nHost: web.wild.test:3000\r\n\r\n")
        assert web.Reader(link).response().body == b"OTHER\n"
        link.sendall(b"GET http://web.wild.test:3001/bad HTTP/1.1\r\nHost: web.wild.test:3001\r\n\r\n")
        assert web.Reader(link).response().status == 403
    with tunnel(lab, "web.wild.test:8443") as link:
        context = ssl.create_default_context(cafile=router.ca_certificate)
        with context.wrap_socket(link, server_hostname="web.wild.test") as inner:
            inner.sendall(web.request_bytes("web.wild.test:8443", "/good"))
            assert web.Reader(inner).response().body == b"OTHER\n"
    with tunnel(lab, "web.wild.test:3000") as link:
        link.sendall(web.request_bytes("web.wild.test:3000", "/bad", "POST"))
        assert web.Reader(link).response("POST").status == 403, "each request in the tunnel is decided"
    del others


def test_the_block_of_the_page_is_a_policy(lab, router):
    router.reload(page_examples.block("docs/networks.md", "Services on other ports"))
    assert router.status()["rules"]["differences"] == []
    router.reload(POLICY)
    del lab
