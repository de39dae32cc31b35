"""A forward proxy for image builds: listens in the engine's namespace, dials from the machine's own.

Builds need package registries, which the engine's world does not reach; containers of the stack never see this.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import http.server
import socket
import threading
import urllib.parse


class BuildRelay:
    def __init__(self, namespace):
        with namespace.entered():
            self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        # Started by a thread of the machine's namespace, so that what it dials leaves from there.
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = 120

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as far:
            self.send_response(200)
            self.end_headers()
            self._relay(far)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        with socket.create_connection((url.hostname, url.port or 80), timeout=60) as far:
            target = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
            head = [f"{self.command} {target} HTTP/1.1"]
            head += [f"{key}: {value}" for key, value in self.headers.items()
                     if key.lower() not in ("proxy-connection", "connection")]
            far.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode("latin1"))
            self.close_connection = True
            with contextlib.suppress(OSError):
                while piece := far.recv(65536):
                    self.connection.sendall(piece)

    def _relay(self, far):
        self.close_connection = True

        def pump(source, sink):
            with contextlib.suppress(OSError):
                while piece := source.recv(65536):
                    sink.sendall(piece)
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=pump, args=(far, self.connection), daemon=True)
        back.start()
        pump(self.connection, far)
        back.join(120)
