"""An odd answer is the same answer by every way in: redirected, by the explicit proxy, by SOCKS, inspected, and translated to HTTP/2."""
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest

from lab import addresses as at
from lab import inspection

threat = pytest.mark.threat

PROXY = f"{at.GW}:8080"
WAYS = {
    "redirected": ("http", ()),
    "proxy": ("http", ("-x", f"http://{PROXY}")),
    "SOCKS": ("http", ("--socks5-hostname", PROXY)),
    "inspected": ("https", ("--http1.1",)),
    "HTTP/2": ("https", ("--http2",)),
    "inspected in CONNECT": ("https", ("-x", f"http://{PROXY}", "--http2")),
}
CHUNKS = b"2\r\nhi\r\n0\r\n\r\n"
ANSWERS = {
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "chunked and a length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n" + CHUNKS,
    "chunked on HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "identity": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi",
    "equal lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2, 02\r\n\r\nhi",
    "a blank before colons": b"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length : 2\r\n\r\nhi",
    "folded": b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length:\r\n\t2\r\n\r\nhi",
    "LF": b"HTTP/1.1 200 OK\nX: y\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n",
    "CR CR LF": b"HTTP/1.1 200 OK\r\r\nContent-Length: 2\r\r\n\r\r\nhi",
    "chunk sizes": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0002 ;x=\"\r\nhi\r\n000  \r\nno trailer\r\n\r\n",
    "no end of the trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
    "two blanks": b"HTTP/1.1  200  OK\r\nContent-Length: 2\r\n\r\nhi",
    "empty lines before": b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "a later version": b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "lower case": b"http/1.1 200 ok\r\ncontent-length: 2\r\n\r\nhi",
    "ICY": b"ICY 200 OK\r\nX: y\r\n\r\nhi",
    "control characters": b"HTTP/1.1 200 O\x01K\r\nX: \x0b\x7f\xe9\xc3\xa9\r\nX\x02: y\r\nContent-Length: 2\r\n\r\nhi",
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\nContent-Length: 3\n\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "bytes behind": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nFAKE",
    "until the end": b"HTTP/1.0 200 OK\r\n\r\nhi",
}


@pytest.fixture(scope="module")
def router(lab, gateway_binary, tmp_path_factory):
    del gateway_binary
    yield from inspection.inspecting_router(lab, tmp_path_factory, "domains:\n  - {host: allowed.test, tls: inspect}\n")


def fetch(lab, router, way, sent, *words):
    """(exit status, output) of curl for this answer and, behind it, one that is as it should be."""

    def answer(connection, request):
        del request
        connection.send(sent)
        return False

    lab.al.script("/odd", answer)
    scheme, options = WAYS[way]
    urls = [f"{scheme}://allowed.test/odd", f"{scheme}://allowed.test/after"]
    return lab.run_client("curl", "-sS", "-m", "10", "--cacert", router.ca_certificate, *options, "-w", " %{http_code} ", *words, *urls)


@threat("T100", "T185")
@pytest.mark.parametrize("what", ANSWERS)
def test_an_odd_answer_arrives_whole_and_alone(case, lab, router, what):
    for way in WAYS:
        code, said = fetch(lab, router, way, ANSWERS[what])
        assert (code, said) == (0, "hi 200 AL\n 200 "), (way, said)
    del case


@threat("T100", "T185")
@pytest.mark.parametrize("status", [204, 304, 600, 999])
def test_a_status_is_passed_as_it_is(case, lab, router, status):
    body = b"" if status in (204, 304) else b"hi"
    sent = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nhi" % status
    for way in WAYS:
        code, said = fetch(lab, router, way, sent)
        assert (code, said) == (0, f"{body.decode()} {status} AL\n 200 "), (way, said)
    del case


@threat("T100", "T185")
@pytest.mark.parametrize("head", [
    b"Content-Length: 2\r\nContent-Length: 3", b"Content-Length: x", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: xchunked", b"X: \x00\r\nContent-Length: 2",
], ids=range(5))  # fmt: skip
def test_an_answer_with_two_readings_is_none(case, lab, router, head):
    for way in WAYS:
        code, said = fetch(lab, router, way, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\nhi", "-o", "/dev/null", "-o", "/dev/null")
        assert (code, said) == (0, " 502  200 "), (way, said)
    del case


@threat("T100")
def test_an_answer_that_is_cut_short_is_an_error(case, lab, router):
    for sent in (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"):
        for way in WAYS:
            code, said = fetch(lab, router, way, sent, "--fail-early")
            assert code != 0, (way, said)
    del case
