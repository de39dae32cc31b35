"""What really left an interface: the oracle behind every "nothing got out".

A thread keeps every frame. sync() puts a frame of its own on the link and waits until it was captured, so that
everything sent before it is known; a capture that lost frames refuses to say that nothing was seen.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import ctypes
import errno
import os
import select
import socket
import struct
import threading
import time
from contextlib import contextmanager

from lab import packets, wait

_ETH_ALL = 0x0003
_ETH_MARKER = 0x88B5  # IEEE 802 local experimental
_PACKET_OUTGOING = 4
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_RCVBUFFORCE = 33
_SO_ATTACH_FILTER = 26
_BUFFER = 64 << 20
_WHOLE, _HEADERS = 1 << 17, 128
# Classic BPF: LD the packet type (ancillary data), JEQ outgoing, RET so many bytes.
_LOAD_TYPE, _IF_EQUAL, _RETURN = (0x20, 0, 0, 0xFFFFF004), 0x15, 0x06
# What keeps an IPv6 link usable.
_LINK_LOCAL_ICMP6 = {130, 131, 132, 133, 134, 135, 136, 143}


class Capture:
    """Frames of one interface of one namespace, from construction to close()."""

    def __init__(self, namespace, interface):
        with namespace.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_ALL))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
            self._keep(_WHOLE)
            self._socket.bind((interface, 0))
            self._sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_MARKER))
            self._sender.bind((interface, 0))
        self._packets = []
        self._lost = 0
        self._lost_at = {}  # by mark
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._loop, name="capture", daemon=True)
        self._thread.start()

    def close(self):
        os.write(self._stop_write, b"x")
        self._thread.join()
        for fd in (self._stop_read, self._stop_write):
            os.close(fd)
        self._socket.close()
        self._sender.close()

    def _loop(self):
        while True:
            ready, _, _ = select.select([self._socket, self._stop_read], [], [])
            if self._stop_read in ready:
                return
            try:
                frame, address = self._socket.recvfrom(_WHOLE)
            except OSError as error:
                if error.errno == errno.ENETDOWN:  # said once; the capture goes on when the link is up again
                    continue
                raise
            self._packets.append((time.monotonic(), address[2] == _PACKET_OUTGOING, frame))

    @contextmanager
    def headers_only(self):
        """For bulk uploads: keeps the first bytes of each frame, so that the capture keeps up."""
        self._keep(_HEADERS)
        try:
            yield
        finally:
            self.sync()
            self._keep(_WHOLE)

    def _keep(self, outgoing):
        """How much of each outgoing frame the kernel hands over; of incoming ones, the headers."""
        code = [_LOAD_TYPE, (_IF_EQUAL, 0, 1, _PACKET_OUTGOING), (_RETURN, 0, 0, outgoing), (_RETURN, 0, 0, _HEADERS)]
        program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in code))
        self._program = program  # lives until the kernel has copied it
        fprog = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(program))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)

    def sync(self):
        """Everything sent on the interface before this call is captured after it."""
        nonce = os.urandom(16)
        start = len(self._packets)
        frame = b"\x02" + b"\0" * 11 + struct.pack("!H", _ETH_MARKER) + nonce + b"\0" * 30
        try:
            self._sender.send(frame)
        except OSError as error:
            if error.errno != errno.ENETDOWN:  # the link was down since the last frame; this socket is told once
                raise
            self._sender.send(frame)
        wait.until(lambda: any(nonce in p[2] for p in self._packets[start:]), "the capture's own frame")

    def forget(self, mark):
        """Drops everything captured before `mark`, for runs of many minutes: the mark to go on with. Others are void."""
        lost = self._lost_at[mark]
        self._lost_at = {0: lost}
        del self._packets[:mark]
        return 0

    def mark(self):
        """A position in time: pass it to the questions below."""
        self.sync()
        mark = len(self._packets)
        self._lost_at[mark] = self._count_lost()
        return mark

    def since(self, mark):
        """Packets after `mark`, without the capture's own and without neighbour discovery."""
        self.sync()
        lost = self._count_lost() - self._lost_at.get(mark, 0)
        assert lost == 0, f"the capture lost {lost} frames and proves nothing"
        found = (packets.parse(*entry) for entry in self._packets[mark:])
        return [p for p in found if not _is_link_upkeep(p)]

    def outgoing(self, mark):
        return [p for p in self.since(mark) if p.outgoing]

    def syns(self, mark):
        return [p for p in self.outgoing(mark) if p.is_syn]

    def contains(self, mark, text):
        """Outgoing packets that carry `text`, whatever its letter case (a DNS question may change it)."""
        text = text.lower()
        return [p for p in self.outgoing(mark) if text in p.frame.lower()]

    def _count_lost(self):
        raw = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, ctypes.sizeof(ctypes.c_uint32) * 2)
        self._lost += struct.unpack("II", raw)[1]
        return self._lost


def _is_link_upkeep(packet):
    if packet.ethertype in (packets.ETH_ARP, _ETH_MARKER):
        return True
    return packet.protocol == packets.ICMP6 and packet.icmp_type in _LINK_LOCAL_ICMP6
