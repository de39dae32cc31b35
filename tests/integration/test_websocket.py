"""WebSocket: bytes pass unread only behind a handshake of both sides."""
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import hashlib

import pytest

from lab import addresses as at
from lab import web
from lab.http1 import get, talk

threat = pytest.mark.threat

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ASK = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
SWITCH = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def answering(lab, path, head):
    """Answers with this head whatever was asked, and then echoes what comes."""

    def answer(connection, request):
        connection.send(head.format(accept=accept_of(request.headers.get("sec-websocket-key", ""))).encode() + b"\r\n")
        while connection.fill():
            connection.send(connection.buffer)
            connection.buffer = b""
        return False

    lab.al.script(path, answer)


RIGHT = {
    "the least": ("", ""),
    "python websockets": (DEFLATE + "User-Agent: Python/3.13 websockets/15.0\r\n", "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
    "node ws": (
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Protocol: graphql-ws,json\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\nSec-WebSocket-Protocol: json\r\n",
    ),
    "nothing of what was offered": (DEFLATE + "Sec-WebSocket-Protocol: chat\r\n", ""),
}


@threat("T181", "C08")
@pytest.mark.parametrize("what", RIGHT)
def test_a_handshake_opens_a_tunnel(case, lab, what):
    offered, granted = RIGHT[what]
    answering(lab, "/socket", SWITCH + "Sec-WebSocket-Accept: {accept}\r\n" + granted)
    with web.connected(lab.agent, at.AL, 80) as link:
        reader = web.Reader(link)
        link.sendall(get("allowed.test", "/socket", ASK + offered))
        assert reader.response().status == 101
        link.sendall(b"\x82\x85....hello")
        assert reader.exactly(11) == b"\x82\x85....hello"
    del case


WRONG = {
    "no accept value": ("", SWITCH),
    "that of no key": ("", SWITCH + "Sec-WebSocket-Accept: Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=\r\n"),
    "twice": ("", SWITCH + "Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Accept: {accept}\r\n"),
    "a protocol unasked": ("", SWITCH + "Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n"),
    "another protocol": ("Sec-WebSocket-Protocol: a\r\n", SWITCH + "Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: b\r\n"),
    "an extension unasked": ("", SWITCH + "Sec-WebSocket-Accept: {accept}\r\n" + DEFLATE),
    "no Connection": ("", "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n"),
    "another Upgrade": ("", SWITCH.replace("websocket", "h2c") + "Sec-WebSocket-Accept: {accept}\r\n"),
}


@threat("T181")
@pytest.mark.parametrize("what", WRONG)
def test_an_answer_that_is_none_to_the_handshake_is_a_502(case, lab, what):
    offered, head = WRONG[what]
    mark = lab.al.mark()
    answering(lab, "/socket", head)
    after = get("cdn-denied.test", f"/{case.canary}")
    found, _, how = talk(lab, get("allowed.test", "/socket", ASK + offered) + after)
    assert (found, how) == ([502], "fin")
    assert "WebSocket" in case.record(path="/socket", status=502)["detail"]
    assert not lab.al.since(mark, case.canary)


ASKED_WRONG = {
    "no key": f"Sec-WebSocket-Key: {KEY}\r\n",
    "no version": "Sec-WebSocket-Version: 13\r\n",
    "another version": "13\r\n",
    "two keys": None,
    "a key in no base64": "ZQ==",
}


@threat("T181")
@pytest.mark.parametrize("what", ASKED_WRONG)
def test_a_request_without_the_handshake_never_becomes_a_tunnel(case, lab, what):
    """It is an ordinary request, whose Upgrade is taken out: an origin that switches all the same is a 502."""
    instead = {"another version": "8\r\n", "a key in no base64": "*Q=="}.get(what, "")
    ask = ASK + f"Sec-WebSocket-Key: {KEY}\r\n" if what == "two keys" else ASK.replace(ASKED_WRONG[what], instead)
    mark = lab.al.mark()
    answering(lab, "/socket", SWITCH + "Sec-WebSocket-Accept: {accept}\r\n")
    found, _, _ = talk(lab, get("allowed.test", "/socket", ask) + get("cdn-denied.test", f"/{case.canary}"))
    assert found == [502]
    assert [("upgrade" in r.headers, r.target) for r in lab.al.since(mark)] == [(False, "/socket")]
    assert not lab.al.since(mark, case.canary)
