"""A server that says one thing to everybody who says something."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import threading


@contextlib.contextmanager
def answering(namespace, address, port, body):
    with namespace.entered():
        listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                with link, contextlib.suppress(OSError):
                    link.recv(65536)
                    link.sendall(body)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
