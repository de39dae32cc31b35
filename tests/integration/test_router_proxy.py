"""The explicit proxy, `endpoints:` and observe mode: the other ways in are held by the same decision."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import shutil
import socket
import subprocess
import threading

import pytest

from lab import addresses as at
from lab import tls_wire as tls
from lab import web
from lab.case import Case

threat = pytest.mark.threat

PROXY = 8080


def connect(lab, authority, then=b"", headers="", wait=4.0):
    """CONNECT, and when it is granted `then`: (status, what came behind the head, how it ended)."""
    with web.connected(lab.agent, at.GW, PROXY, timeout=wait) as link:
        link.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{headers}\r\n".encode("latin1"))
        reader = web.Reader(link)
        try:
            head = reader.head()
        except (ConnectionError, OSError) as error:
            return 0, b"", str(error)
        if head.status != 200:
            return head.status, reader.buffer, "refused"
        link.sendall(then)
        answer, how = web.read_to_end(link, enough=1)
        return 200, reader.buffer + answer, how


def absolute(lab, url, host=None, extra="Connection: close\r\n"):
    host = host or url.split("/")[2]
    data = f"GET {url} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n".encode("latin1")
    return web.talk(lab.agent, at.GW, PROXY, data)


@threat("T096")
def test_connect_to_an_allowed_host_carries_tls_for_that_name(case, lab):
    status, answer, _ = connect(lab, "allowed.test:443", tls.client_hello("allowed.test"))
    assert (status, answer[:1]) == (200, b"\x16")
    del case


@threat("T096")
@pytest.mark.parametrize("authority", [
    "denied.test:443", "evil.test:443", "allowed.test:22", "allowed.test:80", "allowed.test:8443", "allowed.test:0", "allowed.test:65536", "allowed.test",
    "169.254.169.254:80", "169.254.169.254:443", "127.0.0.1:443", f"{at.AL}:443", f"{at.EV}:443", "[::1]:443", f"[{at.AL6}]:443", "localhost:443",
    f"{at.GW}:8080", f"{at.GWUP}:22", "allowed.test@denied.test:443", "allowed.test:443:443", "0x2d21200a:443", "metadata.google.internal:80", "/",
])  # fmt: skip
def test_connect_to_anything_else_is_refused(case, lab, authority):
    mark = lab.capture.mark()
    status, _, how = connect(lab, authority)
    assert status in (400, 403, 405) or (status == 0 and "ended" in how), (status, how)
    case.no_syn(mark)


@threat("T053", "T096")
@pytest.mark.parametrize("inner", [
    tls.client_hello("denied.test"), tls.client_hello("cdn-allowed.test"), tls.record(tls.hello()), b"GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
    b"SSH-2.0-x\r\n", b"\x05\x01\x00",
], ids=["another name", "another allowed name", "no name", "http", "ssh", "socks"])  # fmt: skip
def test_a_granted_tunnel_carries_nothing_but_tls_for_its_own_name(case, lab, inner):
    """What other tools get wrong: CONNECT to an allowed host as a tunnel for anything unseen."""
    mark = lab.capture.mark()
    status, answer, _ = connect(lab, "allowed.test:443", inner)
    assert status == 200
    assert answer[:1] in (b"", b"\x15"), answer[:60]
    case.no_syn(mark)


def test_an_allowed_absolute_url_is_fetched_and_others_are_refused(case, lab):
    assert absolute(lab, "http://allowed.test/x")[0].endswith(b"AL\n")
    answer, _ = absolute(lab, f"http://denied.test/{case.canary}")
    assert answer.startswith(b"HTTP/1.1 403") and b"Blocked by proxy policy: denied.test" in answer
    for url in ("https://denied.test/", "https://allowed.test:8443/", f"http://{at.AL}/", f"https://{at.AL}/", "http://127.0.0.1/", "ftp://allowed.test/", "http://allowed.test:8080/"):
        mark = lab.capture.mark()
        answer, _ = absolute(lab, url)
        assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 403", b""), (url, answer[:60])
        case.no_syn(mark)
    case.no_query("denied.test")


@threat("T085")
@pytest.mark.parametrize("host", ["denied.test", f"{at.GW}:8080", "allowed.test:8080"])
def test_the_url_decides_and_its_host_is_all_that_the_origin_sees(case, lab, host):
    """RFC 9112 section 3.2.2; Node's http.request names the proxy in Host."""
    answer, _ = absolute(lab, f"http://denied.test/{case.canary}", "allowed.test")
    assert answer.startswith(b"HTTP/1.1 403") and b"Blocked by proxy policy: denied.test" in answer
    case.no_syn()
    mark = lab.al.mark()
    answer, _ = absolute(lab, "http://allowed.test/by-url", host)
    assert answer.endswith(b"AL\n"), answer
    (seen,) = lab.al.since(mark, "/by-url")
    assert seen.head.lower().count(b"\r\nhost:") == 1 and seen.headers["host"] == "allowed.test", seen.head


def test_an_origin_form_request_to_the_proxy_is_no_way_to_the_gateway_itself(case, lab):
    for path in ("/", "/metrics", "/policy", "/reload", "/health"):
        answer, _ = web.talk(lab.agent, at.GW, PROXY, web.request_bytes(f"{at.GW}:{PROXY}", path, headers=["Connection: close"]))
        assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 404"), answer[:80]
    case.no_syn()


def test_a_denied_name_on_the_proxys_port_gets_the_page(case, lab):
    """Its address represents the name, and every port of it leads to the gateway."""
    address = web.address_of(lab.agent, "sub.evil.test")
    assert at.stands_for_denied([address])
    response = web.http(lab.agent, f"sub.evil.test:{PROXY}", f"/{case.canary}", address, port=PROXY)
    assert response.status == 403
    text = response.body.decode()
    assert text.startswith("Blocked by proxy policy: sub.evil.test (to allow it, add to ")
    assert "endpoints:\n  - {host: sub.evil.test, port: 8080}\n" in text
    record = case.one_record(phase="http", action="blocked", host="sub.evil.test")
    assert (record["port"], record["reason"], record["status"]) == (PROXY, "endpoint_not_allowed", 403)
    for host in ("allowed.test", "gateway.internal", f"{at.GW}:{PROXY}"):
        answer, _ = web.talk(lab.agent, at.GW, PROXY, web.request_bytes(host, f"/{case.canary}", headers=["Connection: close"]))
        assert answer.startswith(b"HTTP/1.1 400"), (host, answer[:60])
    case.no_query("evil.test")


@threat("T132")
def test_proxy_credentials_stay_here(case, lab):
    case.canary_may_leave = True
    mark = lab.al.mark()
    answer, _ = absolute(lab, "http://allowed.test/creds", extra=f"Proxy-Authorization: Basic {case.canary}\r\nConnection: close\r\n")
    assert b" 200 " in answer[:20]
    assert "proxy-authorization" not in lab.al.since(mark, "/creds")[0].headers
    case.no_canary()


def test_curl_with_https_proxy_works_as_it_does_without(case, lab):
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    environment = {"PATH": os.environ["PATH"], "http_proxy": f"http://{at.GW}:{PROXY}", "https_proxy": f"http://{at.GW}:{PROXY}"}

    def curl(url):
        command = lab.client_command("curl", "-sS", "-m", "10", "--cacert", str(lab.ca.certificate), url)
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert curl("http://allowed.test/").stdout == "AL\n"
    assert curl("https://allowed.test/").stdout == "AL\n"
    assert curl("http://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")
    denied = curl("https://denied.test/")
    assert denied.returncode == 56 and "403" in denied.stderr
    case.no_query("denied.test")


# --- endpoints ---

ENDPOINTS = at.POLICY + f"""\
endpoints:
  - {{host: raw.wild.test, port: 5432}}
  - {{cidr: {at.SPARE}/32, ports: [8000, 8001]}}
"""


@pytest.fixture
def database(lab):
    """A server on 5432 of raw.wild.test and on 8000 of SPARE, AL and EV that echoes in capitals."""
    links = []
    def serve(listener):
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with link:
                link.sendall(link.recv(100).upper())

    for address, port in ((at.RAW, 5432), (at.SPARE, 8000), (at.SPARE, 8002), (at.AL, 5432), (at.AL, 8000)):
        with lab.up.entered():
            listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
        links.append(listener)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
    yield
    for listener in links:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_endpoints_pass_exactly_what_they_list(lab, make_gateway, database):
    one = make_gateway(policy=ENDPOINTS).start()
    case = Case(lab, one.log)
    case.may_leave |= {(at.RAW, 6, 5432), (at.SPARE, 6, 8000)}
    assert web.resolve(lab.agent, "raw.wild.test").addresses() == [at.RAW]
    for address, port, works in (
        (at.RAW, 5432, True), (at.SPARE, 8000, True), (at.SPARE, 8002, False), (at.AL, 5432, False), (at.AL, 8000, False), (at.EV, 5432, False),
        (at.RAW, 8000, False), (at.EV, 8000, False),
    ):  # fmt: skip
        answer, how = web.talk(lab.agent, address, port, b"hello")
        assert (answer == b"HELLO") == works, (address, port, answer, how)
        assert works or how in ("rst", "connect:ConnectionRefusedError", "connect:ConnectionResetError", "fin"), how
    assert lab.agent_of("U").call("udp", at.RAW, 5432, case.canary.encode(), wait=0.3)[0] != "answered"
    case.record(phase=lambda p: p in ("connect", "packet"), action="allowed", port=5432)
    case.control()
    case.finish()
    del database


def test_an_endpoint_by_name_needs_the_gateways_own_answer_for_it(lab, make_gateway, database):
    """The address alone opens nothing: this gateway looks the name up, and it leads elsewhere."""
    one = make_gateway(policy=ENDPOINTS).start()
    case = Case(lab, one.log)
    answer, _ = web.talk(lab.agent, at.AL, 5432, b"hello")
    assert answer == b""
    case.control()
    case.finish()
    del database


# --- observe ---


def test_observe_lets_pass_and_logs_what_would_be_denied(lab, make_gateway):
    one = make_gateway(policy=at.POLICY + "mode: observe\n").start()
    mark = one.log.mark()
    lab.dns.set("observed.test", a=[at.WILD])
    response = web.http(lab.agent, "observed.test", "/seen")
    assert (response.status, response.body) == (200, b"WILD\n")
    record = one.log.wait_for(mark, phase="http", host="observed.test")
    assert record["reason"] == "host_not_allowed", "the log tells what enforcing would have done"
    assert (record["action"], record["observed"]) == ("blocked", True)
    asked = one.log.wait_for(mark, phase="dns", host="observed.test")
    assert (asked["action"], asked["observed"]) == ("blocked", True)
    assert one.status()["health"] == "healthy"
    one.reload(at.POLICY)
    assert web.http(lab.agent, "observed.test", "/seen", address=at.WILD).status == 403
    Case(lab, one.log).control()
    lab.dns.forget("observed.test")


def test_observe_carries_every_tcp_port_of_public_addresses_and_no_others(lab, make_gateway, database):
    one = make_gateway(policy=at.POLICY + "mode: observe\n").start()
    case = Case(lab, one.log)
    case.may_leave |= {(at.AL, 6, 5432), (at.SPARE, 6, 8002)}
    assert web.talk(lab.agent, at.AL, 5432, b"hello")[0] == b"HELLO"
    assert web.talk(lab.agent, at.SPARE, 8002, b"hello")[0] == b"HELLO"
    record = one.log.wait_for(0, phase="connect", port=5432)
    assert (record["action"], record["observed"], record["reason"]) == ("blocked", True, "endpoint_not_allowed")
    for address in (at.GW, at.GWUP, at.GW_OWN, "10.1.2.3", "169.254.169.254", "192.168.0.1", "100.64.0.1"):
        answer, how = web.talk(lab.agent, address, 5432, b"hello")
        assert answer == b"" and how != "timeout", (address, answer, how)
    assert lab.agent_of("U").call("udp", at.AL, 5432, case.canary.encode(), wait=0.3)[0] != "answered"
    one.reload(at.POLICY)
    assert web.talk(lab.agent, at.AL, 5432, b"hello")[0] == b"", "enforcing again"
    case.control()
    case.finish()
    del database
