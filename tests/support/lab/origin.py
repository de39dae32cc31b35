"""An HTTP/1.1 origin that shows exactly which bytes reached it, and can misbehave on request."""
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import contextlib
import hashlib
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field

from lab import wait

_BLOCK = b"0123456789abcdef" * 4096
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Received:
    """One request head as it arrived, and the body that was read for it."""

    origin: str
    connection: int
    tls: bool
    head: bytes
    body: bytes = b""
    headers: dict = field(default_factory=dict)  # lower-case names; the last value of each

    @property
    def method(self):
        return self.head.split(b" ", 1)[0].decode("latin1")

    @property
    def target(self):
        return self.head.split(b" ", 2)[1].decode("latin1")


class Connection:
    """A client's connection: buffered reading, plain writing."""

    def __init__(self, link, number, tls):
        self.link, self.number, self.tls = link, number, tls
        self.buffer = b""

    def send(self, data):
        self.link.sendall(data)

    def fill(self):
        more = self.link.recv(65536)
        self.buffer += more
        return bool(more)

    def take(self, count):
        while len(self.buffer) < count and self.fill():
            pass
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def until(self, end):
        """Up to and including `end`, or None when the stream ended before."""
        while end not in self.buffer:
            if not self.fill():
                return None
        at = self.buffer.index(end) + len(end)
        data, self.buffer = self.buffer[:at], self.buffer[at:]
        return data


def response(body=b"", status="200 OK", headers=()):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin1") + b"\r\n\r\n" + body


class Origin:
    """Serves on port 80 and, with a certificate, on 443 of `addresses`, each connection in a thread.

    Paths: /bytes/N, /chunked/N, /echo, /upload (counts), /sse/N, /ws, /status/CODE, /trailers, /host; scripts by exact
    path: `function(connection, request)` that writes what it likes and returns True to go on with the connection.
    """

    def __init__(self, namespace, name, addresses, certificate=None, ports=(80,), tls_ports=(443,), weak=False):
        self.name = name
        self.requests = []
        self.connections = 0  # accepted, TLS or not
        self.tls_failures = 0
        self.gates = {}  # by request target: release one to let /sse send its next event
        self._scripts = {}
        self._mounts = {}
        self._listeners = []
        self._lock = threading.Lock()
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            if weak:  # whatever the certificate is made with
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.load_cert_chain(*certificate)
            context.set_alpn_protocols(["http/1.1"])
        with namespace.entered():
            for address in addresses:
                for port in ports:
                    self._listen(address, port, None)
                for port in tls_ports if context else ():
                    self._listen(address, port, context)

    def close(self):
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def script(self, path, function):
        self._scripts[path] = function

    def unscript(self, path):
        self._scripts.pop(path, None)

    def mount(self, prefix, function):
        """The same for every path below `prefix`; the function is given the rest of the path as well."""
        self._mounts[prefix] = function

    def mark(self):
        return len(self.requests)

    def since(self, mark, text=""):
        """Requests after `mark` that hold `text` in head or body."""
        raw = text.encode("latin1")
        return [r for r in self.requests[mark:] if raw in r.head or raw in r.body]

    def wait_for(self, mark, text, timeout=wait.DEADLINE):
        return wait.until(lambda: self.since(mark, text), f"{self.name} to receive {text}", timeout)[0]

    def _listen(self, address, port, context):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1024)
        self._listeners.append(listener)
        threading.Thread(target=self._accept, args=(listener, context), daemon=True).start()

    def _accept(self, listener, context):
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(link, context, number), daemon=True).start()

    def _serve(self, link, context, number):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.settimeout(120)
        try:
            if context:
                link = context.wrap_socket(link, server_side=True)
        except (OSError, ssl.SSLError):
            self.tls_failures += 1
            link.close()
            return
        connection = Connection(link, number, bool(context))
        with contextlib.suppress(OSError, ValueError, IndexError, ssl.SSLError):
            while self._one(connection):
                pass
        with contextlib.suppress(OSError):
            if not context:
                link.shutdown(socket.SHUT_WR)
        link.close()

    def _one(self, connection):
        head = connection.until(b"\r\n\r\n")
        if head is None:
            if connection.buffer:  # whatever it was, it is evidence
                self.requests.append(Received(self.name, connection.number, connection.tls, connection.buffer))
            return False
        request = Received(self.name, connection.number, connection.tls, head)
        for line in head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            request.headers[key.strip().lower().decode("latin1")] = value.strip().decode("latin1")
        self.requests.append(request)
        path = request.target.split("?")[0]
        script = self._scripts.get(path)
        if script:
            return script(connection, request)
        for prefix, function in self._mounts.items():
            if path.startswith(prefix):
                return function(connection, request, path.removeprefix(prefix))
        return self._built_in(connection, request, path)

    def _built_in(self, connection, request, path):
        kind, _, argument = path.strip("/").partition("/")
        handler = getattr(self, f"_do_{kind}", None) if kind else None
        if handler is None:
            read_body(connection, request)
            body = f"{self.name}\n".encode()
            connection.send(response(b"" if request.method == "HEAD" else body))
            return request.headers.get("connection", "").lower() != "close"
        return handler(connection, request, argument)

    def _do_bytes(self, connection, request, argument):
        size = int(argument)
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        _send_pattern(connection, size)
        return True

    def _do_chunked(self, connection, request, argument):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        left = int(argument)
        while left:
            piece = _BLOCK[: min(left, len(_BLOCK))]
            connection.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
            left -= len(piece)
        connection.send(b"0\r\n\r\n")
        return True

    def _do_echo(self, connection, request, argument):
        request.body = read_body(connection, request)
        connection.send(response(request.body))
        return True

    def _do_upload(self, connection, request, argument):
        total = sum(len(piece) for piece in body_pieces(connection, request))
        connection.send(response(str(total).encode()))
        return True

    def _do_status(self, connection, request, argument):
        code = int(argument)
        bodiless = code in (204, 304)
        connection.send(b"HTTP/1.1 %d Status\r\n" % code + (b"\r\n" if bodiless else b"Content-Length: 3\r\n\r\nabc"))
        return True

    def _do_trailers(self, connection, request, argument):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        connection.send(b"5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n")
        return True

    def _do_sse(self, connection, request, argument):
        """N events; each but the first waits until the test releases the gate of this target."""
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        gate = self.gates.setdefault(request.target, threading.Semaphore(1))
        for number in range(int(argument.split("/")[0])):
            gate.acquire(timeout=30)
            event = b"data: %d\n\n" % number
            connection.send(b"%x\r\n" % len(event) + event + b"\r\n")
        connection.send(b"0\r\n\r\n")
        return True

    def _do_ws(self, connection, request, argument):
        key = request.headers.get("sec-websocket-key", "").encode()
        accept = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID).digest()).decode()
        connection.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        while frame := _read_frame(connection):
            opcode, payload = frame
            if opcode == 8:
                connection.send(b"\x88\x00")
                return False
            connection.send(_frame(opcode, payload))
        return False


def body_pieces(connection, request):
    """The body of a request as it arrives."""
    if request.headers.get("expect", "").lower() == "100-continue":
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in request.headers.get("transfer-encoding", "").lower():
        while True:
            line = connection.until(b"\r\n")
            size = int(line.split(b";")[0], 16) if line else 0
            if not size:
                while connection.until(b"\r\n") not in (b"\r\n", None):
                    pass
                return
            yield connection.take(size + 2)[:-2]
    left = int(request.headers.get("content-length") or 0)
    while left:
        piece = connection.take(min(left, 65536))
        if not piece:
            return
        left -= len(piece)
        yield piece


def read_body(connection, request):
    return b"".join(body_pieces(connection, request))


def _send_pattern(connection, size):
    block = _BLOCK * 16
    while size > 0:
        connection.send(memoryview(block)[: min(size, len(block))])
        size -= len(block)


def _read_frame(connection):
    head = connection.take(2)
    if len(head) < 2:
        return None
    size = head[1] & 0x7F
    if size == 126:
        size = struct.unpack("!H", connection.take(2))[0]
    elif size == 127:
        size = struct.unpack("!Q", connection.take(8))[0]
    mask = connection.take(4)
    masked = connection.take(size)
    key = (mask * (size // 4 + 1))[:size]
    payload = (int.from_bytes(masked, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big") if size else b""
    return head[0] & 15, payload


def _frame(opcode, payload):
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65536:
        length = b"\x7e" + struct.pack("!H", size)
    else:
        length = b"\x7f" + struct.pack("!Q", size)
    return bytes([0x80 | opcode]) + length + payload
