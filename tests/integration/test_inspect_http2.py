"""HTTP/2 inside inspected TLS: real clients and raw frames, each stream decided, and the catalogue's HTTP/2 cases with their controls."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import shutil
import ssl
import time
from pathlib import Path

import pytest

from lab import addresses as at
from lab import http2_wire as h2
from lab import http2_origin, inspection, wait, web
from lab.case import Live

threat = pytest.mark.threat
HERE = Path(h2.__file__).parent
HOST = http2_origin.HOST  # the others of the laboratory speak HTTP/1

POLICY = """\
domains:
  - host: spare.wild.test
    rules:
      - {schemes: [https], path: {prefix: /ok/}}
  - {host: allowed.test, tls: inspect}
  - {host: "*.wild.test", tls: inspect}
  - {host: cdn-allowed.test, tls: inspect}
"""


@pytest.fixture(scope="module")
def origin(lab):
    yield from http2_origin.serving(lab)


@pytest.fixture(scope="module")
def router(lab, gateway_binary, origin, tmp_path_factory):
    del gateway_binary, origin
    yield from inspection.inspecting_router(lab, tmp_path_factory, POLICY)


@pytest.fixture
def raw(lab, router):
    """A raw client: raw() as a context manager, for the host of the HTTP/2 origin or another."""
    return lambda name=HOST, address=at.SPARE: h2.linked(lab.agent, address, name, router.ca_certificate)


def node(lab, router, what):
    code, said = lab.run_client("node", str(HERE / "http2_client.js"), router.ca_certificate, what, HOST)
    assert code == 0, said
    return json.loads(said.splitlines()[-1])


def curl(lab, router, *words, timeout=60):
    return lab.run_client("curl", "-sS", "--http2", "--cacert", router.ca_certificate, *words, timeout=timeout)


# --- Real clients ---


@threat("C01")
def test_curl_speaks_http2_to_an_origin_that_does_and_http1_to_one_that_does_not(case, lab, router, origin):
    code, said = curl(lab, router, "-w", "%{http_version} %{http_code}\n", f"https://{HOST}/ok/A%2fb/%7e?q=1")
    assert (code, said) == (0, "HTTP2\n2 200\n"), said
    assert origin.asked("/ok/A%2fb/%7e?q=1"), origin.seen  # as the client sent it
    code, said = curl(lab, router, "-w", "%{http_version} %{http_code}\n", "https://allowed.test/")
    assert (code, said) == (0, "AL\n1.1 200\n"), said
    record = case.one_record(host=HOST, path="/ok/A%2fb/%7e")
    assert (record["action"], record["phase"], record["status"]) == ("allowed", "http", 200)
    case.may_leave.add((at.SPARE, 6, 443))


@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
def test_blanks_at_the_ends_of_an_origins_fields_are_cut_off(case, lab, router, version):
    code, said = lab.run_client("curl", "-sS", version, "--cacert", router.ca_certificate, "-w", "[%header{x-blank}]", f"https://{HOST}/ok/blanks")
    assert (code, said) == (0, "blanks[padded]"), said
    code, said = lab.run_client("curl", "-sS", version, "--cacert", router.ca_certificate, "-D", "-", f"https://{HOST}/ok/blanks")
    assert "x-blank: padded\r\n".replace("\r", "") in said and "x-empty: \n" in said, said
    del case


def test_each_stream_is_decided_and_the_others_go_on(case, lab, router, origin):
    said = node(lab, router, "mixed")
    assert (said["/denied"], said["/ok/a"], said["/denied/too"], said["open"]) == (403, 200, 403, "still open"), said
    assert said["/denied text"].startswith(f"Blocked by proxy policy: {HOST}")
    assert not origin.asked("/denied")
    record = case.one_record(host=HOST, path="/denied/too")
    assert (record["action"], record["reason"]) == ("blocked", "no_rule_matched")


@threat("C09")
def test_grpc_streams_both_ways_at_once_and_ends_in_trailers(case, lab, router):
    said = node(lab, router, "echo")
    assert (said["heard"], said["status"], said["up"]) == (["one", "two", "three"], "0", "sum"), said
    case.record(host=HOST, path="/ok/echo", status=200)


@threat("C07")
def test_events_arrive_as_they_are_sent(lab, router):
    times = node(lab, router, "events")["times"]
    assert len(times) == 3 and times[2] - times[0] > 600, times


@threat("C08")
def test_websocket_over_http2_works_where_the_origin_takes_it(case, lab, router):
    assert node(lab, router, "websocket") == {"status": 200, "heard": "ping"}
    assert case.record(host=HOST, path="/ok/socket")["method"] == "GET"


@threat("T182", "T184")
def test_over_http2_too_no_header_names_another_path_and_no_body_of_get_has_a_length(case, lab, router, origin):
    status = ("-o", "/dev/null", "-w", "%{http_code}")
    assert curl(lab, router, *status, "-H", "X-Original-URL: /admin", f"https://{HOST}/ok/override") == (0, "403")
    assert case.record(host=HOST, path="/ok/override")["reason"] == "override_header"
    assert curl(lab, router, *status, "-H", "X-HTTP-Method: PUT", f"https://{HOST}/ok/override2") == (0, "200"), "the rule is about paths"
    assert curl(lab, router, *status, "-H", "X-Original-URL: /admin", "https://allowed.test/x") == (0, "200"), "no rule is about paths"
    assert origin.asked("/ok/override2") and not origin.asked("/ok/override")


@threat("T181", "C08")
def test_a_websocket_over_http2_opens_only_for_its_handshake(case, lab, router):
    assert node(lab, router, "websockets") == [[502, ""], [400, ""], [200, "chat"], [200, ""]]
    assert "protocol that was not offered" in case.record(path="/ok/socket/other")["detail"]


def test_a_stream_given_up_by_the_client_is_given_up_at_the_origin(lab, router, origin):
    assert node(lab, router, "cancel")["code"] == 8
    wait.until(lambda: {"closed": "/ok/forever", "code": 8} in origin.seen, "the origin to hear of it")


def test_a_reset_of_the_origin_reaches_the_client(lab, router):
    assert node(lab, router, "reset")["code"] == 2


def test_goaway_of_the_origin_ends_no_request(lab, router):
    urls = [f"https://{HOST}/ok/goaway?{i}" for i in range(5)]
    code, said = curl(lab, router, *urls)
    assert (code, said.count("last of this connection")) == (0, 5), said


@threat("C06")
def test_large_bodies_pass_both_ways_without_being_kept(lab, router):
    code, said = curl(lab, router, "-o", "/dev/null", "-w", "%{size_download}", f"https://{HOST}/ok/bytes")
    assert (code, said) == (0, str(64 << 20)), said
    before = router.resident_bytes()
    upload = f"head -c {64 << 20} /dev/zero | curl -sS --http2 --cacert {router.ca_certificate} -T - https://{HOST}/ok/count"
    code, said = lab.run_client("sh", "-c", upload)
    assert (code, said) == (0, str(64 << 20)), said
    assert router.resident_bytes() < before + (32 << 20)


def test_nghttp_and_h2load_are_served(lab, router):
    for tool in ("nghttp", "h2load"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    code, said = lab.run_client("nghttp", f"https://{HOST}/ok/a", f"https://{HOST}/ok/b")
    assert (code, said.count("HTTP2\n")) == (0, 2), said
    code, said = lab.run_client("h2load", "-n", "500", "-c", "4", "-m", "20", f"https://{HOST}/ok/a")
    assert code == 0 and "500 succeeded, 0 failed" in said, said
    assert "status codes: 500 2xx" in said, said


def test_a_client_of_http2_alone_is_served_by_an_origin_of_http1(case, raw):
    with raw("allowed.test", at.AL) as link:
        link.send(h2.get(1, "allowed.test", "/over-http1"))
        assert link.end_of(1) == ("end", b"AL\n")
    case.record(host="allowed.test", path="/over-http1", status=200)


# --- A client of HTTP/1.1 alone, and this origin, which speaks HTTP/2 alone ---


def test_the_origin_refuses_a_client_of_http1(lab, origin):
    """The control of the next ones."""
    del origin
    context = ssl.create_default_context(cafile=str(lab.ca.certificate))
    context.set_alpn_protocols(["http/1.1"])
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        with web.connected(lab.up, at.SPARE, 443) as plain, context.wrap_socket(plain, server_hostname=HOST) as link:
            link.recv(1)


@threat("C01", "C06")
def test_a_client_of_http1_is_served_by_an_origin_of_http2(case, lab, router, origin):
    code, said = curl(lab, router, "--http1.1", "-w", "%{http_version} %{http_code}\n",
                      f"https://{HOST}/ok/A%2fb/%7e?h=1", f"https://{HOST}/denied/h1", f"https://{HOST}/ok/again?h=1")  # fmt: skip
    assert code == 0 and said.startswith("HTTP2\n1.1 200\nBlocked by proxy policy") and said.endswith("HTTP2\n1.1 200\n"), said
    assert "1.1 403\n" in said
    assert origin.asked("/ok/A%2fb/%7e?h=1") and not origin.asked("/denied/h1")
    assert case.record(path="/denied/h1", host=HOST)["reason"] == "no_rule_matched"
    before = router.resident_bytes()
    code, said = curl(lab, router, "--http1.1", "-o", "/dev/null", "-w", "%{size_download}", f"https://{HOST}/ok/bytes")
    assert (code, said) == (0, str(64 << 20)), said
    upload = f"head -c {64 << 20} /dev/zero | curl -sS --http1.1 --cacert {router.ca_certificate} -T - https://{HOST}/ok/count"
    code, said = lab.run_client("sh", "-c", upload)
    assert (code, said) == (0, str(64 << 20)), said
    assert router.resident_bytes() < before + (32 << 20)


@threat("C07", "C08")
def test_a_client_of_http1_has_events_as_they_are_sent_and_websockets_from_an_origin_of_http2(case, lab, router, origin):
    del origin
    with web.tls(lab.agent, HOST, router.ca_certificate) as link:
        link.sendall(web.request_bytes(HOST, "/ok/events"))
        times, text = [], b""
        while b"data: 3" not in text:
            text += link.recv(65536)
            times.append(time.monotonic())
        assert times[-1] - times[0] > 0.6, text
    upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    with web.tls(lab.agent, HOST, router.ca_certificate) as link:
        link.sendall(web.request_bytes(HOST, "/ok/socket", headers=upgrade))
        reader = web.Reader(link)
        response = reader.response()
        assert (response.status, response.headers["sec-websocket-accept"]) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        link.sendall(b"ping")
        assert reader.exactly(4) == b"ping"
    assert case.record(host=HOST, path="/ok/socket")["status"] == 101


def test_a_reload_that_denies_a_live_stream_resets_it_and_no_other(lab, router, raw):
    with raw() as link, raw() as other:
        link.send(h2.get(1, HOST, "/ok/forever"))
        other.send(h2.get(1, HOST, "/ok/events"))
        wait.until(lambda: len(lab.capture.syns(0)) >= 1, "the origin to be dialled")
        try:
            router.reload(POLICY.replace("prefix: /ok/}", "exact: /ok/events}"))
            assert link.end_of(1)[0] in ("reset", "goaway", "gone")
            assert other.end_of(1) == ("end", b"data: 1\n\ndata: 2\n\ndata: 3\n\n")
        finally:
            router.reload(POLICY)


# --- B.6 ---


@threat("T102", "T104")
def test_another_authority_than_the_sni_is_misdirected_and_the_stream_beside_it_goes_on(case, raw):
    with raw() as link:
        for stream, authority in enumerate(("cdn-denied.test", "x.wild.test", "evil.test")):
            link.send(h2.get(2 * stream + 1, authority, f"/{case.canary}"))
            how, text = link.end_of(2 * stream + 1)
            assert how == "end" and authority.encode() in text, (how, text)
            assert case.record(host=authority)["status"] == 421
        link.send(h2.get(7, "45.33.32.20"))
        assert link.end_of(7)[0] == "end"
        link.send(h2.get(9, None))
        assert link.end_of(9) == ("reset", h2.PROTOCOL_ERROR)
        link.send(h2.get(11, HOST, "/ok/control"))
        assert link.end_of(11) == ("end", b"HTTP2\n")
    case.no_query("evil.test")


@threat("T103")
def test_authority_and_host_must_agree_and_one_is_sent_on(raw, origin):
    with raw() as link:
        link.send(h2.get(1, HOST, "/ok/1", host="denied.test"))
        assert b"differ" in link.end_of(1)[1]
        link.send(h2.get(3, "denied.test", "/ok/1", host=HOST))
        assert b"differ" in link.end_of(3)[1]
        twice = h2.block(HOST) + h2.literal("host", HOST) * 2
        link.send(h2.frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 5, twice))
        assert link.end_of(5) == ("reset", h2.PROTOCOL_ERROR)
        link.send(h2.get(7, HOST, "/ok/same", host=HOST))
        assert link.end_of(7) == ("end", b"HTTP2\n")
        link.send(h2.get(9, None, "/ok/alone", host=HOST))
        assert link.end_of(9) == ("end", b"HTTP2\n")
    for path in ("/ok/same", "/ok/alone"):
        assert [(one["authority"], one.get("host")) for one in origin.asked(path)] == [(HOST, None)]
    assert not origin.asked("/ok/1")


@threat("T106")
def test_connect_opens_no_tunnel(case, raw):
    with raw() as link:
        for stream, target in ((1, "evil.test:443"), (3, f"{HOST}:443"), (5, f"{HOST}:22")):
            connect = h2.literal(":method", "CONNECT") + h2.literal(":authority", target)
            link.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, connect))
            how, said = link.end_of(stream)
            assert how == "end" and said[:1] == b"4", (how, said)
        for stream, protocol in ((7, "connect-udp"), (9, "connect-ip")):
            link.send(h2.get(stream, HOST, "/ok/", method="CONNECT", **{":protocol": protocol}))
            assert link.end_of(stream)[0] in ("end", "reset")
    case.no_query("evil.test")


@threat("T107")
@pytest.mark.parametrize("flood", [
    pytest.param(h2.frame(h2.PING, 0, 0, b"12345678"), id="pings"),
    pytest.param(h2.frame(h2.SETTINGS, 0, 0), id="settings"),
    pytest.param(h2.frame(h2.PRIORITY, 0, 3, b"\0\0\0\0\x10"), id="priorities"),
    pytest.param(h2.frame(h2.WINDOW_UPDATE, 0, 0, h2.u32(1)), id="window-updates"),
    pytest.param(h2.frame(h2.DATA, 0, 1), id="empty-data"),
    pytest.param(h2.frame(0xEE, 0, 0, b"x"), id="unknown"),
])  # fmt: skip
def test_a_flood_of_frames_that_carry_nothing_ends_the_connection(lab, raw, flood):
    with raw() as link, Live(lab):
        link.send(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block(HOST, "/ok/count", method="POST")))
        sent = 0
        while sent < 1_000_000 and link.send(flood * 1000):
            sent += 1000
        assert sent < 1_000_000
        assert link.goaway() in (h2.CALM, None)


@threat("T107")
@pytest.mark.parametrize("piece", [b"", h2.literal("x", "y" * 16000)], ids=["empty", "full"])
def test_a_flood_of_continuations_ends_the_connection(lab, router, raw, piece):
    before = router.resident_bytes()
    with raw() as link, Live(lab):
        link.send(h2.frame(h2.HEADERS, h2.END_STREAM, 1, h2.block(HOST, "/ok/")))
        sent = 0
        while sent < 100_000 and link.send(h2.frame(h2.CONTINUATION, 0, 1, piece) * 10):
            sent += 10
        assert sent < 100_000
    assert router.resident_bytes() < before + (16 << 20)


@threat("T107")
def test_streams_that_are_never_read_are_bounded(lab, router, raw):
    before = router.resident_bytes()
    with raw() as link, Live(lab):
        link.send(h2.frame(h2.SETTINGS, 0, 0, b"\0\4" + h2.u32(0)))
        for stream in range(1, 2001, 2):
            if not link.send(h2.get(stream, HOST, "/ok/bytes")):
                break
        link.send(h2.frame(h2.PING, 0, 0, b"whatever"))
        for kind, flags, _, _ in link.frames():
            if kind == h2.GOAWAY or (kind == h2.PING and flags & 1):
                break
        assert router.resident_bytes() < before + (64 << 20)


@threat("T108")
def test_rapid_resets_end_the_connection_and_dial_little(case, lab, raw):
    mark = lab.capture.mark()
    with raw() as link, Live(lab):
        sent = 0
        for stream in range(1, 200_000, 2):
            if not link.send(h2.get(stream, HOST, "/ok/a") + h2.frame(h2.RST, 0, stream, h2.u32(h2.CANCEL))):
                break
            sent += 1
        assert sent < 100_000 - 1
    dialled = [p for p in lab.capture.syns(mark) if p.destination == at.SPARE]
    assert 1 <= len(dialled) <= 10, dialled
    assert case.record(reason="malformed", detail="too many streams given up")["host"] == HOST


@threat("T108")
def test_resets_that_the_client_provokes_end_the_connection(lab, raw):
    with raw() as link, Live(lab):
        sent = 0
        for stream in range(1, 200_000, 2):
            wrong = h2.frame(h2.WINDOW_UPDATE, 0, stream, h2.u32(0x7FFFFFFF))
            if not link.send(h2.get(stream, HOST, "/denied") + wrong):
                break
            sent += 1
        assert sent < 100_000 - 1


@threat("T109")
def test_a_compression_bomb_is_not_unpacked(lab, router, raw):
    value = b"x" * 4000
    indexed = b"\x40\x01x" + h2.text(value)
    before = router.resident_bytes()
    with raw() as link, Live(lab):
        bomb = h2.block(HOST, "/ok/") + indexed + b"\xbe" * 12000
        link.send(h2.frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 1, bomb))
        assert link.end_of(1)[0] == "reset"
        link.send(h2.get(3, HOST, "/ok/control"))
        assert link.end_of(3) == ("end", b"HTTP2\n")
    assert router.resident_bytes() < before + (16 << 20)


@threat("T109")
@pytest.mark.parametrize("wrong", [
    pytest.param(b"\x80", id="index-0"),
    pytest.param(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", id="integer-overflow"),
    pytest.param(b"\xbe", id="beyond-the-table"),
    pytest.param(b"\x10\x81\xff\x00", id="huffman-padding"),
    pytest.param(b"\x3f\xe2\x7f", id="table-too-large"),
])  # fmt: skip
def test_malformed_compression_ends_the_connection(case, raw, wrong):
    with raw() as link:
        link.send(h2.frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 1, wrong))
        assert link.goaway() == h2.COMPRESSION_ERROR
    case.control("http")


@threat("T109")
def test_a_header_list_over_the_limit_gets_431(case, raw):
    with raw() as link:
        many = h2.block(HOST, "/ok/") + h2.literal("x", "y") * 300
        link.send(h2.frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 1, many))
        how, said = link.end_of(1)
        assert how == "end" and said.startswith(b"431 "), (how, said)
        fewer = h2.block(HOST, "/ok/") + h2.literal("x", "y") * 100
        link.send(h2.frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 3, fewer))
        assert link.end_of(3) == ("end", b"HTTP2\n")
    case.record(host=HOST, reason="too_large", status=431)
