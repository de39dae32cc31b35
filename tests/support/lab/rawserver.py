"""A TCP server whose every byte is a test's own doing."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import threading


class RawServer:
    """Calls `handler(link)` for each connection, in a thread; without one, connections are closed at once."""

    def __init__(self, namespace, address, ports):
        self.handler = None
        self.accepted = 0
        self._listeners = []
        for port in ports:
            with namespace.entered():
                listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(512)
            self._listeners.append(listener)
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    @contextlib.contextmanager
    def serving(self, handler):
        self.handler = handler
        try:
            yield self
        finally:
            self.handler = None

    def close(self):
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener):
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        with link, contextlib.suppress(OSError):
            link.settimeout(60)
            if self.handler:
                self.handler(link)


@contextlib.contextmanager
def accepting(namespace, address, port, serve):
    """Calls `serve(link)` for one connection after the other; gives the list of those that came."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with namespace.entered():
        listener = socket.create_server((address, port), family=family)
    taken = []

    def accept():
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                taken.append(link)
                with link, contextlib.suppress(OSError):
                    serve(link)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield taken
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def listening(namespace, address, port, says=b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nhi\n"):
    """A server of one sentence."""

    def serve(link):
        link.sendall(says)
        link.shutdown(socket.SHUT_WR)
        link.recv(65536)

    return accepting(namespace, address, port, serve)


def answering(namespace, address, port, body):
    """A server that says one thing to each client that says something."""

    def serve(link):
        link.recv(65536)
        link.sendall(body)

    return accepting(namespace, address, port, serve)
