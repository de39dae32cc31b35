"""HTTP/2 frames written by hand, and a raw client inside inspected TLS."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import ssl
import struct

from lab import web
from lab.tls_link import TlsLink

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PROTOCOL_ERROR, REFUSED, CANCEL, COMPRESSION_ERROR, CALM = 1, 7, 8, 9, 11


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def u32(value):
    return struct.pack("!I", value)


def text(data):
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, out = len(data) - 127, b"\x7f"
    while rest >= 128:
        out += bytes([rest % 128 + 128])
        rest //= 128
    return out + bytes([rest]) + data


def literal(name, value):
    """HPACK: never indexed, no Huffman."""
    return b"\x10" + text(name.encode()) + text(value.encode("latin1"))


def block(authority, path="/", method="GET", **more):
    fields = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
    return b"".join(literal(name, value) for name, value in [*fields, *more.items()] if value is not None)


def get(stream, authority, path="/", **more):
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, block(authority, path, **more))


class Link:
    """Sends frames as they are given; reads whole frames. Statuses are found without HPACK: by what the log says."""

    def __init__(self, tls):
        self._tls = tls
        self._held = b""
        self.sent_fin = False
        tls.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, data):
        """False: the other side has ended."""
        try:
            self._tls.sendall(data)
            return True
        except (OSError, ssl.SSLError):
            return False

    def frames(self):
        """(kind, flags, stream, payload) as they come, to the end of the connection."""
        while True:
            while len(self._held) >= 9 and len(self._held) >= 9 + self._length():
                size = 9 + self._length()
                one, self._held = self._held[:size], self._held[size:]
                yield one[3], one[4], struct.unpack("!I", one[5:9])[0], one[9:]
            try:
                more = self._tls.recv(65536)
            except (OSError, ssl.SSLError):
                return
            if not more:
                return
            self._held += more

    def _length(self):
        return int.from_bytes(self._held[:3], "big")

    def end_of(self, stream):
        """How a stream ended: ("end", all DATA), ("reset", code), ("goaway", code) or ("gone", None)."""
        data = b""
        for kind, flags, number, payload in self.frames():
            if kind == GOAWAY:
                return "goaway", struct.unpack("!I", payload[4:8])[0]
            if kind == PING and not flags & 1:
                self.send(frame(PING, 1, 0, payload))
            if kind == DATA and payload:
                self.send(frame(WINDOW_UPDATE, 0, 0, u32(len(payload))))
            if number != stream:
                continue
            if kind == RST:
                return "reset", struct.unpack("!I", payload)[0]
            data += payload if kind == DATA else b""
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                return "end", data
        return "gone", None

    def goaway(self):
        """The code of the GOAWAY that ends the connection, None if it ended without."""
        for kind, _, _, payload in self.frames():
            if kind == GOAWAY:
                return struct.unpack("!I", payload[4:8])[0]
        return None


@contextlib.contextmanager
def linked(namespace, address, name, ca):
    """A client that trusts `ca` and speaks h2 alone."""
    context = ssl.create_default_context(cafile=str(ca))
    context.set_alpn_protocols(["h2"])
    with web.connected(namespace, address, 443, timeout=20) as raw:
        tls = TlsLink(raw, context, name)
        assert tls.tls.selected_alpn_protocol() == "h2"
        yield Link(tls)
