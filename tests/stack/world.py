"""The machine on which the engine runs, and what it sees of the outside: two network namespaces and a cable.

`host` holds the engine, its bridges and its firewall rules; `outside` holds name server and origins. Nothing leads to the
real network of the machine that runs the tests.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import threading

from lab import addresses as at
from lab import catchall, certificates, nameserver, netns, origin

HOST_OUTSIDE = "45.33.32.2"  # the machine's own address on the outside


class World:
    """close() ends the servers and removes the namespaces; so does the death of this process."""

    def __init__(self, folder):
        self._stack = contextlib.ExitStack()
        netns.remove_left_over()
        prefix = netns.unique_prefix()
        self._stack.callback(netns.Reaper(prefix).close)
        self.host = netns.Namespace(f"{prefix}-host")
        self.outside = netns.Namespace(f"{prefix}-outside")
        for namespace in (self.host, self.outside):
            self._stack.callback(namespace.delete)
        self._cable()
        self.ca = certificates.Authority(folder)
        self._servers()

    def close(self):
        self._stack.close()

    def _cable(self):
        host, outside = self.host, self.outside
        host.ip("link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", outside.name)
        host.ip("addr", "add", f"{HOST_OUTSIDE}/24", "dev", "up0")
        host.ip("link", "set", "up0", "up")
        for address in (at.GWUP, at.AL, at.WILD, at.EV, at.NS):
            outside.ip("addr", "add", f"{address}/24", "dev", "eth0")
        outside.ip("link", "set", "eth0", "up")
        host.ip("route", "add", "default", "via", at.GWUP)

    def _servers(self):
        allowed = self.ca.issue("allowed.test", "*.allowed.test")
        wild = self.ca.issue("*.wild.test")
        self.al = origin.Origin(self.outside, "AL", [at.AL], allowed)
        self.wild = origin.Origin(self.outside, "WILD", [at.WILD], wild)
        self.ns = nameserver.NameServer(self.outside, [at.NS])
        for name, address in (("allowed.test", at.AL), ("evil.test", at.EV), ("denied.test", at.EV)):
            self.ns.set(name, a=[address])
        self.ns.set_below("wild.test", a=[at.WILD])
        self.ev = catchall.CatchAll(self.outside, [at.EV])
        for server in (self.al, self.wild, self.ns, self.ev):
            self._stack.callback(server.close)

    def host_service(self, port):
        """A TCP service of the machine itself on every address, as a developer would run one; counts connections."""
        service = HostService(self.host, port)
        self._stack.callback(service.close)
        return service


class HostService:
    def __init__(self, namespace, port):
        self.connections = 0
        with namespace.entered():
            self._listener = socket.create_server(("", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with contextlib.suppress(OSError):
                link.sendall(b"service of the host\n")
            link.close()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

