"""Reading and making packets, as far as the oracles and the raw-socket cases need it."""
# SPDX-License-Identifier: GPL-3.0-or-later

import socket
import struct
from dataclasses import dataclass

ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
SYN, ACK = 0x02, 0x10
_V6_EXTENSIONS = {0, 43, 60}


@dataclass(frozen=True)
class Packet:
    """One frame seen on a link."""

    when: float
    outgoing: bool
    frame: bytes
    ethertype: int = 0
    source: str = ""
    destination: str = ""
    protocol: int = -1
    sport: int = 0
    dport: int = 0
    flags: int = 0
    icmp_type: int = -1

    @property
    def is_syn(self):
        return self.protocol == TCP and self.flags & (SYN | ACK) == SYN

    def __str__(self):
        return f"{self.source}:{self.sport} > {self.destination}:{self.dport} proto {self.protocol} flags {self.flags:#x}"


def parse(when, outgoing, frame):
    ethertype = int.from_bytes(frame[12:14], "big")
    base = {"when": when, "outgoing": outgoing, "frame": frame, "ethertype": ethertype}
    if ethertype == ETH_IPV4 and len(frame) >= 34:
        head = (frame[14] & 15) * 4
        fragment = struct.unpack_from("!H", frame, 20)[0] & 0x1FFF
        source, destination = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
        return _with_ports(base, source, destination, frame[23], frame[14 + head :] if not fragment else b"")
    if ethertype == ETH_IPV6 and len(frame) >= 54:
        source = socket.inet_ntop(socket.AF_INET6, frame[22:38])
        destination = socket.inet_ntop(socket.AF_INET6, frame[38:54])
        protocol, rest = frame[20], frame[54:]
        while protocol in _V6_EXTENSIONS and len(rest) >= 8:
            protocol, rest = rest[0], rest[8 + rest[1] * 8 :]
        return _with_ports(base, source, destination, protocol, rest)
    return Packet(**base)


def _with_ports(base, source, destination, protocol, rest):
    fields = {"source": source, "destination": destination, "protocol": protocol}
    if protocol in (TCP, UDP) and len(rest) >= 4:
        fields["sport"], fields["dport"] = struct.unpack_from("!HH", rest)
    if protocol == TCP and len(rest) >= 14:
        fields["flags"] = rest[13]
    if protocol in (ICMP, ICMP6) and rest:
        fields["icmp_type"] = rest[0]
    return Packet(**base, **fields)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source, destination, protocol, payload, options=b"", fragment=0, ident=0, ttl=64):
    """A whole IPv4 packet; `fragment` is the flags-and-offset field. `options` is padded to four bytes."""
    options += b"\0" * (-len(options) % 4)
    words = 5 + len(options) // 4

    def head(check):
        return (
            struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(payload), ident, fragment, ttl, protocol, check)
            + socket.inet_aton(source)
            + socket.inet_aton(destination)
            + options
        )

    return head(checksum(head(0))) + payload


def icmp(kind, code, rest):
    body = struct.pack("!BBH", kind, code, 0) + rest
    return struct.pack("!BBH", kind, code, checksum(body)) + rest


def _transport(source, destination, protocol, segment, at):
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, protocol, len(segment))
    return segment[:at] + struct.pack("!H", checksum(pseudo + segment) or 0xFFFF) + segment[at + 2 :]


def udp(source, destination, sport, dport, payload):
    segment = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    return _transport(source, destination, UDP, segment, 6)


def tcp(source, destination, sport, dport, flags=SYN, payload=b"", sequence=1):
    segment = struct.pack("!HHIIBBHHH", sport, dport, sequence, 0, 5 << 4, flags, 64240, 0, 0) + payload
    return _transport(source, destination, TCP, segment, 16)
