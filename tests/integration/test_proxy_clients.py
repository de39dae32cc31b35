"""What clients of proxies do: SOCKS5, https URLs and addresses in absolute form, a Host that names the proxy, a proxy that is not there."""
# SPDX-License-Identifier: GPL-3.0-or-later

import ipaddress
import struct

import pytest

from lab import addresses as at
from lab import inspection, web
from lab import tls_wire as tls
from lab.http1 import statuses
from lab.origin import Origin

threat = pytest.mark.threat

PROXY = 8080
NUMBER, NAMED, OTHER = 1234, 5432, 5433  # ports of endpoints by address and by name, and one of none

ENDPOINTS = {(at.SPARE, 6, NUMBER), (at.SPARE, 6, NAMED)}

POLICY = f"""\
domains:
  - allowed.test
  - host: cdn-allowed.test
    rules: [{{methods: [GET], path: {{prefix: /ok/}}}}]
  - {{host: raw.wild.test, tls: inspect}}
endpoints:
  - {{cidr: {at.SPARE}/32, port: {NUMBER}}}
  - {{host: spare.wild.test, port: {NAMED}}}
"""


@pytest.fixture(scope="module")
def router(lab, gateway_binary, tmp_path_factory):
    del gateway_binary
    yield from inspection.inspecting_router(lab, tmp_path_factory, POLICY)


@pytest.fixture(scope="module")
def spare(lab):
    origin = Origin(lab.up, "SPARE", [at.SPARE], ports=(NUMBER, NAMED, OTHER), tls_ports=())
    yield origin
    origin.close()


def curl(lab, router, *words):
    return lab.run_client("curl", "-sS", "-m", "10", "--cacert", router.ca_certificate, *words)


def by_proxy(lab, *requests):
    """(statuses, all that is answered) of these request heads on one connection to the explicit proxy."""
    data = b"".join(head.replace("|", "\r\n").encode("latin1") for head in requests)
    answer, _ = web.talk(lab.agent, at.GW, PROXY, data)
    return statuses(answer), answer


# --- URLs ---


@threat("T085")
def test_an_https_url_is_fetched_over_verified_tls(case, lab, router):
    mark = lab.al.mark()
    found, answer = by_proxy(lab, "GET https://allowed.test/by-url HTTP/1.1|Host: 192.0.2.1:8080|Connection: close||")
    assert found == [200] and answer.endswith(b"AL\n"), answer
    (seen,) = lab.al.since(mark, "/by-url")
    assert seen.tls and seen.target == "/by-url" and seen.headers["host"] == "allowed.test"
    record = case.one_record(host="allowed.test", path="/by-url")
    assert (record["scheme"], record["port"], record["phase"], record["action"]) == ("https", 443, "http", "allowed")
    del router


@threat("T085")
def test_rules_look_at_requests_of_https_urls(case, lab, router):
    del router
    found, answer = by_proxy(
        lab,
        f"GET https://denied.test/{case.canary} HTTP/1.1|Host: allowed.test||",
        "GET https://cdn-allowed.test/ok/a HTTP/1.1|Host: cdn-allowed.test||",
        f"POST https://cdn-allowed.test/ok/{case.canary} HTTP/1.1|Host: cdn-allowed.test|Content-Length: 0|Connection: close||",
    )
    assert found == [403, 200, 403], answer
    case.no_query("denied.test")


@threat("T085")
def test_an_https_url_and_an_http_url_do_not_share_a_connection(case, lab, router):
    del case, router
    mark = lab.al.mark()
    urls = ["https://allowed.test/one", "http://allowed.test/two", "https://allowed.test/three", "http://allowed.test/four"]
    found, _ = by_proxy(lab, *[f"GET {url} HTTP/1.1|Host: allowed.test|{'Connection: close|' if 'four' in url else ''}|" for url in urls])
    assert found == [200] * 4
    assert [(seen.target, seen.tls) for seen in lab.al.since(mark)] == [("/one", True), ("/two", False), ("/three", True), ("/four", False)]


@threat("T085")
@pytest.mark.parametrize("url", ["https://allowed.test:8443/", "https://raw.wild.test/", f"https://{at.AL}/", "https://denied.test@allowed.test/", "https:///x"])
def test_an_https_url_that_cannot_be_verified_reaches_no_origin(case, lab, router, url):
    """Another port, an origin that speaks no TLS, an address, a user: none is an answer of an origin."""
    del router
    found, answer = by_proxy(lab, f"GET {url}{case.canary} HTTP/1.1|Host: allowed.test|Connection: close||")
    assert found in ([400], [403], [502]), answer
    case.no_canary()


NODE = """
require('http').get({host: '%s', port: %d, path: 'http://allowed.test/of-node'}, (answer) => {
  answer.resume();
  answer.on('end', () => console.log(answer.statusCode));
});
"""


def test_nodes_plain_request_names_the_proxy_in_host(case, lab, router):
    del case, router
    mark = lab.al.mark()
    code, said = lab.run_client("node", "-e", NODE % (at.GW, PROXY))
    assert (code, said) == (0, "200\n"), said
    (seen,) = lab.al.since(mark, "/of-node")
    assert seen.headers["host"] == "allowed.test"


@threat("T096")
@pytest.mark.parametrize(("name", "begins"), [("allowed.test", b"\x16"), ("cdn-allowed.test", b"\x15"), ("denied.test", b"\x15")])
def test_the_authority_of_connect_decides_and_tls_must_name_it(case, lab, router, name, begins):
    del router
    syns = lab.capture.mark()
    with web.connected(lab.agent, at.GW, PROXY) as link:
        link.sendall(f"CONNECT allowed.test:443 HTTP/1.1\r\nHost: {at.GW}:{PROXY}\r\n\r\n".encode())
        reader = web.Reader(link)
        assert reader.head().status == 200
        link.sendall(tls.client_hello(name))
        answer, _ = web.read_to_end(link, enough=1)
    assert (reader.buffer + answer)[:1] == begins
    if begins == b"\x15":
        case.no_syn(syns)


def test_an_address_in_a_url_is_what_the_endpoints_list(case, lab, router, spare):
    case.may_leave |= ENDPOINTS
    mark = spare.mark()
    code, said = curl(lab, router, "-x", f"http://{at.GW}:{PROXY}", f"http://{at.SPARE}:{NUMBER}/plain")
    assert (code, said) == (0, "SPARE\n")
    (seen,) = spare.since(mark, "/plain")
    assert seen.headers["host"] == f"{at.SPARE}:{NUMBER}"
    record = case.one_record(path="/plain")
    assert (record["action"], record["reason"], record["status"]) == ("allowed", "endpoint_allowed", 200)


@threat("T096", "T123")
@pytest.mark.parametrize("url", [f"http://{at.SPARE}:{OTHER}/", f"http://{at.SPARE}/", f"http://{at.AL}:{NUMBER}/", f"http://{at.GW}:{PROXY}/", "http://127.0.0.1:1234/", "http://169.254.169.254/"])
def test_another_address_or_port_is_not(case, lab, router, spare, url):
    del router, spare
    syns = lab.capture.mark()
    found, answer = by_proxy(lab, f"GET {url}{case.canary} HTTP/1.1|Host: {at.SPARE}:{NUMBER}|Connection: close||")
    assert found == [403], answer
    case.no_syn(syns)


# --- A proxy that is not there ---


@pytest.mark.parametrize("port", [80, 3128])
def test_connect_to_a_proxy_that_is_not_there_is_told_what_to_unset(case, lab, router, port):
    address = web.address_of(lab.agent, "proxy.denied.test")
    answer, _ = web.talk(lab.agent, address, port, b"CONNECT allowed.test:443 HTTP/1.1\r\nHost: allowed.test:443\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ") and b"Unset HTTPS_PROXY and HTTP_PROXY" in answer, answer
    case.no_syn()
    assert "HTTPS_PROXY" in case.one_record(action="blocked", method="CONNECT")["detail"]
    del router


# --- SOCKS5 ---


def socks(lab, target, port, command=1, then=b"", greeting=b"\x05\x01\x00"):
    """The answers to a greeting and to a request for `target`, and what follows when `then` is sent."""
    with web.connected(lab.agent, at.GW, PROXY) as link:
        link.sendall(greeting)
        chosen = link.recv(2)
        if chosen != b"\x05\x00":
            return chosen, b""
        try:
            packed = ipaddress.ip_address(target).packed
            where = (b"\x01" if len(packed) == 4 else b"\x04") + packed
        except ValueError:
            where = b"\x03" + bytes([len(target)]) + target.encode()
        link.sendall(bytes([5, command, 0]) + where + struct.pack("!H", port))
        reply = b""
        while len(reply) < 10 and (piece := link.recv(10 - len(reply))):
            reply += piece
        if then and reply[1:2] == b"\x00":
            link.sendall(then)
            return reply, web.read_to_end(link)[0]
    return reply, b""


GET = b"GET /of-socks HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(("url", "body"), [
    ("https://allowed.test/", "AL\n"), ("http://allowed.test/", "AL\n"), ("https://cdn-allowed.test/ok/a", "CDN\n"),
    (f"http://spare.wild.test:{NAMED}/", "SPARE\n"), (f"http://{at.SPARE}:{NUMBER}/", "SPARE\n"),
])  # fmt: skip
def test_curl_reaches_by_socks_what_the_policy_allows(case, lab, router, spare, url, body):
    del spare
    case.may_leave |= ENDPOINTS
    for option in ("--socks5-hostname", "--socks5"):
        trust = str(lab.ca.certificate) if url == "https://allowed.test/" else router.ca_certificate
        code, said = lab.run_client("curl", "-sS", "-m", "10", "--cacert", trust, option, f"{at.GW}:{PROXY}", url)
        assert (code, said) == (0, body), (option, said)


@threat("T096")
def test_a_denied_name_gets_the_page_by_socks_too(case, lab, router):
    for url in (f"http://denied.test/{case.canary}", f"https://denied.test/{case.canary}", f"https://cdn-allowed.test/{case.canary}"):
        code, said = curl(lab, router, "--socks5-hostname", f"{at.GW}:{PROXY}", url)
        assert code == 0 and said.startswith(f"Blocked by proxy policy: {url.split('/')[2]}"), (url, said)
    case.no_query("denied.test")


@threat("T096")
@pytest.mark.parametrize(("target", "port"), [
    ("denied.test", 22), ("allowed.test", 22), ("allowed.test", 8443), ("spare.wild.test", OTHER), ("gateway.internal", 8080),
    (at.AL, 22), (at.SPARE, OTHER), ("127.0.0.1", 22), ("169.254.169.254", 22), (at.GW, PROXY), (at.AL6, 22), ("::1", 8080), ("a b", 443), ("0x7f.1", 22),
])  # fmt: skip
def test_socks_to_anything_else_is_not_allowed_by_the_ruleset(case, lab, router, spare, target, port):
    del router, spare
    syns = lab.capture.mark()
    reply, _ = socks(lab, target, port)
    assert reply[:2] == b"\x05\x02", reply
    case.no_syn(syns)
    assert "status" not in case.one_record(action="blocked", phase="connect")


@threat("T053", "T096")
@pytest.mark.parametrize("inner", [
    tls.client_hello("denied.test"), tls.client_hello("cdn-allowed.test"), tls.record(tls.hello()), GET % b"allowed.test", b"SSH-2.0-x\r\n",
], ids=["another name", "another allowed name", "no name", "http", "ssh"])  # fmt: skip
def test_a_tunnel_by_socks_carries_nothing_but_tls_for_its_own_name(case, lab, router, inner):
    del router
    syns = lab.capture.mark()
    reply, answer = socks(lab, "allowed.test", 443, then=inner)
    assert reply[:2] == b"\x05\x00"
    assert answer[:1] in (b"", b"\x15"), answer[:60]
    case.no_syn(syns)


@threat("T077")
def test_http_by_socks_is_decided_by_its_own_host(case, lab, router):
    del router
    reply, answer = socks(lab, "allowed.test", 80, then=GET % b"denied.test" + GET % b"allowed.test")
    assert reply[:2] == b"\x05\x00"
    assert answer.startswith(b"HTTP/1.1 403") and answer.count(b"HTTP/1.1 ") == 1
    reply, answer = socks(lab, "allowed.test", 80, then=GET % b"allowed.test")
    assert answer.endswith(b"AL\n"), "the control"
    del case


def test_an_address_by_socks_is_served_as_if_it_had_been_dialled(case, lab, router):
    del router
    reply, answer = socks(lab, at.EV, 80, then=GET % b"allowed.test")
    assert reply[:2] == b"\x05\x00" and answer.endswith(b"AL\n"), "the name decides, not the address"
    reply, answer = socks(lab, at.AL, 443, then=tls.client_hello("denied.test"))
    assert answer[:1] in (b"\x15", b"\x16")
    case.no_query("denied.test")


@pytest.mark.parametrize("command", [2, 3, 9])
def test_only_connect_is_supported(case, lab, router, command):
    del router
    reply, _ = socks(lab, "allowed.test", 443, command=command)
    assert reply[:2] == b"\x05\x07"
    case.one_record(action="blocked", phase="connect")


@pytest.mark.parametrize("greeting", [b"\x05\x01\x02", b"\x05\x00"])
def test_a_client_that_insists_on_a_password_is_told(case, lab, router, greeting):
    del router
    assert socks(lab, "allowed.test", 443, greeting=greeting)[0] == b"\x05\xff"
    assert "password" in case.one_record(action="blocked", phase="connect")["detail"]


def test_the_gateways_own_pages_by_socks(case, lab, router):
    del case
    for scheme in ("http", "https"):
        code, said = curl(lab, router, "--socks5-hostname", f"{at.GW}:{PROXY}", f"{scheme}://gateway.internal/policy")
        assert code == 0 and "allowed.test" in said, said
