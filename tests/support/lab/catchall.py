"""The attacker's box: takes every TCP connection and every datagram on every port, and remembers what came."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import threading


class CatchAll:
    """Anything in `events` is a leak: (transport, client, bytes). Redirects inside its own namespace."""

    def __init__(self, namespace, addresses):
        self.events = []
        self._sockets = []
        with namespace.entered():
            tcp, udp = self._listen(socket.SOCK_STREAM), self._listen(socket.SOCK_DGRAM)
        rules = ""
        for address in addresses:
            family = "ip6" if ":" in address else "ip"
            rules += f"{family} daddr {address} meta l4proto tcp redirect to :{tcp}\n"
            rules += f"{family} daddr {address} meta l4proto udp redirect to :{udp}\n"
        namespace.nft(
            "table inet catchall {\nchain p {\ntype nat hook prerouting priority -100\n" + rules + "}\n}\n"
        )

    def close(self):
        for link in self._sockets:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def mark(self):
        return len(self.events)

    def since(self, mark):
        return self.events[mark:]

    def _listen(self, kind):
        link = socket.socket(socket.AF_INET6, kind)
        link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        link.bind(("::", 0))
        self._sockets.append(link)
        if kind == socket.SOCK_STREAM:
            link.listen(512)
        serve = self._serve_tcp if kind == socket.SOCK_STREAM else self._serve_udp
        threading.Thread(target=serve, args=(link,), daemon=True).start()
        return link.getsockname()[1]

    def _serve_udp(self, link):
        with contextlib.suppress(OSError):
            while True:
                data, client = link.recvfrom(65535)
                self.events.append(("udp", client, data))

    def _serve_tcp(self, link):
        with contextlib.suppress(OSError):
            while True:
                connection, client = link.accept()
                self.events.append(("tcp", client, b""))
                threading.Thread(target=self._read, args=(connection, client), daemon=True).start()

    def _read(self, connection, client):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            while data := connection.recv(65536):
                self.events.append(("tcp", client, data))
