"""A TLS connection that is used like a socket, can end its own side and still read, and shows how the other side ended."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import ssl


class TlsLink:
    """Over a connected socket, its handshake done. recv() gives b"" at an announced end; a cut raises ConnectionError."""

    def __init__(self, raw, context, name):
        self._raw = raw
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # Python's default hides how a connection ended
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        self._step(self.tls.do_handshake)

    def sendall(self, data):
        data = memoryview(bytes(data))
        while data:
            data = data[self._step(lambda piece=data[: 1 << 16]: self.tls.write(piece)) :]

    def recv(self, count):
        try:
            return self._step(lambda: self.tls.read(count))
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLEOFError as cut:
            raise ConnectionResetError("TLS ended without close_notify") from cut
        except ssl.SSLError as error:
            raise ConnectionError(str(error)) from error

    def shutdown(self, how):
        """close_notify and FIN; reading goes on."""
        assert how == socket.SHUT_WR
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLError):
            self.tls.unwrap()
        self._flush()
        self._raw.shutdown(socket.SHUT_WR)

    def settimeout(self, seconds):
        self._raw.settimeout(seconds)

    def setsockopt(self, *args):
        self._raw.setsockopt(*args)

    def getsockname(self):
        return self._raw.getsockname()

    def close(self):
        self._raw.close()

    def _flush(self):
        if data := self._out.read():
            self._raw.sendall(data)

    def _step(self, action):
        while True:
            try:
                result = action()
            except ssl.SSLWantReadError:
                self._flush()
                if data := self._raw.recv(1 << 16):
                    self._in.write(data)
                else:
                    self._in.write_eof()
                continue
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush()  # an alert
                raise
            self._flush()
            return result
