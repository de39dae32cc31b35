"""THREATS B.5: HTTP/1 in clear. Each request of a connection is decided on exactly the bytes that are forwarded."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import re
import socket
import struct
import threading
import time

import pytest

from lab import addresses as at
from lab import wait, web
from lab.case import Live

threat = pytest.mark.threat

REFUSALS = (400, 403, 405, 414, 417, 421, 431, 501, 502, 505)


def talk(lab, data, address=at.AL, **options):
    """Raw bytes to port 80: (statuses in order, answer, how it ended)."""
    answer, how = web.talk(lab.agent, address, 80, data, **options)
    return statuses(answer), answer, how


def statuses(answer):
    """Status codes of the responses in a stream."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def refused(case, lab, data, codes=REFUSALS, address=at.AL, **options):
    """Answered with one of these statuses (or closed), the connection ended, nothing forwarded, nobody dialled."""
    marks = [origin.mark() for origin in (lab.al, lab.cdn, lab.wild)]
    syns = lab.capture.mark()
    options.setdefault("finish", True)
    found, answer, how = talk(lab, data, address, **options)
    assert how in ("fin", "rst"), (how, answer[:100])
    assert len(found) <= 1 and set(found) <= set(codes), (found, answer[:200], data[:100])
    if found:
        assert b"Content-Length:" in answer or b"Connection: close" in answer
    for origin, mark in zip((lab.al, lab.cdn, lab.wild), marks, strict=True):
        assert origin.since(mark) == [], origin.since(mark)
    case.no_syn(syns)
    return found[0] if found else None


def get(host, path="/", extra="", version="1.1"):
    return f"GET {path} HTTP/{version}\r\nHost: {host}\r\n{extra}\r\n".encode("latin1")


# --- The page ---


@threat("T077", "T131")
def test_a_denied_host_gets_the_page_that_says_so(case, lab):
    response = web.http(lab.agent, "denied.test", f"/{case.canary}")
    assert response.status == 403
    assert response.first_line == "Blocked by proxy policy: denied.test"
    headers = response.headers
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert headers["x-soleroute-reason"] == "host_not_allowed"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers
    assert "policy.yaml" in response.body.decode() and "- denied.test" in response.body.decode()
    record = case.one_record(phase="http", action="blocked", host="denied.test")
    assert record["status"] == 403
    assert record["method"] == "GET"
    assert record["path"] == f"/{case.canary}"
    case.no_query("denied.test")


@threat("T131")
@pytest.mark.parametrize(("method", "extra", "body"), [
    ("HEAD", "", b""), ("POST", "Content-Length: 5\r\n", b"hello"), ("PUT", "Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    ("GET", "Accept: text/html\r\n", b""), ("GET", "Origin: http://evil.test\r\n", b""), ("DELETE", "", b""), ("OPTIONS", "", b""),
])  # fmt: skip
def test_the_page_is_framed_right_for_every_request(case, lab, method, extra, body):
    data = f"{method} / HTTP/1.1\r\nHost: denied.test\r\nConnection: close\r\n{extra}\r\n".encode() + body
    found, answer, how = talk(lab, data, at.EV)
    assert found == [403] and how == "fin"
    head, _, page = answer.partition(b"\r\n\r\n")
    length = int(next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))[15:])
    assert len(page) == (0 if method == "HEAD" else length)
    assert length > 40
    assert b"access-control" not in head.lower()
    case.no_syn()


@threat("T131")
def test_a_client_that_wants_only_json_gets_json(case, lab):
    response = web.http(lab.agent, "denied.test", address=at.EV, headers=["Accept: application/json"])
    assert response.status == 403
    assert response.headers["content-type"].startswith("application/json")
    assert "denied.test" in json.dumps(json.loads(response.body))
    del case


@threat("T131", "T129")
@pytest.mark.parametrize("host", [
    "<script>alert(1)</script>", '"><svg onload=x>', "a\x1b[2Jb", "x" * 8000, "${jndi:ldap://x}", "a b", "\xff\xfe", "%3Cscript%3E.test",
])  # fmt: skip
def test_nothing_of_a_hostile_host_is_reflected(case, lab, host):
    data = get(host)
    found, answer, _ = talk(lab, data, finish=True)
    assert found in ([400], [431])
    assert host.encode("latin1") not in answer
    case.no_syn()


# --- Which origin ---


@threat("T077", "C14")
def test_a_denied_host_on_an_allowed_origins_address_is_refused(case, lab):
    assert refused(case, lab, get("denied.test", f"/{case.canary}", "Connection: close\r\n")) == 403
    assert refused(case, lab, get("cdn-denied.test", f"/{case.canary}", "Connection: close\r\n"), address=at.CDN) == 403
    assert web.http(lab.agent, "cdn-allowed.test").body == b"CDN\n"


@threat("T078", "T128")
@pytest.mark.parametrize("address", [at.EV, "8.8.8.8", "169.254.169.254", at.GW, at.GWUP, "10.99.0.1"], ids=lambda a: a)
def test_an_allowed_host_on_another_address_goes_to_its_own_origin(case, lab, address):
    case.canary_may_leave = True
    response = web.http(lab.agent, "allowed.test", f"/{case.canary}", address=address)
    assert response.body == b"AL\n"
    case.no_packet()


# --- Smuggling ---


def _cl_te(length):
    return (f"POST / HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n"
            "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: denied.test\r\n\r\n").encode()  # fmt: skip


@threat("T079")
@pytest.mark.parametrize("length", [4, 5, 6, 54, 1000])
def test_content_length_with_chunked_is_refused(case, lab, length):
    assert refused(case, lab, _cl_te(length)) == 400


@threat("T080")
def test_chunked_with_content_length_is_refused(case, lab):
    data = (b"POST / HTTP/1.1\r\nHost: allowed.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n"
            b"GET /smuggled HTTP/1.1\r\nHost: denied.test\r\nContent-Length: 15\r\n\r\nx=1\r\n0\r\n\r\n")  # fmt: skip
    assert refused(case, lab, data) == 400


TE_LINES = [
    "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: gzip", "Transfer-Encoding: gzip, chunked", 'Transfer-Encoding: "chunked"',
    "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: \x0bchunked", "Transfer-Encoding : chunked", " Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding:", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: \xef\xbd\x83hunked", "Transfer-Encoding: chunked,",
    "Transfer-Encoding\t: chunked", "Transfer-Encoding: chunked\x00", "Transfer\xadEncoding: chunked", "Foo: x\r\n\tTransfer-Encoding: chunked",
]  # fmt: skip


@threat("T081")
@pytest.mark.parametrize("line", TE_LINES)
def test_any_other_transfer_encoding_is_refused(case, lab, line):
    smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: denied.test\r\n\r\n"
    for length in ("", "Content-Length: 5\r\n"):
        if line.endswith("chunked,") and not length:
            continue  # RFC 9110 section 5.6.1 allows the empty element; with a length it is refused
        data = f"POST / HTTP/1.1\r\nHost: allowed.test\r\n{length}{line}\r\n\r\n{smuggled}"
        assert refused(case, lab, data.encode("latin1"), (400, 501)) in (400, 501, None)


@threat("T081")
@pytest.mark.parametrize("line", ["Transfer_Encoding: chunked", "TE: chunked"])
def test_what_only_looks_like_transfer_encoding_frames_nothing(case, lab, line):
    data = f"POST /echo HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 5\r\nConnection: close\r\n{line}\r\n\r\n0\r\n\r\n"
    found, answer, _ = talk(lab, data.encode())
    assert found in ([200], [400])
    if found == [200]:
        assert answer.endswith(b"\r\n\r\n0\r\n\r\n"), "five bytes of body, as the length says"
    del case


@threat("T081")
def test_transfer_encoding_in_http_1_0_is_refused(case, lab):
    data = b"POST / HTTP/1.0\r\nHost: allowed.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert refused(case, lab, data) == 400


CL_LINES = [
    "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5, 6", "Content-Length: +5", "Content-Length: -1", "Content-Length: 0x5",
    "Content-Length: 5 5", "Content-Length:", "Content-Length: 18446744073709551621", "Content-Length: 9223372036854775808",
    "Content-Length: 1e1", "Content-Length : 5", " Content-Length: 5", "Content-Length: 5\x00", "Content-Length: 5;", "Content-Length: five",
    "Content-Length: 5\r\n 6", "Content-Length: \x0b5", "Content-Length: 99999999999999999999999999", "Content-Length: 5,",
]  # fmt: skip


@threat("T082")
@pytest.mark.parametrize("line", CL_LINES)
def test_a_malformed_content_length_is_refused(case, lab, line):
    data = f"POST /echo HTTP/1.1\r\nHost: allowed.test\r\n{line}\r\n\r\nhelloGET /smuggled HTTP/1.1\r\nHost: denied.test\r\n\r\n"
    assert refused(case, lab, data.encode("latin1"), (400, 413, 501)) in (400, 413, 501)


@threat("T082")
@pytest.mark.parametrize("line", ["Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5", "Content-Length: 05", "Content-Length: 5\t"])
def test_a_repeated_or_padded_content_length_means_one_thing_or_nothing(case, lab, line):
    data = f"POST /echo HTTP/1.1\r\nHost: allowed.test\r\n{line}\r\n\r\nhelloGET /smuggled HTTP/1.1\r\nHost: denied.test\r\n\r\n"
    mark = lab.al.mark()
    found, _, _ = talk(lab, data.encode(), finish=True)
    assert found in ([400], [200, 403])
    for request in lab.al.since(mark):
        assert request.head.lower().count(b"content-length: 5") == 1 or request.body == b"hello"
    assert not lab.al.since(mark, "smuggled")
    del case


@threat("T082")
def test_a_huge_length_allocates_nothing_and_a_short_body_ends_the_connection(case, lab, router):
    before = router.resident_bytes()
    with web.connected(lab.agent, at.AL, 80) as link:
        link.sendall(b"POST /upload HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 9223372036854775807\r\n\r\n" + b"x" * 65536)
        wait.until(lambda: lab.al.requests and "9223372036854775807" in lab.al.requests[-1].headers.get("content-length", ""), "the head")
        assert router.resident_bytes() - before < 8 << 20
    found, answer, how = talk(lab, b"POST /echo HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 500\r\n\r\nshort", finish=True)
    assert how in ("fin", "rst")
    assert 200 not in found or b"short" in answer
    del case


HOSTS = {
    "allowed then denied": "Host: allowed.test\r\nHost: denied.test", "denied then allowed": "Host: denied.test\r\nHost: allowed.test",
    "twice the same": "Host: allowed.test\r\nHost: allowed.test", "other case": "Host: allowed.test\r\nHOST: denied.test", "none": "X: y",
    "empty": "Host:", "list": "Host: allowed.test, denied.test", "empty element": "Host: ,allowed.test", "folded": "Host: allowed.test\r\n denied.test",
    "space before the colon": "Host : allowed.test", "leading space": " Host: allowed.test",
}  # fmt: skip


@threat("T084")
@pytest.mark.parametrize("what", HOSTS)
def test_anything_but_one_host_is_refused(case, lab, what):
    data = f"GET /{case.canary} HTTP/1.1\r\n{HOSTS[what]}\r\n\r\n"
    assert refused(case, lab, data.encode()) == 400


@threat("T085")
@pytest.mark.parametrize(("target", "host", "codes"), [
    ("http://allowed.test/", "denied.test", (400, 421)), ("http://denied.test/", "allowed.test", (400, 421)),
    ("https://allowed.test/", "allowed.test", (400,)), ("http:///x", "allowed.test", (400,)),
    ("http:denied.test", "allowed.test", (400,)), ("ftp://allowed.test/", "allowed.test", (400,)), ("allowed.test/x", "allowed.test", (400,)),
    ("http://denied.test/", "denied.test", (403,)), ("http://allowed.test:443/", "allowed.test:443", (400, 403, 421)),
    ("http://allowed.test@denied.test/", "denied.test", (400,)), ("http://allowed.test", "denied.test", (400, 421)),
    ("http://allowed.test:80/", "allowed.test:8080", (400, 403, 421)), ("", "allowed.test", (400,)),
])  # fmt: skip
def test_a_target_that_says_something_else_than_host_is_refused(case, lab, target, host, codes):
    data = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    assert refused(case, lab, data.encode(), codes) in codes


@threat("T085", "C01")
@pytest.mark.parametrize("target", ["http://allowed.test/abs?x=1", "HTTP://ALLOWED.TEST/abs?x=1", "http://allowed.test:80/abs?x=1"])
def test_an_absolute_target_that_agrees_is_forwarded_in_origin_form(case, lab, target):
    mark = lab.al.mark()
    found, _, _ = talk(lab, f"GET {target} HTTP/1.1\r\nHost: allowed.test\r\nConnection: close\r\n\r\n".encode())
    assert found == [200]
    head = lab.al.since(mark)[0].head
    assert head.startswith(b"GET /abs?x=1 HTTP/1.1\r\n")
    assert head.lower().count(b"\r\nhost:") == 1
    del case


@threat("T085")
def test_a_path_that_looks_like_an_authority_is_a_path(case, lab):
    mark = lab.al.mark()
    found, _, _ = talk(lab, get("allowed.test", "//denied.test/x", "Connection: close\r\n"))
    assert found == [200]
    assert lab.al.since(mark)[0].target == "//denied.test/x"
    del case


AUTHORITIES = [
    "allowed.test@denied.test", "denied.test@allowed.test", "denied.test#.wild.test", "denied.test?.wild.test", "denied.test/.wild.test",
    "denied.test\\.wild.test", "denied.test;.wild.test", "denied.test%2f.wild.test", "denied.test%00.wild.test", "denied.test%2ewild.test",
    "user:pass@allowed.test", "[allowed.test]", "[denied.test]", "[[::1]]", "%64enied.test", "allowed.test%20", "allowed.test ,", "a..wild.test",
    ".wild.test", "*.wild.test", "allowed.test..", "allowed.test:80:80", "http://allowed.test", "\xd0\xb0llowed.test", "allowed\xe3\x80\x82test",
]  # fmt: skip


@threat("T086", "T088", "T059")
@pytest.mark.parametrize("authority", AUTHORITIES)
def test_an_authority_that_is_no_host_name_is_refused(case, lab, authority):
    assert refused(case, lab, get(authority, f"/{case.canary}")) == 400
    absolute = f"GET http://{authority}/{case.canary} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("latin1")
    assert refused(case, lab, absolute) == 400
    case.no_query()


@threat("T087")
@pytest.mark.parametrize("port", [":0", ":65536", ":099999", ":80:80", ":+80", ": 80", ":\xef\xbc\x98\xef\xbc\x90", ":8o", ":-1", ":65616", ":4294967376"])
def test_a_bad_port_is_refused(case, lab, port):
    assert refused(case, lab, get(f"allowed.test{port}")) == 400


@threat("T087")
@pytest.mark.parametrize("port", [":443", ":22", ":8080", ":81"])
def test_a_host_with_another_port_does_not_move_the_connection(case, lab, port):
    assert refused(case, lab, get(f"allowed.test{port}", "/", "Connection: close\r\n"), (400, 403, 421)) in (400, 403, 421)


@threat("T087", "C01")
@pytest.mark.parametrize("host", ["allowed.test:80", "ALLOWED.test", "Allowed.Test:80", "allowed.test.", "allowed.test\t", " allowed.test"])
def test_the_same_host_written_otherwise_is_allowed(case, lab, host):
    assert talk(lab, get(host, extra="Connection: close\r\n"))[0] == [200]
    assert refused(case, lab, get(host.replace("allowed", "denied").replace("ALLOWED", "DENIED").replace("Allowed", "Denied"),
                                  extra="Connection: close\r\n")) == 403  # fmt: skip


@threat("T087")
def test_an_empty_port_is_the_default_one_or_refused(case, lab):
    assert talk(lab, get("allowed.test:", extra="Connection: close\r\n"), finish=True)[0] in ([200], [400])
    del case


@threat("T056", "T088")
@pytest.mark.parametrize("host", [
    "45.33.32.10", "45.33.32.66", "127.0.0.1", "0x2d.0x21.0x20.0x42", "0x2d212042", "757145666", "055.041.040.0102", "45.33.8258", "127.1",
    "[::1]", "[::ffff:45.33.32.66]", "169.254.169.254", "1.1.1.1.",
])  # fmt: skip
def test_addresses_and_numbers_are_not_names(case, lab, host):
    assert refused(case, lab, get(host, extra="Connection: close\r\n"), (400, 403)) in (400, 403)


CONTROL_BYTES = {
    "bare LF": b"GET / HTTP/1.1\nHost: allowed.test\n\n", "LF in the head": b"GET / HTTP/1.1\r\nHost: allowed.test\nX: y\r\n\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nHost: allowed.test\rHost: denied.test\r\n\r\n", "NUL in Host": b"GET / HTTP/1.1\r\nHost: allowed.test\0denied.test\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: allowed.test\r\nX: a\0b\r\n\r\n", "VT in a value": b"GET / HTTP/1.1\r\nHost: allowed.test\r\nX: a\x0bb\r\n\r\n",
    "DEL in a value": b"GET / HTTP/1.1\r\nHost: allowed.test\r\nX: a\x7fb\r\n\r\n", "NUL in a name": b"GET / HTTP/1.1\r\nHost: allowed.test\r\nX\0: y\r\n\r\n",
    "space in a name": b"GET / HTTP/1.1\r\nHost: allowed.test\r\nX Y: z\r\n\r\n", "empty name": b"GET / HTTP/1.1\r\nHost: allowed.test\r\n: x\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: allowed.test\r\nXY\r\n\r\n", "CR CR LF": b"GET / HTTP/1.1\r\nHost: allowed.test\r\r\n\r\n",
    "two empty lines first": b"\r\n\r\nGET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n", "LF first": b"\nGET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
    "NUL in the target": b"GET /\0 HTTP/1.1\r\nHost: allowed.test\r\n\r\n", "fold": b"GET / HTTP/1.1\r\nHost: allowed.test\r\nX: y\r\n z\r\n\r\n",
    "fold before Host": b"GET / HTTP/1.1\r\n X: y\r\nHost: allowed.test\r\n\r\n", "DEL in the target": b"GET /\x7f HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
}  # fmt: skip


@threat("T089")
@pytest.mark.parametrize("what", CONTROL_BYTES)
def test_control_bytes_that_readers_disagree_about_are_refused(case, lab, what):
    assert refused(case, lab, CONTROL_BYTES[what]) in (400, None)


@threat("T089", "C01")
def test_one_empty_line_before_a_request_is_allowed(case, lab):
    assert talk(lab, b"\r\n" + get("allowed.test", extra="Connection: close\r\n"))[0] == [200]
    del case


@threat("T091")
@pytest.mark.parametrize(("data", "codes"), [
    (b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: allowed.test\r\n\r\n", (414, 431)),
    (b"GET /" + b"a" * (1 << 20), (414, 431)),
    (b"GET / HTTP/1.1\r\nHost: allowed.test\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n", (431,)),
    (b"GET / HTTP/1.1\r\nHost: allowed.test\r\n" + b"X: abcdef\r\n" * 100000 + b"\r\n", (431,)),
    (b"GET / HTTP/1.1\r\nHost: allowed.test\r\n" + b"Cookie: a=b\r\n" * 10000 + b"\r\n", (431,)),
    (b"GET / HTTP/1.1\r\nHost: allowed.test\r\n" + b"X: y\r\n" * 128 + b"\r\n", (431,)),
], ids=["64 KiB line", "1 MiB line", "1 MiB header", "100000 headers", "10000 cookies", "129 headers"])  # fmt: skip
def test_what_is_over_a_limit_is_refused(case, lab, router, data, codes):
    before = router.resident_bytes()
    assert refused(case, lab, data, codes) in (*codes, None)
    case.control()
    assert router.resident_bytes() - before < 8 << 20


@threat("T091")
def test_what_is_just_within_the_limits_passes(case, lab):
    line = b"GET /" + b"a" * (8192 - len(b"GET / HTTP/1.1")) + b" HTTP/1.1\r\nHost: allowed.test\r\nConnection: close\r\n"
    assert talk(lab, line + b"\r\n")[0] == [200]
    assert talk(lab, line.replace(b"/a", b"/aa", 1) + b"\r\n", finish=True)[0] == [414]
    fields = b"GET / HTTP/1.1\r\nHost: allowed.test\r\nConnection: close\r\n" + b"X: y\r\n" * 126 + b"\r\n"
    assert talk(lab, fields)[0] == [200]
    start = b"GET / HTTP/1.1\r\nHost: allowed.test\r\nConnection: close\r\nX: "
    for size, status in ((65535, 200), (65536, 200), (65537, 431)):
        head = start + b"v" * (size - len(start) - 4) + b"\r\n\r\n"
        assert talk(lab, head, finish=status != 200)[0] == [status], size
    del case


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
    "a folded header": b"HTTP/1.1 200 OK\r\nX: y\r\n Content-Length: 4\r\n\r\nfake",
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
