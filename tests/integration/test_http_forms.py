"""What is forwarded of HTTP/1 is in plain form: no chunk extension, nothing that only some readers understand."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import subprocess
import unicodedata
import urllib.parse

import pytest

from lab import addresses as at
from lab import web
from lab.http1 import get, statuses, talk

threat = pytest.mark.threat

CHUNKED = b"POST /echo HTTP/1.1\r\nHost: allowed.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


def raw_echo(lab, path):
    """Answers with the very bytes of a chunked body."""

    def answer(connection, request):
        raw = b""
        while not raw.endswith(b"0\r\n\r\n"):
            raw += connection.take(1)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
        return False

    lab.al.script(path, answer)


# --- Bodies ---


@threat("T180")
@pytest.mark.parametrize("step", [0, 1])
def test_no_chunk_extension_of_a_client_reaches_an_origin(case, lab, step):
    raw_echo(lab, "/raw")
    sent = b'5;a=b\r\nhello\r\n1 ; q="\\"; x" ;c\r\n!\r\n0002\r\nab\r\n0;end\r\n\r\n'
    found, answer, _ = talk(lab, CHUNKED.replace(b"/echo", b"/raw") + sent, step=step)
    assert found == [200]
    assert answer.endswith(b"\r\n\r\n5\r\nhello\r\n1\r\n!\r\n2\r\nab\r\n0\r\n\r\n")
    del case


@threat("T180")
@pytest.mark.parametrize("line", [
    b'5;a="', b"5;", b"5;a=", b"5;=b", b'5;a="b"c', b"5;a(", b"5;a,b", b"5;a ", b"5 ", b'5;a="\x0b"', b"5;" + b"a" * 1025,
], ids=range(11))  # fmt: skip
@pytest.mark.parametrize("at_once", [True, False])
def test_a_malformed_chunk_line_ends_the_connection_unsent(case, lab, line, at_once):
    mark = lab.al.mark()
    begun = CHUNKED + (b"" if at_once else b"3\r\nabc\r\n")
    with web.connected(lab.agent, at.AL, 80) as link:
        link.sendall(begun)
        if not at_once:
            lab.al.wait_for(mark, "/echo")
        link.sendall(line + b"\r\nhello\r\n0\r\n\r\n" + get("denied.test", f"/{case.canary}"))
        answer, _ = web.read_to_end(link)
    assert statuses(answer) == [400]
    assert not lab.al.since(mark, "hello")
    case.no_canary()


@threat("T180")
def test_a_quoted_string_over_lines_hides_no_request(case, lab):
    """To an origin whose quoted strings span lines this would be one chunk, and then a request for another path."""
    mark = lab.al.mark()
    hidden = b'1;a="\r\nX\r\n37;b="\r\nY\r\n0\r\n\r\nGET /%s HTTP/1.1\r\nHost: allowed.test\r\n\r\n' % case.canary.encode()
    found, _, _ = talk(lab, CHUNKED + hidden, finish=True)
    assert found == [400]
    assert not lab.al.since(mark, case.canary)
    found, answer, _ = talk(lab, CHUNKED + hidden.replace(b'"', b""), finish=True)
    assert found == [400], "nor without quotes, where the value is missing"
    found, answer, _ = talk(lab, CHUNKED + b'1;a="X"\r\nX\r\n0\r\n\r\n')
    assert found == [200] and answer.endswith(b"\r\n\r\nX"), "the control"


@threat("T180")
@pytest.mark.parametrize(("sent", "received"), [
    (b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    (b'5;a="\r\nhello\r\n0;(\r\n\r\n', b"5\r\nhello\r\n0\r\n\r\n"),
    (b"0005  \r\nhello\r\n000\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    (b"5\nhello\n0\nX-Sum: 1\n\n", b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
    (b"5\r\nhello\r\n0\r\nContent-Length: 7\r\nX-Sum: 1\r\n\r\n", b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
], ids=["plain", "extensions", "padded", "LF", "trailer that frames"])  # fmt: skip
def test_a_body_of_an_origin_arrives_in_plain_form(case, lab, sent, received):
    def answer(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent[:3])
        connection.send(sent[3:])
        return True

    lab.al.script("/odd", answer)
    found, answer, _ = talk(lab, get("allowed.test", "/odd") + get("allowed.test", "/after", "Connection: close\r\n"))
    assert found == [200, 200]
    assert answer.split(b"\r\n\r\n", 1)[1].startswith(received + b"HTTP/1.1 200")
    del case


# --- Heads ---

ANSWERS = {
    "999": (b"HTTP/1.1 999 Request denied\r\nContent-Length: 2\r\n\r\nhi", b"HTTP/1.1 999 Request denied\r\nContent-Length: 2\r\n\r\nhi"),
    "one length twice": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nhi",
    ),
    "LF": (b"HTTP/1.1 200 OK\nX: y\nContent-Length: 2\n\nhi", b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\nhi"),
    "folded": (
        b"HTTP/1.1 200 OK\r\nX: y\r\n\t z\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX: y z\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "blank before the colon": (
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
    ),
    "chunked 204": (
        b"HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 204 None\r\nConnection: close\r\n\r\n",
    ),
    "framing named by Connection": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ),
    "chunked twice": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ),
    "chunked on HTTP/1.0": (
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ),
    "names that are none": (
        b"HTTP/1.1 200 OK\r\nX Y: z\r\nContent_Length: 9\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "cookies": (
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"Set-Cookie: a%d=b\r\n" % i for i in range(140)) + b"Content-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"Set-Cookie: a%d=b\r\n" % i for i in range(140)) + b"Content-Length: 2\r\n\r\nhi",
    ),
    "odd interim answer": (
        b"HTTP/1.1 103 Early Hints\nLink: </a>\n\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ),
}


@threat("T185", "T100")
@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_clients_accept_arrives_in_plain_form(case, lab, what):
    sent, received = ANSWERS[what]

    def answer(connection, request):
        connection.send(sent)
        return True

    lab.al.script("/odd", answer)
    _, answer, _ = talk(lab, get("allowed.test", "/odd") + get("allowed.test", "/after", "Connection: close\r\n"))
    assert answer.startswith(received)
    if b"Connection: close" in received:
        assert answer == received
    else:
        assert answer[len(received) :].startswith(b"HTTP/1.1 200"), "the connection goes on"
    del case


@threat("T185", "T100")
@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n 3",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked", b"HTTP/1.1 200 OK\r\nX: a\x00\r\nContent-Length: 2",
], ids=range(6))  # fmt: skip
def test_an_answer_with_two_readings_is_a_502(case, lab, head):
    def answer(connection, request):
        connection.send(head + b"\r\n\r\nhi")
        return False

    lab.al.script("/odd", answer)
    found, _, _ = talk(lab, get("allowed.test", "/odd"))
    assert found == [502]
    del case


@threat("T188")
@pytest.mark.parametrize("method", ["0", "9GET", "*", "~x"])
def test_a_method_that_begins_with_no_letter_is_answered(case, lab, method):
    found, _, _ = talk(lab, get("denied.test").replace(b"GET", method.encode(), 1), finish=True)
    assert found == [403]
    mark = lab.al.mark()
    found, _, _ = talk(lab, get("allowed.test", "/other", "Connection: close\r\n").replace(b"GET", method.encode(), 1))
    assert found == [200]
    assert [r.method for r in lab.al.since(mark)] == [method]
    del case


# --- Paths ---

POLICY = """\
domains:
  - host: allowed.test
    rules:
      - path: {prefix: /v1/}
"""


class TestPaths:
    @pytest.fixture(scope="class")
    def ruled(self, router):
        router.reload(POLICY)
        yield router
        router.reload(at.POLICY)

    @threat("T183")
    @pytest.mark.parametrize("path", [
        "/v1/..%20/admin", "/v1/.%20./admin", "/v1/%EF%BC%8E%EF%BC%8E/admin", "/v1/..%E2%88%95admin", "/v1/%E2%80%A5/admin",
        "/v1/..%C2%A0/admin", "/v1/..%EF%BC%BCadmin", "/v1/..%2520/admin", "/v1/..%EF%BC%9B/admin", "/v1/%c0%ae%c0%ae/admin",
    ])  # fmt: skip
    def test_a_segment_that_a_server_may_fold_to_dots_matches_no_rule(self, lab, ruled, path):
        del ruled
        mark = lab.al.mark()
        response = web.http(lab.agent, "allowed.test", path, at.AL)
        assert response.status == 403
        assert "path is ambiguous" in response.body.decode()
        assert lab.al.since(mark) == []

    @threat("T183")
    @pytest.mark.parametrize("path", [
        "/v1/...", "/v1/a%20..%20b", "/v1/%20/x", "/v1/%E2%80%A6/x", "/v1/a%E2%88%95b", "/v1/%EF%BC%8Ex", "/v1/100%C2%A5", "/v1/a;b=..",
    ])  # fmt: skip
    def test_ordinary_names_with_such_characters_pass(self, lab, ruled, path):
        del ruled
        mark = lab.al.mark()
        assert web.http(lab.agent, "allowed.test", path, at.AL).status == 200
        assert [r.target for r in lab.al.since(mark)] == [path]


def path_spellings():
    """(path, why) of dot segments in every character that NFKC or a blank's or an ignorable's class makes one of."""
    for point in range(0x80, 0x110000):
        character = chr(point)
        if 0xD800 <= point < 0xE000:
            continue
        folded = unicodedata.normalize("NFKC", character)
        spelled = urllib.parse.quote(character)
        why = f"U+{point:04X}"
        if folded in (".", ".."):
            yield f"/v1/{spelled}{'.' * (2 - len(folded))}/admin", why
        elif folded in ("/", "\\"):
            yield f"/v1/..{spelled}admin", why
        elif folded == ";":
            yield f"/v1/..{spelled}x/admin", why
        elif folded == "%":
            yield f"/v1/{spelled}2e{spelled}2e/admin", why
        elif folded.isspace() or unicodedata.category(character) in ("Cf", "Zs", "Zl", "Zp") and point not in VISIBLE:
            yield f"/v1/..{spelled}/admin", why
            yield f"/v1/.{spelled}./admin", why


# Format characters that are drawn: not Default_Ignorable_Code_Point.
VISIBLE = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0xFFF9, 0xFFFC), *range(0x13430, 0x13456)}


@threat("T183")
def test_no_character_of_unicode_spells_a_dot_segment_under_a_path_rule(tmp_path, gateway_binary):
    (tmp_path / "policy.yaml").write_text(POLICY)
    spellings = [*path_spellings(), ("/v1/..%EF%B8%8F/admin", "variation selector"), ("/v1/..%CD%8F/admin", "grapheme joiner"),
                 ("/v1/%EF%BC%85%EF%BC%92%EF%BD%85./admin", "fullwidth escape")]  # fmt: skip
    assert len(spellings) > 150
    controls = [path.replace("..", "a..b").replace("./", "x/") for path, _ in spellings]
    asked = [path for path, _ in spellings] + controls
    lines = "".join(json.dumps({"url": "http://allowed.test" + path}) + "\n" for path in asked)
    command = [gateway_binary, "explain", "--policy", tmp_path / "policy.yaml", "--stdin"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False, timeout=20)
    answers = [json.loads(line)["action"] for line in done.stdout.splitlines()]
    assert len(answers) == len(asked), done.stderr
    passed = [f"{why} {path}" for (path, why), answer in zip(spellings, answers, strict=False) if answer != "blocked"]
    assert passed == []
    assert answers[len(spellings) :].count("allowed") > 0.9 * len(controls), "the controls: with a name about them"


# --- Headers that name another method or path ---

RULED = """\
domains:
  - host: allowed.test
    rules:
      - {methods: [POST], path: {prefix: /v1/}}
      - {methods: [GET, HEAD]}
      - {path: {prefix: /any/}}
  - cdn-allowed.test
"""


def ask(lab, method, path, header="", body=b"", host="allowed.test", address=at.AL):
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    data = get(host, path, f"{header}{length}Connection: close\r\n").replace(b"GET", method.encode(), 1)
    found, answer, _ = talk(lab, data + body, address)
    return (found or [None])[0], answer


class TestOverrides:
    @pytest.fixture(scope="class", autouse=True)
    def ruled(self, router):
        router.reload(RULED)
        yield
        router.reload(at.POLICY)

    @threat("T182")
    @pytest.mark.parametrize(("method", "path", "header"), [
        ("POST", "/v1/x", "X-Original-URL: /admin"), ("POST", "/v1/x", "x-rewrite-url: /admin"), ("POST", "/v1/x", "X_Original_Url: /admin"),
        ("POST", "/v1/x", "X-HTTP-Method-Override: DELETE"), ("POST", "/v1/x", "X-HTTP-Method: MERGE"), ("GET", "/x", "X-Method-Override: PUT"),
        ("GET", "/x", "X-Original-Method: PUT"), ("GET", "/x", "X-Forwarded-Method: PUT"), ("DELETE", "/any/x", "X-Forwarded-Uri: /admin"),
        ("DELETE", "/any/x", "X-Forwarded-Prefix: /admin"), ("POST", "/any/x", "X-Script-Name: /any"), ("MOVE", "/any/x", "Destination: /admin"),
    ])  # fmt: skip
    def test_a_header_that_names_another_method_or_path_is_refused(self, case, lab, method, path, header):
        mark = lab.al.mark()
        status, answer = ask(lab, method, path, header + "\r\n")
        assert status == 403
        name = header.split(":")[0].replace("_", "-").lower()
        assert b"X-Soleroute-Reason: override_header" in answer and name in answer.decode().lower()
        record = case.record(phase="http", reason="override_header", path=path, method=method)
        assert record["action"] == "blocked"
        assert lab.al.since(mark) == []

    @threat("T182")
    @pytest.mark.parametrize(("method", "path", "header", "host"), [
        ("POST", "/v1/x", "X-Forwarded-For: 1.2.3.4", "allowed.test"), ("GET", "/x", "X-Original-URL: /y", "allowed.test"),
        ("DELETE", "/any/x", "X-HTTP-Method-Override: PUT", "allowed.test"), ("PUT", "/any/x", "Destination: /admin", "allowed.test"),
        ("POST", "/x", "X-Original-URL: /y\r\nX-HTTP-Method-Override: PUT", "cdn-allowed.test"), ("POST", "/v1/x", "X-Request-Id: 7", "allowed.test"),
    ])  # fmt: skip
    def test_it_passes_where_no_rule_is_about_that(self, case, lab, method, path, header, host):
        origin, address = (lab.cdn, at.CDN) if host.startswith("cdn") else (lab.al, at.AL)
        mark = origin.mark()
        assert ask(lab, method, path, header + "\r\n", host=host, address=address)[0] == 200
        assert header.encode() in origin.since(mark)[0].head
        del case

    @threat("T182")
    @pytest.mark.parametrize(("trailer", "status"), [("X-Original-URL: /admin", 400), ("x-http-method: PUT", 400), ("X-Sum: 1", 200)])
    def test_nor_may_a_trailer_be_one(self, case, lab, trailer, status):
        body = f"3\r\nabc\r\n0\r\n{trailer}\r\n\r\n".encode()
        found, _, _ = talk(lab, CHUNKED.replace(b"/echo", b"/v1/x") + body)
        assert found == [status]
        del case

    # --- Bodies where an origin may not look for one ---

    @threat("T184")
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_no_body_of_get_can_be_the_next_request(self, case, lab, method):
        """An origin that reads no body there meets a chunk's size first, which is no request line."""
        mark = lab.al.mark()
        hidden = b"DELETE /%s HTTP/1.1\r\nHost: allowed.test\r\n\r\n" % case.canary.encode()

        def blind(connection, request):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return True

        lab.al.script("/blind", blind)
        case.canary_may_leave = True
        assert ask(lab, method, "/blind", body=hidden)[0] == 200
        first = lab.al.since(mark)[0]
        assert first.headers["transfer-encoding"] == "chunked" and "content-length" not in first.headers
        assert not any(r.head.startswith(b"DELETE") for r in lab.al.since(mark))

    @threat("T184")
    def test_a_body_of_get_arrives_whole(self, case, lab):
        """As Elasticsearch's clients send one. Where no rule is about requests, as it came."""
        body = b'{"query": 1}' * 20000
        for host, origin, address in (("allowed.test", lab.al, at.AL), ("cdn-allowed.test", lab.cdn, at.CDN)):
            mark = origin.mark()
            assert ask(lab, "GET", "/echo", body=body, host=host, address=address)[1].endswith(b"\r\n\r\n" + body)
            (request,) = origin.since(mark)
            assert request.body == body
            assert ("content-length" in request.headers) == (host == "cdn-allowed.test")
        mark = lab.al.mark()
        assert ask(lab, "POST", "/v1/echo", body=body)[0] == 200
        assert "content-length" in lab.al.since(mark)[0].headers, "POST has bodies by custom"
        data = get("allowed.test", "/echo", "Content-Length: 3\r\n", "1.0") + b"abc"
        assert talk(lab, data)[0] == [400], "no chunks in HTTP/1.0"
        del case
