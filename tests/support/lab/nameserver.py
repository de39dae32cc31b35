"""The only resolver that the gateway may ask: answers from a table or a script and remembers every question."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass

from lab import dns_wire


@dataclass(frozen=True)
class Asked:
    """One question as it arrived."""

    when: float
    name: str  # lower case
    wire_name: str  # as sent
    qtype: int
    transport: str  # "udp" or "tcp"
    client: tuple
    raw: bytes


class NameServer:
    """Listens on UDP and TCP 53 of `addresses` in a namespace. Records have a TTL of zero unless set otherwise.

    A script is `function(asked) -> list of raw replies`, or None for silence; it may also call `send_later`.
    """

    def __init__(self, namespace, addresses):
        self.asked = []
        self.silent = False
        self.failing = False  # SERVFAIL to every question
        self._records = {}
        self._suffixes = []
        self._scripts = {}
        self._sockets = []
        with namespace.entered():
            for address in addresses:
                self._listen(address)

    def close(self):
        for listener in self._sockets:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def set(self, name, *, a=(), aaaa=(), ttl=0, extra=()):
        """`extra`: (qtype, list of records)."""
        self._scripts.pop(name, None)
        self._records[name] = {
            dns_wire.A: dns_wire.a(*a, ttl=ttl),
            dns_wire.AAAA: dns_wire.aaaa(*aaaa, ttl=ttl),
            **dict(extra),
        }

    def set_below(self, suffix, **records):
        """The same for every name that ends in `suffix` and has no entry of its own."""
        self.set(suffix, **records)
        self._suffixes.append(suffix)

    def script(self, name, function):
        self._scripts[name] = function

    def forget(self, name):
        self._scripts.pop(name, None)
        self._records.pop(name, None)

    def mark(self):
        return len(self.asked)

    def since(self, mark, text=""):
        """Questions after `mark` whose message or name holds `text`, whatever its case."""
        wanted = text.lower()
        return [
            q for q in self.asked[mark:] if wanted in q.name or wanted.encode("latin1") in q.raw.lower()
        ]

    def _listen(self, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        udp.bind((address, 53))
        tcp = socket.socket(family, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((address, 53))
        tcp.listen(64)
        self._sockets += [udp, tcp]
        threading.Thread(target=self._serve_udp, args=(udp,), daemon=True).start()
        threading.Thread(target=self._serve_tcp, args=(tcp,), daemon=True).start()

    def _serve_udp(self, link):
        while True:
            try:
                message, client = link.recvfrom(65535)
            except OSError:
                return
            for answer in self._answers(message, client, "udp"):
                with contextlib.suppress(OSError):
                    link.sendto(answer, client)

    def _serve_tcp(self, listener):
        while True:
            try:
                link, client = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(link, client), daemon=True).start()

    def _serve_connection(self, link, client):
        with link:
            link.settimeout(10)
            while message := dns_wire.read_tcp(link):
                for answer in self._answers(message, client, "tcp"):
                    with contextlib.suppress(OSError):
                        link.sendall(struct.pack("!H", len(answer)) + answer)

    def _answers(self, message, client, transport):
        try:
            end = dns_wire.question_end(message)
            qtype = struct.unpack_from("!H", message, end - 4)[0]
            name = dns_wire.parse(message).name
        except (IndexError, struct.error, ValueError):
            self.asked.append(Asked(time.monotonic(), "", "", 0, transport, client, message))
            return []
        asked = Asked(time.monotonic(), name.lower(), name, qtype, transport, client, message)
        self.asked.append(asked)
        if self.silent:
            return []
        if self.failing:
            return [dns_wire.reply(asked.raw, rcode=dns_wire.SERVFAIL)]
        script = self._scripts.get(asked.name)
        if script:
            return script(asked) or []
        return [self._from_table(asked)]

    def _from_table(self, asked):
        records = self._records.get(asked.name)
        if records is None:
            suffix = next((s for s in self._suffixes if asked.name.endswith("." + s)), None)
            records = self._records.get(suffix)
        if records is None:
            return dns_wire.reply(asked.raw, rcode=dns_wire.NXDOMAIN)
        return dns_wire.reply(asked.raw, records.get(asked.qtype, []))
