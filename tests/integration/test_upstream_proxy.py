"""A corporate proxy as the only way out: each kind of proxy carries each kind of flow, and nothing goes around it."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import socket
import subprocess

import pytest
import yaml

from lab import addresses as at
from lab import corporate, inspection, page_examples, web
from lab import gateway as gateways
from lab.origin import Origin

threat = pytest.mark.threat

POLICY = f"""\
domains:
  - plain.proxied.test
  - {{host: seen.proxied.test, tls: inspect}}
  - refused.proxied.test
  - nowhere.proxied.test
  - direct.corp.test
  - allowed.test
endpoints:
  - {{host: db.proxied.test, port: {corporate.ENDPOINT_PORT}, protocol: tcp}}
"""
NAMES = ["plain.proxied.test", "seen.proxied.test", "refused.proxied.test", "db.proxied.test", "denied.proxied.test", "allowed.test"]
LOGIN = f"{corporate.USER}@"

# name: (the proxy, the URL, with the password file)
KINDS = {
    "squid": (lambda lab, folder: corporate.Squid(lab, folder), "http://{}", False),
    "squid with a login": (lambda lab, folder: corporate.Squid(lab, folder, login=True), "http://" + LOGIN + "{}", True),
    "squid over TLS": (lambda lab, folder: corporate.Squid(lab, folder, tls=lab.ca.issue(corporate.NAME)), "https://{}", False),
    "mitmproxy": (lambda lab, folder: corporate.Mitmproxy(lab, folder), "http://{}", False),
    "mitmproxy with a login": (lambda lab, folder: corporate.Mitmproxy(lab, folder, login=True), "http://" + LOGIN + "{}", True),
    "socks5h": (lambda lab, folder: corporate.Socks(lab), "socks5h://{}", False),
    "socks5h with a login": (lambda lab, folder: corporate.Socks(lab, login=True), "socks5h://" + LOGIN + "{}", True),
}


@pytest.fixture(scope="module", autouse=True)
def outside(lab, gateway_binary):
    """What the proxies can reach: one origin for all names, on the ports of the web and of an endpoint."""
    del gateway_binary
    if corporate.available():
        pytest.skip(corporate.available())
    corporate.place(lab, *NAMES)
    certificate = lab.ca.issue("plain.proxied.test", "seen.proxied.test", "direct.corp.test")
    origin = Origin(lab.up, "SPARE", [at.SPARE], certificate, ports=(80, corporate.ENDPOINT_PORT))
    lab.dns.set("direct.corp.test", a=[at.SPARE])
    yield origin
    origin.close()
    lab.up.etc("hosts", "127.0.0.1 localhost\n")


@pytest.fixture
def chained(lab, make_gateway, tmp_path):
    """chained(url, more arguments, proxy=…): a gateway that serves and asks that proxy."""
    closers = []

    def make(url, *arguments, proxy=None, policy=POLICY, environment=None):
        if proxy is not None:
            closers.append(proxy.close)
        target = url.format(f"{corporate.NAME}:{corporate.PORT}") if url else None
        options = ["--upstream-proxy", target] if target else []
        more = ["--trust", str(lab.ca.certificate), *options, *arguments]
        gateway = make_gateway(policy=policy, arguments=more, environment=environment)
        gateway.ca_certificate = str(tmp_path / "gateway-ca.pem")
        gateway.start()
        inspection.publish(gateway)
        return gateway

    yield make
    for close in closers:
        close()


def password_file(tmp_path):
    path = tmp_path / "proxy-password"
    path.write_text(corporate.PASSWORD + "\n")
    return path


def start(lab, tmp_path, kind):
    """(the proxy, its URL, the options of its login)."""
    make, url, login = KINDS[kind]
    folder = corporate.folder(lab)
    options = ["--upstream-proxy-password-file", str(password_file(tmp_path))] if login else []
    return make(lab, folder), url, options


def dialled(lab, mark):
    """Where the gateway began connections, but for DNS."""
    return {p.destination for p in lab.capture.syns(mark) if p.dport != 53}


def through_the_explicit_proxy(lab, data):
    with web.connected(lab.agent, at.GW, 8080) as link:
        link.sendall(data)
        return web.Reader(link).response()


def connect(lab, authority):
    """CONNECT through the gateway's explicit proxy: an open link, or the refusing response."""
    with lab.agent.entered():
        link = socket.create_connection((at.GW, 8080), 10)
    link.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    reader = web.Reader(link)
    return link, reader.head()


def websocket(lab, gateway):
    """A handshake and an echo inside inspected TLS."""
    with web.tls(lab.agent, "seen.proxied.test", gateway.ca_certificate) as link:
        upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        link.sendall(web.request_bytes("seen.proxied.test", "/ws", headers=upgrade))
        reader = web.Reader(link)
        assert reader.response().status == 101
        link.sendall(b"\x81\x85\0\0\0\0hello")
        assert reader.exactly(7)[2:] == b"hello"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_proxy_carries_each_kind_of_flow(lab, chained, tmp_path, outside, kind):
    proxy, url, options = start(lab, tmp_path, kind)
    gateway = chained(url, *options, proxy=proxy)
    mark, asked = lab.capture.mark(), outside.mark()
    ca = lab.ca.certificate

    # Passed through and inspected TLS, and HTTP in clear, two requests on one connection.
    assert web.https(lab.agent, "plain.proxied.test", ca, "/one").status == 200
    assert web.https(lab.agent, "seen.proxied.test", gateway.ca_certificate, "/two").status == 200
    address = web.address_of(lab.agent, "plain.proxied.test")
    assert at.stands_for_denied([address]), "the name does not resolve here: DNS answers with an address of the gateway's"
    with web.connected(lab.agent, address, 80) as link:
        reader = web.Reader(link)
        for path in ("/three", "/four?q=1"):
            link.sendall(web.request_bytes("plain.proxied.test", path, headers=["X-Mark: yes"]))
            assert reader.response().status == 200
    # A body in clear, and one inside TLS.
    for name, how, trusted in (("plain.proxied.test", web.http, None), ("seen.proxied.test", web.https, gateway.ca_certificate)):
        arguments = [trusted] if trusted else []
        answer = how(lab.agent, name, *arguments, "/echo", method="POST", body=b"sent" * 5000)
        assert answer.status == 200 and b"sent" * 5000 in answer.body
    # The explicit proxy, with and without CONNECT.
    clear = through_the_explicit_proxy(lab, b"GET http://plain.proxied.test/five HTTP/1.1\r\nHost: plain.proxied.test\r\n\r\n")
    assert clear.status == 200
    link, head = connect(lab, "plain.proxied.test:443")
    assert head.status == 200
    link.close()
    # An endpoint by name, redirected and by CONNECT.
    assert web.http(lab.agent, "db.proxied.test", "/six", port=corporate.ENDPOINT_PORT).status == 200
    link, head = connect(lab, f"db.proxied.test:{corporate.ENDPOINT_PORT}")
    with link:
        assert head.status == 200
        link.sendall(web.request_bytes("db.proxied.test", "/seven"))
        assert web.Reader(link).response().status == 200
    websocket(lab, gateway)

    got = {r.target for r in outside.requests[asked:]}
    assert {"/one", "/two", "/three", "/four?q=1", "/five", "/six", "/seven", "/ws"} <= got, "targets in origin form"
    assert not [r for r in outside.requests[asked:] if "proxy-authorization" in r.headers], "the login is the proxy's alone"
    assert dialled(lab, mark) == {corporate.ADDRESS}, "nothing goes around the proxy"
    assert corporate.PASSWORD.encode() not in b"\n".join(gateway.log.lines) + gateway.errors
    assert corporate.PASSWORD not in json.dumps(gateway.status())


@threat("T096")
@pytest.mark.parametrize("kind", ["squid", "mitmproxy", "socks5h"])
def test_what_the_policy_denies_never_reaches_the_proxy(lab, chained, tmp_path, kind):
    proxy, url, options = start(lab, tmp_path, kind)
    gateway = chained(url, *options, proxy=proxy)
    mark = lab.capture.mark()
    address = web.address_of(lab.agent, "denied.proxied.test")
    assert web.http(lab.agent, "denied.proxied.test", "/x", address).status == 403
    assert web.https(lab.agent, "denied.proxied.test", gateway.ca_certificate, "/x", address).status == 403
    for authority in ("denied.proxied.test:443", f"plain.proxied.test:{corporate.ENDPOINT_PORT}", f"{corporate.ADDRESS}:{corporate.PORT}",
                      f"{corporate.NAME}:{corporate.PORT}", f"{at.SPARE}:443", "0x0ac8000a:443", "plain.proxied.test\t:443",
                      "plain.proxied.test:443\rX: y", "[::1]:443", "127.0.0.1:443"):  # fmt: skip
        link, head = connect(lab, authority)
        link.close()
        assert head.status in (400, 403), authority
    # The proxy itself is an address like any other: no way for the agent to ask it.
    for port in (corporate.PORT, 80, 443):
        answer, how = web.talk(lab.agent, corporate.ADDRESS, port, b"CONNECT denied.proxied.test:443 HTTP/1.1\r\nHost: denied.proxied.test\r\n\r\n")
        assert not answer.startswith(b"HTTP/1.1 200") and not answer.startswith(b"HTTP/1.0 200"), (port, answer, how)
    assert not lab.capture.contains(mark, b"denied.proxied.test")
    assert dialled(lab, mark) == set()
    assert "denied" not in proxy.text()
    assert web.https(lab.agent, "plain.proxied.test", lab.ca.certificate).status == 200, "the control"
    assert dialled(lab, mark) == {corporate.ADDRESS}


def test_a_proxy_that_intercepts_with_a_private_ca(lab, chained):
    folder = corporate.folder(lab)
    proxy = corporate.Mitmproxy(lab, folder, intercepts=True)
    gateway = chained("http://{}", proxy=proxy)
    answer = web.https(lab.agent, "seen.proxied.test", gateway.ca_certificate)
    assert answer.status == 502 and b"certificate" in answer.body, "the control: its CA is not trusted"
    gateway.stop()
    gateway = chained("http://{}", "--trust", str(proxy.authority))
    assert web.https(lab.agent, "seen.proxied.test", gateway.ca_certificate, "/inspected").status == 200
    assert web.https(lab.agent, "plain.proxied.test", proxy.authority, "/passed").status == 200


def test_exceptions_are_dialled_directly_with_the_rules_for_addresses(lab, chained, tmp_path):
    proxy, url, _ = start(lab, tmp_path, "squid")
    lab.dns.set("inside.corp.test", a=["10.200.0.99"])
    gateway = chained(url, "--no-upstream-proxy", ".corp.test", "--no-upstream-proxy", f"{at.AL}/32", proxy=proxy,
                      policy=POLICY.replace("  - allowed.test", "  - allowed.test\n  - inside.corp.test"))  # fmt: skip
    mark = lab.capture.mark()
    assert web.https(lab.agent, "direct.corp.test", lab.ca.certificate).status == 200
    assert web.http(lab.agent, "allowed.test").status == 200, "its address is in a range that is dialled directly"
    assert dialled(lab, mark) == {at.SPARE, at.AL}
    answer = web.resolve(lab.agent, "inside.corp.test")
    assert answer.addresses() == [], "a private address that the policy does not list"
    assert web.https(lab.agent, "plain.proxied.test", lab.ca.certificate).status == 200
    assert dialled(lab, mark) == {at.SPARE, at.AL, corporate.ADDRESS}
    assert "directly: corp.test, 45.33.32.10/32" in gateway.status()["upstream_proxy"]


def reason_of(gateway, mark):
    return gateway.log.wait_for(mark, type="decision", reason="upstream_failed", phase=lambda phase: phase != "dns")["detail"]


def failing(lab, gateway, name="plain.proxied.test"):
    """The page over HTTP in clear, and what the log says where TLS is passed through."""
    page = web.http(lab.agent, name, "/")
    mark = gateway.log.mark()
    with pytest.raises(OSError):
        web.https(lab.agent, name, lab.ca.certificate)
    return page, reason_of(gateway, mark)


def test_a_proxy_that_wants_a_password_says_so_to_the_person(lab, chained, tmp_path):
    proxy, _, _ = start(lab, tmp_path, "squid with a login")
    gateway = chained("http://{}", proxy=proxy)
    page, detail = failing(lab, gateway)
    words = f"upstream proxy {corporate.NAME}:{corporate.PORT} answered 407: give a user and a password"
    assert page.status == 502 and words in page.body.decode() and words in detail
    assert "proxy-authenticate" not in page.headers
    gateway.stop()
    gateway = chained(f"http://{LOGIN[:-1]}:wrong@{{}}")
    page, detail = failing(lab, gateway)
    assert "the user name or password is wrong" in page.body.decode() and "the user name or password is wrong" in detail
    assert b"visible in the process list" in gateway.errors


def test_a_proxy_that_refuses_or_is_not_there_is_named_and_nothing_is_dialled(lab, chained, tmp_path):
    proxy, url, _ = start(lab, tmp_path, "squid")
    gateway = chained(url, proxy=proxy)
    mark = gateway.log.mark()
    lab_mark = lab.capture.mark()
    with pytest.raises(OSError):
        web.https(lab.agent, "refused.proxied.test", lab.ca.certificate)
    assert "answered 403 Forbidden to CONNECT refused.proxied.test:443" in reason_of(gateway, mark)
    assert web.http(lab.agent, "nowhere.proxied.test").status in (502, 503), "what the proxy says of a name that it does not know"
    proxy.close()
    page, detail = failing(lab, gateway)
    refused = f"upstream proxy {corporate.NAME}:{corporate.PORT}: connect to {corporate.ADDRESS}:{corporate.PORT}: Connection refused"
    assert page.status == 502 and refused in page.body.decode() and refused in detail
    assert web.http(lab.agent, "allowed.test").status == 502, "a name that resolves here is not dialled directly either"
    assert dialled(lab, lab_mark) == {corporate.ADDRESS}


@pytest.mark.parametrize("answer,words", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", None),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200\n\n", None),
    (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20000 + b"\r\n\r\n", "does not speak HTTP"),
    (b"HTTP/1.1 100 Continue\r\n\r\n" * 10, "answered 100"),
    (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "without an answer"),
    (b"HTTP/1.1 2000 OK\r\n\r\n", "does not speak HTTP"),
    (b"HTTP/1.1 502 Bad \x1b[31mGateway\r\n\r\n", "answered 502 Bad ?[31mGateway to CONNECT"),
    (b"", "without an answer"),
], ids=["a length and chunks", "interim and bare LF", "too long", "too many interim answers", "another protocol", "four digits", "control characters", "nothing"])  # fmt: skip
def test_the_answer_of_a_proxy_is_read_strictly(lab, chained, outside, answer, words):
    origin = Origin(lab.up, "PROXY", [corporate.ADDRESS], ports=(corporate.PORT,))
    banner = b"220 hello\r\n"  # the destination speaks first, in the same packet as the proxy's answer

    def serve(connection, request):
        del request
        connection.send(answer + (banner if words is None else b""))
        return False

    origin.script(f"db.proxied.test:{corporate.ENDPOINT_PORT}", serve)
    gateway = chained("http://{}", proxy=origin)
    mark = gateway.log.mark()
    address = web.address_of(lab.agent, "db.proxied.test")
    got, _ = web.talk(lab.agent, address, corporate.ENDPOINT_PORT, b"", wait=5)
    if words is None:
        assert got == banner, "what follows the head is the destination's"
    else:
        assert got == b"" and words in reason_of(gateway, mark)
    del outside


def test_the_configuration_of_the_page(lab, chained, tmp_path):
    """docs/networks.md: the variables of the gateway's container."""
    proxy, _, _ = start(lab, tmp_path, "squid with a login")
    stack = yaml.safe_load(page_examples.block("docs/networks.md", "Corporate proxy"))
    variables = stack["services"]["gateway"]["environment"]
    secret = variables["SOLEROUTE_UPSTREAM_PROXY_PASSWORD_FILE"]
    assert secret.startswith("/run/secrets/")
    variables["SOLEROUTE_UPSTREAM_PROXY_PASSWORD_FILE"] = str(password_file(tmp_path))
    gateway = chained(None, proxy=proxy, environment=variables)
    mark = lab.capture.mark()
    assert web.https(lab.agent, "plain.proxied.test", lab.ca.certificate).status == 200
    assert web.https(lab.agent, "direct.corp.test", lab.ca.certificate).status == 200
    assert dialled(lab, mark) == {corporate.ADDRESS, at.SPARE}
    said = gateway.log.wait_for(0, type="lifecycle", event="upstream_proxy")
    assert "http://proxy.corp.test:3128" in json.dumps(said) and corporate.PASSWORD not in json.dumps(said)


def test_a_dry_run_names_the_proxy_without_its_login(lab):
    command = [gateways.binary(), "--dry-run", "--inside", "ag0", "--upstream-proxy", "http://me:hidden@proxy.corp.test:3128"]
    done = subprocess.run(lab.gw.command(*command), capture_output=True, text=True, check=True)
    assert "# Upstream proxy: http://proxy.corp.test:3128\n" in done.stdout
    assert "hidden" not in done.stdout + done.stderr
