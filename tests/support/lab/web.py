"""A client in the agent's namespace: raw exchanges, and plain HTTP and HTTPS requests."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass

from lab import addresses as at
from lab import dns_wire


@dataclass
class Response:
    """One HTTP response as the client read it."""

    status: int
    headers: dict  # lower-case names
    body: bytes
    head: bytes = b""
    how: str = ""  # how the connection ended, if the body ran to its end

    @property
    def first_line(self):
        return self.body.split(b"\n", 1)[0].decode("latin1")


@contextlib.contextmanager
def connected(namespace, address, port, timeout=10.0, source=None):
    """A TCP connection from a namespace."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with namespace.entered():
        link = socket.socket(family, socket.SOCK_STREAM)
    with link:
        link.settimeout(timeout)
        if source:
            link.bind((source, 0))
        link.connect((address, port))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield link


def read_to_end(link, limit=1 << 22, enough=0):
    """(bytes, how): "fin", "rst", "timeout", "big", or "enough" when that many bytes came and no more are wanted."""
    data = b""
    try:
        while more := link.recv(65536):
            data += more
            if enough and len(data) >= enough:
                return data, "enough"
            if len(data) > limit:
                return data, "big"
    except (socket.timeout, TimeoutError):
        return data, "timeout"
    except OSError:
        return data, "rst"
    return data, "fin"


def talk(namespace, address, port, data, step=0, delay=0.0, wait=4.0, finish=False, enough=0):
    """Sends raw bytes, whole or `step` at a time, and reads to the end: (answer, how)."""
    try:
        with connected(namespace, address, port, timeout=wait) as link:
            try:
                if step:
                    for at_byte in range(0, len(data), step):
                        link.sendall(data[at_byte : at_byte + step])
                        time.sleep(delay)
                else:
                    link.sendall(data)
                if finish:
                    link.shutdown(socket.SHUT_WR)
            except OSError:  # refused while it was sent: what was answered is read all the same
                pass
            return read_to_end(link, enough=enough)
    except OSError as error:
        return b"", f"connect:{error.__class__.__name__}"


class Reader:
    """Reads HTTP/1 responses from a connection, one after the other."""

    def __init__(self, link):
        self.link = link
        self.buffer = b""

    def _fill(self):
        more = self.link.recv(65536)
        self.buffer += more
        return bool(more)

    def line_block(self):
        while b"\r\n\r\n" not in self.buffer:
            if not self._fill():
                raise ConnectionError(f"the connection ended in a head: {self.buffer[:200]!r}")
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return head

    def exactly(self, count):
        pieces, have = [self.buffer], len(self.buffer)
        while have < count:
            more = self.link.recv(min(count - have, 1 << 20))
            if not more:
                raise ConnectionError("the connection ended in a body")
            pieces.append(more)
            have += len(more)
        data = b"".join(pieces)
        self.buffer = data[count:]
        return data[:count]

    def _chunked(self):
        body = b""
        while True:
            while b"\r\n" not in self.buffer:
                if not self._fill():
                    raise ConnectionError("the connection ended in a chunk")
            line, self.buffer = self.buffer.split(b"\r\n", 1)
            size = int(line.split(b";")[0], 16)
            if not size:
                trailer = b""
                while not trailer.endswith(b"\r\n\r\n") and trailer != b"\r\n":
                    trailer += self.exactly(1)
                return body
            body += self.exactly(size + 2)[:-2]

    def head(self):
        """The next head, interim ones included, without a body."""
        head = self.line_block()
        lines = head.decode("latin1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        return Response(int(lines[0].split()[1]), headers, b"", head)

    def response(self, method="GET"):
        """The next final response with its body."""
        response = self.head()
        while response.status < 200 and response.status != 101:
            response = self.head()
        if method == "HEAD" or response.status in (101, 204, 304):
            return response
        if "chunked" in response.headers.get("transfer-encoding", ""):
            response.body = self._chunked()
        elif "content-length" in response.headers:
            response.body = self.exactly(int(response.headers["content-length"]))
        else:
            rest, response.how = read_to_end(self.link)
            response.body, self.buffer = self.buffer + rest, b""
        return response


def resolve(namespace, name, qtype=dns_wire.A, server=at.GW):
    """Asks the gateway's DNS as a stub resolver does, again after a second of silence: an Answer or None."""
    with namespace.entered():
        for timeout in (1.0, 2.0):
            answer = dns_wire.ask(server, dns_wire.question(name, qtype), timeout)
            if answer is not None:
                return answer
    return None


def address_of(namespace, name, server=at.GW):
    answer = resolve(namespace, name, server=server)
    assert answer is not None, f"no DNS answer for {name}"
    found = answer.addresses()
    assert found, f"no address for {name}: rcode {answer.rcode}"
    return found[0]


def request_bytes(host, path="/", method="GET", headers=(), body=b""):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin1") + b"\r\n\r\n" + body


def http(namespace, host, path="/", address=None, method="GET", headers=(), body=b"", timeout=10.0, port=80):
    """One request over plain HTTP, the name looked up first unless an address is given."""
    address = address or address_of(namespace, host)
    with connected(namespace, address, port, timeout) as link:
        link.sendall(request_bytes(host, path, method, headers, body))
        return Reader(link).response(method)


@contextlib.contextmanager
def tls(namespace, host, authority, address=None, timeout=10.0, alpn=("http/1.1",), sni=None):
    """A verified TLS connection to `host`. `alpn`: empty for none at all."""
    context = ssl.create_default_context(cafile=str(authority))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    address = address or address_of(namespace, host)
    with connected(namespace, address, 443, timeout) as raw, context.wrap_socket(raw, server_hostname=sni or host) as link:
        yield link


def https(namespace, host, authority, path="/", address=None, method="GET", headers=(), body=b"", timeout=10.0):
    with tls(namespace, host, authority, address, timeout) as link:
        link.sendall(request_bytes(host, path, method, headers, body))
        return Reader(link).response(method)
