"""Inspection end to end, HTTP/1 on both sides: real clients, requests decided by their path, bad origins."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from lab import addresses as at
from lab import inspection, web
from lab.http2_origin import Http2Origin
from lab.origin import Origin
from lab.tls_link import TlsLink

threat = pytest.mark.threat

POLICY = """\
domains:
  - host: allowed.test
    rules:
      - {schemes: [https], methods: [GET, HEAD], path: {prefix: /ok/}}
      - {schemes: [http]}
  - {host: "*.wild.test", tls: inspect}
  - {host: cdn-allowed.test, tls: inspect}
  - {host: pass.wild.test, tls: passthrough}
"""


@pytest.fixture(scope="module")
def router(lab, gateway_binary, tmp_path_factory):
    del gateway_binary
    yield from inspection.inspecting_router(lab, tmp_path_factory, POLICY)


@pytest.fixture
def get(lab, router):
    """One request of a client that trusts the gateway's CA and nobody else."""

    def ask(host, path="/", **options):
        return web.https(lab.agent, host, router.ca_certificate, path, **options)

    return ask


# --- Requests ---


@threat("C01")
def test_requests_are_decided_by_path_and_method(case, lab, get):
    mark = lab.al.mark()
    assert (get("allowed.test", "/ok/a").status, get("allowed.test", "/ok/").body) == (200, b"AL\n")
    for path, method in (("/no", "GET"), ("/ok", "GET"), ("/ok/../no", "GET"), ("/ok/%2e%2e/no", "GET"), ("/ok/a", "POST")):
        response = get("allowed.test", path, method=method)
        assert response.status == 403, (path, method)
        assert response.first_line.startswith("Blocked by proxy policy: allowed.test")
    assert [r.target for r in lab.al.since(mark)] == ["/ok/a", "/ok/"]
    record = case.record(action="blocked", path="/no")
    assert (record["phase"], record["scheme"], record["reason"], record["status"]) == ("http", "https", "no_rule_matched", 403)
    assert case.record(action="allowed", path="/ok/a")["rule"].endswith("policy.yaml:4")


def test_the_origin_gets_the_clients_own_bytes(case, lab, router):
    mark = lab.al.mark()
    head = b"GET /ok/%7e?b=1&a=%20 HTTP/1.1\r\nhOST: allowed.test\r\nX-B:  two \r\nx-a: one\r\n\r\n"
    with web.tls(lab.agent, "allowed.test", router.ca_certificate) as link:
        link.sendall(head)
        assert web.Reader(link).response().status == 200
    assert lab.al.since(mark)[0].head == head
    del case


_GO = """
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil {
		fmt.Println("failed", err)
		return
	}
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(answer.StatusCode, answer.Proto, string(body))
}
"""


@pytest.fixture(scope="module")
def go_client(lab):
    """A program of Go's own net/http: a static binary with its own TLS, HTTP/2 and resolver."""
    if not shutil.which("go"):
        pytest.skip("needs go")
    folder = lab.folder / "go"
    folder.mkdir()
    (folder / "get.go").write_text(_GO)
    settings = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "GOFLAGS": "-p=2"}
    subprocess.run(["go", "build", "-o", folder / "get", folder / "get.go"], check=True, env=settings, capture_output=True, timeout=120)
    folder.chmod(0o755)
    return str(folder / "get")


@pytest.mark.parametrize("client", ["curl", "curl h1", "python", "node", "go"])
def test_real_clients_see_what_the_policy_says(request, case, lab, router, client):
    """Allowed and denied, by the CA that they are told of in their own way."""
    ca = router.ca_certificate
    python = "import sys,urllib.request as u\ntry: print(u.urlopen(sys.argv[1]).read().decode())\nexcept u.HTTPError as e: print(e.code, e.read().decode())"
    node = "fetch(process.argv[1]).then(async r => console.log(r.status, await r.text())).catch(e => console.log('failed', e.cause))"
    words = {
        "curl": (["curl", "-sS", "-w", " %{http_code}"], {"CURL_CA_BUNDLE": ca}),
        "curl h1": (["curl", "-sS", "--http1.1", "-w", " %{http_code}"], {"CURL_CA_BUNDLE": ca}),
        "python": (["python3", "-c", python], {"SSL_CERT_FILE": ca}),
        "node": (["node", "-e", node], {"NODE_EXTRA_CA_CERTS": ca}),
    }
    if client == "go":
        words[client] = ([request.getfixturevalue("go_client")], {"SSL_CERT_FILE": ca})
    program, environment = words[client]
    _, allowed = lab.run_client(*program, "https://allowed.test/ok/x", **environment)
    assert "AL" in allowed and "Blocked" not in allowed, allowed
    _, refused = lab.run_client(*program, "https://allowed.test/no", **environment)
    assert "403" in refused and "Blocked by proxy policy: allowed.test" in refused, refused
    _, denied = lab.run_client(*program, "https://denied.test/", **environment)
    assert "403" in denied and "Blocked by proxy policy: denied.test" in denied, denied
    case.no_query("denied.test")


@threat("T054", "T093", "T116", "C14")
def test_a_request_for_another_host_is_misdirected(case, lab, router):
    cdn = lab.cdn.mark()
    with web.tls(lab.agent, "cdn-allowed.test", router.ca_certificate) as link:
        reader = web.Reader(link)
        for host in ("cdn-denied.test", "allowed.test", "pass.wild.test", "denied.test"):
            link.sendall(web.request_bytes(host, f"/{case.canary}"))
            response = reader.response()
            assert response.status == 421
            assert response.first_line.startswith(f"Blocked by proxy policy: {host}")
        link.sendall(web.request_bytes("CDN-allowed.test.", "/same"))
        assert reader.response().body == b"CDN\n"
    assert [r.target for r in lab.cdn.since(cdn)] == ["/same"]
    assert case.record(host="cdn-denied.test")["reason"] == "name_mismatch"
    case.no_query("denied.test")


@threat("T092")
def test_of_pipelined_requests_each_is_decided(case, lab, router):
    mark = lab.al.mark()
    with web.tls(lab.agent, "allowed.test", router.ca_certificate) as link:
        data = b"".join(web.request_bytes("allowed.test", path) for path in ("/ok/1", f"/no/{case.canary}", "/ok/2"))
        link.sendall(data + web.request_bytes("denied.test", f"/{case.canary}"))
        reader = web.Reader(link)
        assert [reader.response().status for _ in range(4)] == [200, 403, 200, 421]
    assert [r.target for r in lab.al.since(mark)] == ["/ok/1", "/ok/2"]


@threat("T116")
def test_a_host_that_is_passed_through_keeps_its_own_certificate(case, lab, router, get):
    with web.tls(lab.agent, "pass.wild.test", lab.ca.certificate) as link:
        link.sendall(web.request_bytes("pass.wild.test", "/"))
        assert web.Reader(link).response().body == b"WILD\n"
    with pytest.raises(ssl.SSLCertVerificationError):
        get("pass.wild.test")
    assert get("other.wild.test").body == b"WILD\n"
    del case, router


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_tickets_do_not_carry_across_names(case, lab, router, version):
    context = ssl.create_default_context(cafile=router.ca_certificate)
    context.maximum_version = version

    def reach(host, address, session=None):
        with web.connected(lab.agent, address, 443) as raw:
            with context.wrap_socket(raw, server_hostname=host, session=session) as link:
                link.sendall(web.request_bytes(host, "/ok/"))
                body = web.Reader(link).response().body
                names = [value for kind, value in link.getpeercert()["subjectAltName"] if kind == "DNS"]
                return body, names, link.session_reused, link.session

    body, names, reused, session = reach("allowed.test", at.AL)
    assert (body, names, reused) == (b"AL\n", ["allowed.test"], False)
    body, names, reused, _ = reach("cdn-allowed.test", at.CDN, session)
    assert (body, names, reused) == (b"CDN\n", ["cdn-allowed.test"], False)
    assert reach("allowed.test", at.AL, session)[2], "the control: the same name resumes"
    del case


# --- Origins ---


@pytest.fixture
def spare(lab):
    """spare.wild.test, serving with a certificate that a test makes: spare(certificate, key)."""
    made = []

    def serve(certificate):
        made.append(Origin(lab.up, "SPARE", [at.SPARE], certificate, ports=(), weak=True))
        return made[-1]

    yield serve
    for origin in made:
        origin.close()


BAD = {
    "expired": ({"days": -2}, "its certificate expired on 20"),
    "not yet valid": ({"begin": 2}, "is not valid before 20"),
    "self-signed": ({"issuer": None}, "is self-signed"),
    "unknown issuer": ({"issuer": "stranger"}, "which is unknown here"),
    "for clients": ({"usage": "clientAuth"}, "is not one for servers"),
    "a CA": ({"basic": "critical,CA:TRUE"}, "is not one for servers"),
    "SHA-1": ({"digest": "sha1"}, "too weak"),
    "1024 bits": ({"rsa": 1024}, "too small"),
    "another name": ({"names": "DNS:other.test"}, "its certificate is for other.test, not for spare.wild.test"),
    "a common name": ({"names": ""}, "is for no host name"),
    "a wildcard below": ({"names": "DNS:*.spare.wild.test"}, "is for *.spare.wild.test"),
    "a wildcard of two": ({"names": "DNS:*.*.test"}, "not for spare.wild.test"),
    "part of a label": ({"names": "DNS:s*.wild.test"}, "not for spare.wild.test"),
    "an address": ({"names": f"IP:{at.SPARE}"}, "is for no host name"),
}


@threat("T113", "T114")
@pytest.mark.parametrize("what", BAD)
def test_a_bad_certificate_is_a_page_that_says_what_is_wrong(case, lab, router, spare, get, what):
    options, sentence = BAD[what]
    origin = spare(lab.ca.issue_odd("spare.wild.test", **options))
    response = get("spare.wild.test", f"/{case.canary}", method="POST", body=case.canary.encode())
    assert response.status == 502
    assert "spare.wild.test: " in response.body.decode() and sentence in response.body.decode(), response.body
    assert origin.requests == [] and origin.connections > 0
    record = case.record(host="spare.wild.test", status=502)
    assert record["reason"] == "upstream_failed" and sentence in record["detail"]
    del router


@threat("T113")
def test_a_sound_certificate_of_the_same_making_passes(case, lab, spare, get):
    spare(lab.ca.issue_odd("spare.wild.test"))
    assert get("spare.wild.test", "/").body == b"SPARE\n"
    del case


@threat("T116")
def test_an_origin_that_wants_a_client_certificate_says_to_pass_it_through(case, lab, get):
    certificate, key = lab.ca.issue_odd("raw.wild.test")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(lab.ca.certificate)
        context.maximum_version = version

        def wants(link, context=context):
            with context.wrap_socket(link, server_side=True) as inside:
                inside.recv(1)

        with lab.raw.serving(wants):
            response = get("raw.wild.test", "/")
        assert response.status == 502
        assert "tls: passthrough" in response.body.decode(), (version, response.body)
    del case


@threat("C08")
def test_a_websocket_to_an_origin_of_http2_that_takes_none_is_a_page_that_says_so(case, lab, router, get):
    if not shutil.which("node"):
        pytest.skip("needs node")
    origin = Http2Origin(lab, websockets=False)
    try:
        upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        response = get("spare.wild.test", "/ok/socket", headers=upgrade)
        assert response.status == 502
        assert "spare.wild.test is allowed, but" in response.body.decode() and "supports no WebSocket" in response.body.decode()
        assert case.record(host="spare.wild.test", path="/ok/socket")["status"] == 502
        assert get("spare.wild.test", "/ok/a").body == b"HTTP2\n", "the control: it is there, and is asked for the rest"
        assert origin.asked("/ok/a") and not origin.asked("/ok/socket")
    finally:
        origin.close()
    del router


def test_an_origin_of_old_tls_or_none_is_a_page(case, lab, get):
    def not_tls(link):
        link.recv(10)
        link.sendall(b"220 mail.test ESMTP\r\n")

    with lab.raw.serving(not_tls):
        response = get("raw.wild.test", "/")
    assert response.status == 502 and "it does not speak TLS" in response.body.decode(), response.body

    def closes(link):
        link.recv(10)
        link.shutdown(socket.SHUT_RDWR)

    with lab.raw.serving(closes):
        response = get("raw.wild.test", "/")
    assert response.status == 502 and "closed the connection during the TLS handshake" in response.body.decode()
    del case


@threat("C16")
def test_an_end_without_close_notify_is_passed_on_as_a_cut(case, lab, router):
    certificate, key = lab.ca.issue_odd("raw.wild.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    for announced in (True, False):
        def serve(link, announced=announced):
            inside = context.wrap_socket(link, server_side=True, suppress_ragged_eofs=False)
            inside.recv(65536)
            inside.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome")
            if announced:
                inside.unwrap()
            else:
                socket.socket(fileno=inside.detach()).close()

        trusting = ssl.create_default_context(cafile=router.ca_certificate)
        with lab.raw.serving(serve), web.connected(lab.agent, at.RAW, 443) as raw:
            link = TlsLink(raw, trusting, "raw.wild.test")
            link.sendall(web.request_bytes("raw.wild.test", "/"))
            answer, how = web.read_to_end(link)
        assert answer.endswith(b"some")
        assert how == ("fin" if announced else "rst")
    del case


@threat("C15")
def test_a_reload_leaves_allowed_requests_alone_and_ends_denied_ones(case, lab, router):
    gates = {}
    links = {}
    for host, address, origin in (("cdn-allowed.test", at.CDN, lab.cdn), ("x.wild.test", at.WILD, lab.wild)):
        target = f"/sse/3/{host}"
        gates[host] = origin.gates[target] = threading.Semaphore(1)
        context = ssl.create_default_context(cafile=router.ca_certificate)
        raw = web.connected(lab.agent, address, 443)
        links[host] = (raw, context.wrap_socket(raw.__enter__(), server_hostname=host))
        links[host][1].sendall(web.request_bytes(host, target))
        assert b"data: 0" in _until(links[host][1], b"data: 0\n\n")
    try:
        router.reload(POLICY.replace("  - {host: cdn-allowed.test, tls: inspect}\n", ""))
        for gate in gates.values():
            gate.release()
        assert b"data: 1" in _until(links["x.wild.test"][1], b"data: 1\n\n")
        assert b"data: 1" not in _until(links["cdn-allowed.test"][1], b"data: 1\n\n")
    finally:
        router.reload(POLICY)
        for gate in gates.values():
            gate.release(3)
        for raw, link in links.values():
            link.close()
            raw.__exit__(None, None, None)
    del case


def _until(link, end):
    data = b""
    try:
        while end not in data:
            more = link.recv(65536)
            if not more:
                break
            data += more
    except OSError:
        pass
    return data
