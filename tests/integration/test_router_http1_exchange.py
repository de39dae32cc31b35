"""Many requests on one connection, bodies both ways, and origins that are hostile or break off."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import socket
import struct
import threading
import time

import pytest

from lab import addresses as at
from lab import web
from lab.case import Live
from lab.http1 import get, refused, statuses, talk

threat = pytest.mark.threat


# --- One connection, many requests ---


@threat("T092", "T093")
def test_of_pipelined_requests_each_is_decided(case, lab):
    mark = lab.al.mark()
    data = get("allowed.test", "/a") + get("denied.test", f"/{case.canary}", "Connection: close\r\n")
    found, answer, _ = talk(lab, data)
    assert found == [200, 403]
    assert b"denied.test" in answer
    assert [r.target for r in lab.al.since(mark)] == ["/a"]


@threat("T092")
def test_a_request_behind_a_body_is_decided(case, lab):
    mark = lab.al.mark()
    post = b"POST /echo HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 7\r\n\r\nGET / H"
    found, _, _ = talk(lab, post + get("denied.test", f"/{case.canary}", "Connection: close\r\n"))
    assert found == [200, 403]
    chunked = b"POST /echo HTTP/1.1\r\nHost: allowed.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n"
    found, _, _ = talk(lab, chunked + get("denied.test", f"/{case.canary}", "Connection: close\r\n"))
    assert found == [200, 403]
    assert [r.body for r in lab.al.since(mark)] == [b"GET / H", b"GET"]


@threat("T092", "C05")
def test_a_hundred_pipelined_and_one_denied(case, lab):
    data = b"".join(get("allowed.test", f"/{n}") for n in range(100))
    found, _, _ = talk(lab, data + get("denied.test", f"/{case.canary}", "Connection: close\r\n"))
    assert found == [200] * 100 + [403]


@threat("T093", "C05")
def test_each_request_of_a_kept_connection_is_decided_and_goes_to_its_own_origin(case, lab):
    mark = lab.al.mark()
    with web.connected(lab.agent, at.AL, 80) as link:
        reader = web.Reader(link)
        expected = [("allowed.test", 200, b"AL\n"), ("cdn-allowed.test", 200, b"CDN\n"), ("x.wild.test", 200, b"WILD\n"),
                    ("denied.test", 403, None), ("allowed.test", 200, b"AL\n")]  # fmt: skip
        for host, status, body in expected:
            link.sendall(get(host, "/kept"))
            response = reader.response()
            assert response.status == status
            assert body is None or response.body == body
            if response.headers.get("connection", "").lower() == "close":
                break
    assert all(r.headers["host"] == "allowed.test" for r in lab.al.since(mark, "/kept"))
    case.no_query("denied.test")


@threat("T093", "C05")
def test_the_500th_request_is_decided_like_the_first(case, lab):
    with web.connected(lab.agent, at.AL, 80) as link:
        reader = web.Reader(link)
        for number in range(499):
            link.sendall(get("allowed.test", f"/{number}"))
            assert reader.response().status == 200
        link.sendall(get("denied.test", f"/{case.canary}"))
        assert reader.response().status == 403


@threat("T094", "T075")
@pytest.mark.parametrize("extra", [
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n", "Connection: Upgrade\r\nUpgrade: H2C\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    "Connection: Upgrade\r\nUpgrade: connect-udp\r\n",
])  # fmt: skip
def test_an_upgrade_to_anything_but_websocket_never_becomes_a_tunnel(case, lab, extra):
    """Either served as plain HTTP/1.1 with the upgrade taken out, or refused; what follows is one more request."""
    mark = lab.al.mark()

    def willing(connection, request):
        if "upgrade" in request.headers:
            connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
            return False
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return True

    lab.al.script("/upgrade", willing)
    found, _, _ = talk(lab, get("allowed.test", "/upgrade", extra) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", finish=True)
    assert 101 not in found
    assert not any("upgrade" in r.headers for r in lab.al.since(mark))
    del case


@threat("T096")
@pytest.mark.parametrize("line", [
    "CONNECT denied.test:443", "CONNECT allowed.test:443", "CONNECT allowed.test:22", "CONNECT 169.254.169.254:80", "connect allowed.test:443",
    "CONNECT http://allowed.test/", "CONNECT allowed.test", "CONNECT /",
])  # fmt: skip
def test_connect_on_port_80_opens_no_tunnel(case, lab, line):
    data = f"{line} HTTP/1.1\r\nHost: allowed.test\r\nConnection: close\r\n\r\n".encode() + b"\x16\x03\x01" + case.canary.encode()
    assert refused(case, lab, data, (400, 403, 405, 421, 501)) in (400, 403, 405, 421, 501)


REQUEST_LINES = {
    "0.9": b"GET /CANARY\r\n\r\n", "1.0 without Host": b"GET / HTTP/1.0\r\n\r\n", "1.2": b"GET / HTTP/1.2\r\nHost: allowed.test\r\n\r\n",
    "2.0": b"GET / HTTP/2.0\r\nHost: allowed.test\r\n\r\n", "1.1x": b"GET / HTTP/1.1x\r\nHost: allowed.test\r\n\r\n",
    "lower case": b"GET / http/1.1\r\nHost: allowed.test\r\n\r\n", "01.1": b"GET / HTTP/01.1\r\nHost: allowed.test\r\n\r\n",
    "preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "5000-byte method": b"M" * 5000 + b" / HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
    "byte above ASCII": b"G\xc0T / HTTP/1.1\r\nHost: allowed.test\r\n\r\n", "leading space": b" GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
    "tabs": b"GET\t/\tHTTP/1.1\r\nHost: allowed.test\r\n\r\n", "two spaces": b"GET  / HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
    "three words more": b"GET / x HTTP/1.1\r\nHost: allowed.test\r\n\r\n", "fragment": b"GET /#x HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
    "asterisk GET": b"GET * HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
}  # fmt: skip


@threat("T097")
@pytest.mark.parametrize("what", REQUEST_LINES)
def test_other_versions_and_malformed_lines_are_refused(case, lab, what):
    assert refused(case, lab, REQUEST_LINES[what]) in (400, 501, 505, None)


@threat("T097")
@pytest.mark.parametrize("method", ["TRACE", "TRACK"])
def test_methods_that_echo_headers_are_refused(case, lab, method):
    assert refused(case, lab, f"{method} / HTTP/1.1\r\nHost: allowed.test\r\nConnection: close\r\n\r\n".encode(), (400, 403, 405, 501)) in (405, 501, 403)


@threat("T097", "C01")
@pytest.mark.parametrize("method", ["get", "PROPFIND", "X-CUSTOM!", "M-SEARCH", "DELETE", "PATCH"])
def test_other_methods_reach_an_allowed_host_unchanged(case, lab, method):
    mark = lab.al.mark()
    assert talk(lab, f"{method} / HTTP/1.1\r\nHost: allowed.test\r\nConnection: close\r\n\r\n".encode())[0] == [200]
    assert lab.al.since(mark)[0].method == method
    del case


@threat("T097", "C01")
def test_options_of_everything_and_http_1_0_work(case, lab):
    assert talk(lab, b"OPTIONS * HTTP/1.1\r\nHost: allowed.test\r\nConnection: close\r\n\r\n")[0] == [200]
    found, answer, how = talk(lab, b"GET / HTTP/1.0\r\nHost: allowed.test\r\n\r\n")
    assert (found, how) == ([200], "fin") and answer.endswith(b"AL\n")
    del case


@threat("T098")
def test_a_denied_upload_is_refused_without_a_hundred(case, lab):
    with web.connected(lab.agent, at.EV, 80) as link:
        link.sendall(b"POST / HTTP/1.1\r\nHost: denied.test\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
        assert web.Reader(link).head().status == 403
    case.no_syn()


@threat("T098", "C06")
def test_continue_works_both_ways(case, lab):
    head = b"POST /echo HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with web.connected(lab.agent, at.AL, 80) as link:
        reader = web.Reader(link)
        link.sendall(head)
        assert reader.head().status == 100
        link.sendall(b"hello")
        assert reader.response().body == b"hello"
        link.sendall(head + b"again")
        assert reader.response().body == b"again", "a body that does not wait"
    del case


@threat("T098")
@pytest.mark.parametrize("final", [b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
def test_after_an_early_answer_the_unsent_body_is_no_request(case, lab, final):
    lab.al.script("/early", lambda connection, _: connection.send(final) or True)
    mark = lab.al.mark()
    with web.connected(lab.agent, at.AL, 80) as link:
        reader = web.Reader(link)
        link.sendall(b"POST /early HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 60\r\nExpect: 100-continue\r\n\r\n")
        assert reader.response().status in (417, 200)
        try:
            link.sendall(get("denied.test", f"/{case.canary}") * 3)
        except OSError:
            pass
        rest, _ = web.read_to_end(link)
    assert 200 not in statuses(rest)
    assert not [r for r in lab.al.since(mark) if r.target != "/early"]


@threat("T098")
def test_another_expectation_is_refused(case, lab):
    assert refused(case, lab, get("allowed.test", extra="Expect: x\r\n"), (417, 400)) in (417, 400)


# --- Hostile origins ---

HOSTILE = {
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 50\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake",
    "204 with a body": b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake",
    "304 with a body": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake",
    "two answers": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake",
    "chunk overflow": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nfake",
    "negative chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nfake",
    "unasked 101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nfake",
    "a TLS alert": b"\x15\x03\x03\0\x02\x02\x28 fake",
    "nothing": b"",
    "an odd status": b"HTTP/1.1 999999 X\r\nContent-Length: 4\r\n\r\nfake",
    "a folded length": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n 4\r\n\r\nfake",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 4\r\n\r\nfake",
}  # fmt: skip


@threat("T100")
@pytest.mark.parametrize("what", HOSTILE)
def test_a_fake_answer_of_a_hostile_origin_is_never_the_answer_to_a_later_request(case, lab, what):
    def hostile(connection, request):
        del request
        connection.send(HOSTILE[what])
        return bool(HOSTILE[what])

    lab.al.script("/hostile", hostile)
    with web.connected(lab.agent, at.AL, 80, timeout=3) as link:
        link.sendall(get("allowed.test", "/hostile") + get("cdn-allowed.test", "/after", "Connection: close\r\n"))
        answer, how = web.read_to_end(link)
    assert b"fake" not in answer, (answer, how)
    assert how in ("fin", "rst"), how
    assert web.http(lab.neighbour, "allowed.test", "/other").body == b"AL\n", "nor of another client's"
    del case


@threat("T100")
def test_a_body_after_head_is_not_an_answer(case, lab):
    fake = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake"
    lab.al.script("/head", lambda c, _: c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(fake) + fake) or True)
    with web.connected(lab.agent, at.AL, 80, timeout=3) as link:
        link.sendall(b"HEAD /head HTTP/1.1\r\nHost: allowed.test\r\n\r\n" + get("allowed.test", "/after", "Connection: close\r\n"))
        answer, how = web.read_to_end(link)
    assert not answer.rstrip().endswith(b"fake") and how != "timeout"
    del case


@threat("T100")
@pytest.mark.parametrize("flood", ["interim", "headers", "cookies"])
def test_endless_heads_of_an_origin_end(case, lab, router, flood):
    piece = {"interim": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", "headers": b"X-%d: y\r\n", "cookies": b"Set-Cookie: a=b\r\n"}[flood]
    stopped = threading.Event()

    def endless(connection, request):
        del request
        try:
            if flood != "interim":
                connection.send(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.send(piece * 1000)
        except OSError:
            stopped.set()
        return False

    lab.al.script("/endless", endless)
    before = router.resident_bytes()
    with Live(lab, lab.neighbour):
        _, answer, how = talk(lab, get("allowed.test", "/endless", "Connection: close\r\n"), wait=20)
    assert how in ("fin", "rst", "big"), (how, answer[:50])
    assert stopped.wait(15), "the origin was let go"
    assert router.resident_bytes() - before < 16 << 20
    del case


@threat("T101", "C01")
def test_redirects_are_the_clients_business_and_decided_anew(case, lab):
    location = f"http://denied.test/{case.canary}"
    lab.al.script("/moved", lambda c, _: c.send(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()) or True)
    response = web.http(lab.agent, "allowed.test", "/moved")
    assert (response.status, response.headers["location"]) == (302, location)
    assert web.http(lab.agent, "denied.test", f"/{case.canary}").status == 403
    case.no_query("denied.test")


@threat("T101")
def test_alternative_services_are_taken_out(case, lab):
    alt = b'HTTP/1.1 200 OK\r\nAlt-Svc: h3=":443", h2="evil.test:443"\r\nalt-SVC: clear\r\nX-Kept: yes\r\nContent-Length: 0\r\n\r\n'
    lab.al.script("/alt", lambda c, _: c.send(alt) or True)
    response = web.http(lab.agent, "allowed.test", "/alt")
    assert response.headers.get("x-kept") == "yes"
    assert "alt-svc" not in response.headers
    del case


# --- Controls of streams and bodies ---


@threat("C06")
@pytest.mark.parametrize("path", ["/bytes/0", "/bytes/1", "/bytes/70000", "/chunked/70000", "/chunked/0", "/trailers"])
def test_bodies_arrive_whole(case, lab, path):
    response = web.http(lab.agent, "allowed.test", path)
    expected = path.rsplit("/", 1)[1]
    assert response.status == 200
    assert len(response.body) == (int(expected) if expected.isdigit() else 5)
    del case


@threat("C06")
@pytest.mark.parametrize("code", [204, 304])
def test_answers_without_a_body_keep_the_connection(case, lab, code):
    with web.connected(lab.agent, at.AL, 80) as link:
        reader = web.Reader(link)
        for _ in range(3):
            link.sendall(get("allowed.test", f"/status/{code}"))
            assert reader.response().status == code
        link.sendall(b"HEAD /bytes/100 HTTP/1.1\r\nHost: allowed.test\r\n\r\n")
        head = reader.response("HEAD")
        assert head.headers["content-length"] == "100"
    del case


@threat("C06")
def test_chunked_uploads_arrive_whole(case, lab):
    body = b"".join(b"%x\r\n" % n + b"z" * n + b"\r\n" for n in (1, 15, 16, 4096, 70000)) + b"0\r\nX-Trailer: t\r\n\r\n"
    head = b"POST /upload HTTP/1.1\r\nHost: allowed.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    for step in (0, 4093):
        assert talk(lab, head + body, step=step)[1].endswith(b"\r\n\r\n74128")
    del case


@threat("C06")
def test_large_bodies_pass_both_ways_without_being_kept(case, lab, router):
    size = 256 << 20
    before = router.resident_bytes()
    with lab.capture.headers_only():
        address = web.address_of(lab.agent, "allowed.test")
        with web.connected(lab.agent, address, 80, timeout=60) as link:
            link.sendall(get("allowed.test", f"/bytes/{size}"))
            reader = web.Reader(link)
            reader.head()
            got = len(reader.buffer)
            while got < size:
                got += len(link.recv(1 << 20))
            assert got == size
            link.sendall(b"POST /upload HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
            for _ in range(64):
                link.sendall(b"u" * (1 << 20))
            reader.buffer = b""
            assert reader.response().body == b"%d" % (64 << 20)
    assert router.resident_bytes() - before < 16 << 20
    del case


@threat("C07")
def test_an_event_stream_is_not_buffered(case, lab):
    target = f"/sse/5/{case.canary}"
    case.canary_may_leave = True
    gate = lab.al.gates[target] = threading.Semaphore(0)
    with web.connected(lab.agent, at.AL, 80) as link:
        link.sendall(get("allowed.test", target))
        reader = web.Reader(link)
        delays = []
        reader.head()
        for number in range(5):
            begin = time.monotonic()
            gate.release()
            while b"data: %d\n\n" % number not in reader.buffer:
                assert reader._fill()
            delays.append(time.monotonic() - begin)
    assert min(delays) < 0.1, delays


@threat("C08", "T094")
def test_websocket_works_in_both_directions(case, lab):
    case.canary_may_leave = True

    def frame(payload, opcode=2):
        mask = os.urandom(4)
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size) if size < 65536 else b"\xff" + struct.pack("!Q", size)
        key = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
        return bytes([0x80 | opcode]) + length + mask + masked

    with web.connected(lab.agent, at.AL, 80) as link:
        reader = web.Reader(link)
        link.sendall(get("allowed.test", "/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"))  # fmt: skip
        response = reader.response()
        assert response.status == 101
        assert response.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        for size in (5, 200, 70000, 262144):
            payload = os.urandom(size)
            link.sendall(frame(payload))
            head = 2 if size < 126 else 4 if size < 65536 else 10
            assert reader.exactly(head + size)[head:] == payload
        link.sendall(frame(b"", 8))
        assert reader.exactly(2) == b"\x88\x00"
    assert case.record(phase="http", action="allowed", path="/ws")["status"] == 101


@threat("C08", "T094")
def test_websocket_to_a_denied_host_is_refused(case, lab):
    extra = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    assert refused(case, lab, get("denied.test", "/ws", extra), (403,)) == 403


@threat("C10")
def test_half_close_after_a_request_still_gets_the_answer(case, lab):
    found, answer, how = talk(lab, get("allowed.test", "/bytes/500000", "Connection: close\r\n"), finish=True)
    assert found == [200] and how == "fin"
    assert len(answer.partition(b"\r\n\r\n")[2]) == 500000
    del case


@threat("C16")
def test_an_origin_that_ends_without_a_length_ends_the_answer(case, lab):
    lab.al.script("/until-close", lambda c, _: c.send(b"HTTP/1.1 200 OK\r\n\r\nall there is") and False)
    response = web.http(lab.agent, "allowed.test", "/until-close")
    assert (response.body, response.how) == (b"all there is", "fin")
    del case


@threat("C16")
def test_an_origin_that_answers_nothing_or_is_not_there_is_a_502(case, lab):
    lab.al.script("/gone", lambda c, _: False)
    assert web.http(lab.agent, "allowed.test", "/gone").status == 502
    lab.dns.set("closed.wild.test", a=[at.NS])
    case.may_leave.add((at.NS, socket.IPPROTO_TCP, 80))
    response = web.http(lab.agent, "closed.wild.test", address=at.WILD)
    assert response.status == 502
    assert "closed.wild.test" in response.body.decode()
    lab.dns.forget("closed.wild.test")


@threat("C01")
def test_hop_by_hop_fields_stay_and_others_pass(case, lab):
    mark = lab.al.mark()
    extra = "X-Kept: yes\r\nUser-Agent: a/1\r\nConnection: close, X-Hop\r\nX-Hop: secret\r\nProxy-Connection: keep-alive\r\n"
    assert talk(lab, get("allowed.test", "/hop", extra))[0] == [200]
    headers = lab.al.since(mark, "/hop")[0].headers
    assert headers["x-kept"] == "yes"
    assert headers["user-agent"] == "a/1"
    assert "via" not in headers and "x-forwarded-for" not in headers, "the gateway is not advertised"
    del case


POLICY_WITH_RULES = """\
domains:
  - host: allowed.test
    rules:
      - methods: [GET, HEAD]
        path: {prefix: /v1/}
      - methods: [POST]
        path: {exact: /upload}
"""


class TestRules:
    """Rules with methods and paths are enforced on each plain HTTP request."""

    @pytest.fixture(scope="class")
    def ruled(self, router):
        router.reload(POLICY_WITH_RULES)
        yield router
        router.reload(at.POLICY)

    @pytest.mark.parametrize(("method", "path", "status"), [
        ("GET", "/v1/x", 200), ("HEAD", "/v1/", 200), ("POST", "/upload", 200), ("GET", "/v2/x", 403), ("POST", "/v1/x", 403),
        ("GET", "/v1", 403), ("GET", "/V1/x", 403), ("GET", "/v1/../v2/x", 403), ("GET", "/v1/%2e%2e/v2/x", 403), ("GET", "/v1/..%2fv2", 403),
        ("GET", "/v1/%2E./v2/x", 403), ("GET", "//v1/x", 403), ("GET", "/x/../v1/x", 403), ("POST", "/upload/", 403), ("POST", "/uploa%64", 200),
        ("get", "/v1/x", 403), ("GET", "/v1/..;/x", 403), ("GET", "/v1/\\..\\v2", 403), ("GET", "/v1/x?y=/../", 200),
    ])  # fmt: skip
    def test_a_request_is_held_to_the_rules(self, lab, ruled, method, path, status):
        del ruled
        mark = lab.al.mark()
        response = web.http(lab.agent, "allowed.test", path, at.AL, method, body=b"x" if method == "POST" else b"")
        if path in ("/v1/..;/x", "/v1/\\..\\v2"):
            assert response.status in (200, 400, 403)
            assert all(".." not in r.target or r.target == path for r in lab.al.since(mark))
            return
        assert response.status in ((status,) if status == 200 else (403, 400))
        if status == 403:
            assert lab.al.since(mark) == []
        if response.status == 403 and method != "HEAD":
            assert response.headers["x-soleroute-reason"] == "no_rule_matched"
            assert "/v1/" in response.body.decode(), "the rules that exist are named"
