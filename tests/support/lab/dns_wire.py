"""DNS messages byte by byte: questions of every kind, answers to script a name server with, and readers of both."""
# SPDX-License-Identifier: GPL-3.0-or-later

import secrets
import socket
import struct
from dataclasses import dataclass, field

A, NS, CNAME, SOA, NULL, PTR, MX, TXT, AAAA, SVCB, HTTPS, OPT, ANY = 1, 2, 5, 6, 10, 12, 15, 16, 28, 64, 65, 41, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


def labels(name):
    """The wire form of a dotted name, given as text or bytes; empty labels are left out."""
    raw = name.encode() if isinstance(name, str) else name
    return b"".join(bytes([len(label)]) + label for label in raw.split(b".") if label) + b"\0"


def question(name, qtype=A, qclass=1, flags=0x0100, edns=None, count=1, extra=b"", ident=None):
    """One query. `name` is dotted text or ready wire bytes; `edns` a list of (code, value) options or None."""
    wire = name if isinstance(name, bytes) else labels(name)
    ident = secrets.randbelow(65536) if ident is None else ident
    message = struct.pack("!HHHHHH", ident, flags, count, 0, 0, 0 if edns is None else 1)
    message += wire + struct.pack("!HH", qtype, qclass)
    if edns is not None:
        options = b"".join(struct.pack("!HH", code, len(value)) + value for code, value in edns)
        message += b"\0" + struct.pack("!HHIH", OPT, 1232, 0, len(options)) + options
    return message + extra


def record(kind, data, ttl=0, owner=b"\xc0\x0c", klass=1):
    return owner + struct.pack("!HHIH", kind, klass, ttl, len(data)) + data


def a(*addresses, ttl=0, owner=b"\xc0\x0c"):
    return [record(A, socket.inet_aton(address), ttl, owner) for address in addresses]


def aaaa(*addresses, ttl=0, owner=b"\xc0\x0c"):
    return [record(AAAA, socket.inet_pton(socket.AF_INET6, address), ttl, owner) for address in addresses]


def cname(target, ttl=0, owner=b"\xc0\x0c"):
    return record(CNAME, labels(target), ttl, owner)


def https(priority=1, target="", parameters=(), ttl=0):
    """An HTTPS record; parameters are (key, value) in order."""
    body = struct.pack("!H", priority) + labels(target)
    body += b"".join(struct.pack("!HH", key, len(value)) + value for key, value in parameters)
    return record(HTTPS, body, ttl)


def question_end(message):
    """Offset behind the first question of a message."""
    at = 12
    while message[at]:
        at += message[at] + 1
    return at + 5


def reply(query, answers=(), rcode=NOERROR, flags=0x8180, authority=(), additional=()):
    """An answer to `query`, its question echoed byte for byte."""
    head = query[:2] + struct.pack("!HHHHH", flags | rcode, 1, len(answers), len(authority), len(additional))
    return head + query[12 : question_end(query)] + b"".join([*answers, *authority, *additional])


def _name(message, at):
    parts, jumped, end = [], False, at
    for _ in range(128):
        length = message[at]
        if length >= 0xC0:
            end = end if jumped else at + 2
            at, jumped = struct.unpack_from("!H", message, at)[0] & 0x3FFF, True
        elif length:
            parts.append(message[at + 1 : at + 1 + length])
            at += length + 1
        else:
            return b".".join(parts).decode("latin1"), end if jumped else at + 1
    raise ValueError("a name without an end")


def name_at(data, at):
    """The dotted name at this offset of RDATA without compression."""
    return _name(data, at)[0]


@dataclass
class Answer:
    """A parsed reply."""

    rcode: int
    flags: int
    name: str
    records: list = field(default_factory=list)  # (owner, type, ttl, rdata) of the answer section
    raw: bytes = b""

    def addresses(self):
        families = {A: socket.AF_INET, AAAA: socket.AF_INET6}
        return [socket.inet_ntop(families[kind], data) for _, kind, _, data in self.records if kind in families]


def parse(message):
    ident, flags, questions, answers = struct.unpack_from("!HHHH", message)
    del ident
    at, name = 12, ""
    for _ in range(questions):
        name, at = _name(message, at)
        at += 4
    records = []
    for _ in range(answers):
        owner, at = _name(message, at)
        kind, _, ttl, size = struct.unpack_from("!HHIH", message, at)
        records.append((owner, kind, ttl, message[at + 10 : at + 10 + size]))
        at += 10 + size
    return Answer(flags & 15, flags, name, records, message)


def ask(server, message, timeout=3.0, port=53, source_port=0):
    """One UDP exchange from the calling thread's namespace: an Answer, or None when nothing came."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.settimeout(timeout)
        link.bind(("", source_port))
        link.connect((server, port))
        try:
            link.send(message)
            return parse(link.recv(65535))
        except OSError:
            return None


def connected(server, port=53):
    """A UDP socket for several questions."""
    link = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
    link.connect((server, port))
    return link


def ask_on(link, message, timeout=3.0):
    """The answer to a question on such a socket."""
    link.settimeout(timeout)
    link.send(message)
    return parse(link.recv(65535))


def ask_tcp(server, message, timeout=3.0, port=53):
    """One TCP exchange: an Answer, or None when the connection ended without one."""
    with socket.create_connection((server, port), timeout=timeout) as link:
        link.sendall(struct.pack("!H", len(message)) + message)
        raw = read_tcp(link)
        return parse(raw) if raw else None


def read_tcp(link):
    """One length-prefixed message, or empty bytes at the end of the stream."""

    def exactly(count):
        data = b""
        while len(data) < count:
            try:
                more = link.recv(count - len(data))
            except OSError:
                return b""
            if not more:
                return b""
            data += more
        return data

    prefix = exactly(2)
    return exactly(struct.unpack("!H", prefix)[0]) if prefix else b""
