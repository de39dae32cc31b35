"""Resolvers as people have them: each answers well but for one fault. One namespace, one address, UDP and TCP port 53."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Callable

from lab import dns_wire as dns

ADDRESS = "45.33.32.10"
EVIL = "45.33.32.66"
SERVER = "127.0.0.53"
GONE = "gone"  # names that begin with it do not exist


@dataclass(frozen=True)
class Query:
    """One question, and the honest answer to it."""

    raw: bytes
    transport: str
    count: int  # questions before it

    @property
    def edns(self):
        return struct.unpack_from("!H", self.raw, 10)[0] > 0

    @property
    def name(self):
        return dns.parse(self.raw).name.lower()

    @property
    def qtype(self):
        return struct.unpack_from("!H", self.raw, dns.question_end(self.raw) - 4)[0]

    @property
    def opt(self):
        return [self.raw[dns.question_end(self.raw) :]] if self.edns else []

    def records(self):
        if self.name.startswith(GONE) or self.qtype != dns.A:
            return []
        return dns.a(ADDRESS, ttl=60)

    def reply(self, records=None, raw=None, **options):
        records = self.records() if records is None else records
        soa = dns.record(dns.SOA, dns.labels("ns.test") + dns.labels("who.test") + struct.pack("!5I", 1, 2, 3, 4, 30), 30, dns.labels("test"))
        gone = {"rcode": dns.NXDOMAIN} if self.name.startswith(GONE) else {}
        options = {"authority": [] if records else [soa], "additional": self.opt, **gone, **options}
        return dns.reply(raw or self.raw, records, **options)

    def with_question(self, change):
        """The honest answer with the bytes of its question changed."""
        end = dns.question_end(self.raw)
        return self.reply(raw=self.raw[:12] + change(self.raw[12 : end - 4]) + self.raw[end - 4 :])


@dataclass(frozen=True)
class Fault:
    answer: Callable  # Query -> list of replies
    tcp: str = "answers"  # "refused": no listener; "silent": a listener that never accepts; "closes"
    says: str = ""  # in the log and in doctor
    libc: bool = True  # the C library gets an answer


DISCOVERY = "ipv4only.arpa"  # RFC 7050: the gateway asks for it at start


class FaultyResolver:
    """Serves until it is closed; `asked` has every query but those that look for NAT64."""

    def __init__(self, namespace, fault, address=SERVER):
        self.asked = []
        self._fault = fault
        with namespace.entered():
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.bind((address, 53))
            self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if fault.tcp != "refused":
                self._tcp.bind((address, 53))
                self._tcp.listen(64)
        self._threads = [threading.Thread(target=self._serve_udp, daemon=True)]
        if fault.tcp in ("answers", "closes"):
            self._threads.append(threading.Thread(target=self._serve_tcp, daemon=True))
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for link in (self._udp, self._tcp):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for link in (self._udp, self._tcp):
            link.close()

    def _answers(self, raw, transport):
        query = Query(raw, transport, len(self.asked))
        if query.name != DISCOVERY:
            self.asked.append(query)
        return self._fault.answer(query)

    def _serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                raw, client = self._udp.recvfrom(65535)
                if not raw:
                    return
                for reply in self._answers(raw, "udp"):
                    self._udp.sendto(reply, client)

    def _serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._tcp.accept()
                threading.Thread(target=self._serve_connection, args=(link,), daemon=True).start()

    def _serve_connection(self, link):
        with link, contextlib.suppress(OSError):
            link.settimeout(10)
            while self._fault.tcp == "answers" and (raw := dns.read_tcp(link)):
                for reply in self._answers(raw, "tcp"):
                    link.sendall(struct.pack("!H", len(reply)) + reply)


def _to_edns(bad):
    """`bad` to queries with EDNS, the truth to others."""
    return lambda q: bad(q) if q.edns else [q.reply()]


def _header(query, rcode):
    return query.raw[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 0, 0, 0, 0)


def _truncated(query):
    if query.transport == "tcp" or not query.records():
        return [query.reply()]
    return [query.reply(flags=0x8380)]


def _folded(fold):
    return lambda q: [q.with_question(fold) if q.transport == "udp" else q.reply()]


def _lower(raw):
    return raw.lower()


def _upper(raw):
    """Of the name alone: lengths of labels below 64 have no letters among them, and stay."""
    return raw.upper()


def _counts(query, additional):
    reply = query.reply()
    return [reply[:10] + struct.pack("!H", additional) + reply[12:]]


def _beside(*junk, **options):
    """Records beside the good one."""
    return lambda q: [q.reply([*junk, *q.records()], **options) if q.records() else q.reply()]


def _chain(count):
    def answer(query):
        if not query.records():
            return [query.reply()]
        owner, records = b"\xc0\x0c", []
        for number in range(count):
            records.append(dns.cname(f"hop{number}.cdn.example", ttl=60, owner=owner))
            owner = dns.labels(f"hop{number}.cdn.example")
        return [query.reply(records + dns.a(ADDRESS, ttl=60, owner=owner))]

    return answer


def _alias_by_alias(count):
    """Each answer ends with an alias, and the next question is for its target."""

    def answer(query):
        if not query.records():
            return [query.reply()]
        number = int(query.name[3 : query.name.index(".")]) + 1 if query.name.startswith("hop") else 0
        if number == count:
            return [query.reply()]
        return [query.reply([dns.cname(f"hop{number}.cdn.example", ttl=60)])]

    return answer


def _backwards(query):
    if not query.records():
        return [query.reply()]
    target = dns.labels("target.cdn.example")
    return [query.reply([*dns.a(ADDRESS, ttl=60, owner=target), dns.cname("target.cdn.example", ttl=60)])]


def _pointers(query):
    """The alias points into the data of a record before it."""
    if not query.records():
        return [query.reply()]
    text = dns.record(16, dns.labels("cdn.example"), 60)
    inside = struct.pack("!H", 0xC000 | (dns.question_end(query.raw) + 12))
    return [query.reply([text, dns.record(dns.CNAME, b"\x01x" + inside, 60), *dns.a(ADDRESS, ttl=60, owner=b"\x01X" + inside)])]


RUBBISH = b"\xff\xff\xff"
FAULTS = {
    "none": Fault(lambda q: [q.reply()]),
    "FORMERR to EDNS": Fault(_to_edns(lambda q: [q.reply([], rcode=dns.FORMERR, authority=[], additional=[])]), says="answers FORMERR to EDNS"),
    "FORMERR to EDNS, a header alone": Fault(_to_edns(lambda q: [_header(q, dns.FORMERR)]), says="answers FORMERR to EDNS"),
    "FORMERR to EDNS, no TCP": Fault(_to_edns(lambda q: [_header(q, dns.FORMERR)]), tcp="refused", says="answers FORMERR to EDNS"),
    "NOTIMP to EDNS": Fault(_to_edns(lambda q: [_header(q, dns.NOTIMP)]), says="answers NOTIMP to EDNS"),
    "SERVFAIL to EDNS": Fault(_to_edns(lambda q: [q.reply([], rcode=dns.SERVFAIL, authority=[])]), says="answers SERVFAIL to EDNS"),
    "REFUSED to EDNS": Fault(_to_edns(lambda q: [q.reply([], rcode=dns.REFUSED, authority=[])]), says="answers REFUSED to EDNS"),
    "BADVERS to EDNS": Fault(
        _to_edns(lambda q: [q.reply([], authority=[], additional=[b"\0" + struct.pack("!HHIH", dns.OPT, 512, 0x01000000, 0)])]),
        says="answers BADVERS to EDNS",
    ),
    "rubbish to EDNS": Fault(_to_edns(lambda q: [q.raw[:2] + b"\x81\x80" + RUBBISH * 8]), says="sends malformed answers to EDNS"),
    "silence to EDNS": Fault(_to_edns(lambda q: []), says="does not answer queries with EDNS"),
    "silence to EDNS, no TCP": Fault(_to_edns(lambda q: []), tcp="silent", says="does not answer queries with EDNS"),
    "OPT missing": Fault(lambda q: [q.reply(additional=[])]),
    "two OPT": Fault(lambda q: [q.reply(additional=q.opt * 2)]),
    "OPT among the answers": Fault(lambda q: [q.reply([*q.opt, *q.records()], additional=[])]),
    "lower case": Fault(_folded(_lower), says="changes the letter case"),
    "lower case, no TCP": Fault(_folded(_lower), tcp="refused", says="changes the letter case"),
    "lower case, silent TCP": Fault(_folded(_lower), tcp="silent", says="changes the letter case"),
    "lower case, TCP that closes": Fault(_folded(_lower), tcp="closes", says="changes the letter case"),
    "upper case, no TCP": Fault(_folded(_upper), tcp="refused", says="changes the letter case"),
    "lower case, FORMERR to EDNS, no TCP": Fault(
        lambda q: [_header(q, dns.FORMERR) if q.edns else q.with_question(_lower)], tcp="refused", says="changes the letter case"
    ),
    "lower case, silence to EDNS, silent TCP": Fault(
        lambda q: [] if q.edns else [q.with_question(_lower)], tcp="silent", says="changes the letter case"
    ),
    "truncated": Fault(_truncated),
    "truncated, no TCP": Fault(_truncated, tcp="refused", libc=False, says="does not answer over TCP"),
    "truncated, silent TCP": Fault(_truncated, tcp="silent", libc=False, says="does not answer over TCP"),
    "truncated in a record, no TCP": Fault(
        lambda q: [q.reply(q.records() * 2, flags=0x8380, authority=[], additional=[])[:-3] if q.records() else q.reply()],
        tcp="refused",
        libc=False,
        says="does not answer over TCP",
    ),
    "bytes after the message": Fault(lambda q: [q.reply() + b"left over"], says="sends bytes after the message"),
    "zeros up to 512 bytes": Fault(lambda q: [q.reply().ljust(512, b"\0")], says="sends bytes after the message"),
    "too many additional records counted": Fault(lambda q: _counts(q, 9), says="wrong count of records"),
    "no additional records counted": Fault(lambda q: _counts(q, 0)),
    "authority of rubbish": Fault(lambda q: [q.reply(authority=[dns.record(dns.SOA, RUBBISH)])]),
    "additional of rubbish": Fault(lambda q: [q.reply(additional=[dns.record(dns.A, RUBBISH), dns.record(47, RUBBISH)])]),
    "an unreadable record beside": Fault(_beside(dns.record(dns.HTTPS, RUBBISH)), says="records that cannot be read"),
    "a record of no known type beside": Fault(_beside(dns.record(65280, RUBBISH), dns.record(46, b""))),
    "class ANY beside": Fault(_beside(dns.record(dns.A, socket.inet_aton(EVIL), klass=255))),
    "another owner beside": Fault(_beside(*dns.a(EVIL, owner=dns.labels("other.example")))),
    "the record twice": Fault(lambda q: [q.reply(q.records() * 2)]),
    "upper case owner": Fault(lambda q: [q.reply(dns.a(ADDRESS, ttl=60, owner=dns.labels(q.name.upper())) if q.records() else None)]),
    "pointers into data": Fault(_pointers),
    "TTL with the top bit": Fault(lambda q: [q.reply(dns.a(ADDRESS, ttl=0x80000001) if q.records() else None)]),
    "AA, AD and Z, no RA": Fault(lambda q: [q.reply(flags=0x8560)]),
    "the target before the alias": Fault(_backwards, libc=False),
    "16 aliases": Fault(_chain(16)),
    "30 aliases": Fault(_chain(30)),
    "an alias without its target": Fault(_alias_by_alias(1), libc=False),
    "16 aliases, one at a time": Fault(_alias_by_alias(16), libc=False),
}  # fmt: skip
