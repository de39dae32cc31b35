"""HTTP/1 in clear. Each request of a connection is decided on exactly the bytes that are forwarded."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json

import pytest

from lab import addresses as at
from lab import wait, web
from lab.http1 import get, refused, talk

threat = pytest.mark.threat


# --- The page ---


@threat("T077", "T131")
def test_a_denied_host_gets_the_page_that_says_so(case, lab):
    response = web.http(lab.agent, "denied.test", f"/{case.canary}")
    assert response.status == 403
    assert response.first_line.startswith("Blocked by proxy policy: denied.test")
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
    assert response.headers["content-type"].startswith("application/problem+json")
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
