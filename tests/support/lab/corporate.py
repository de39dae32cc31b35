"""Corporate proxies on the outside: Debian's squid and mitmproxy, and a small SOCKS 5 server.

Only their own resolver knows `proxied.test`: the names behind a proxy do not resolve where the gateway is.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

from lab import addresses as at
from lab import wait

ADDRESS = "10.200.0.10"  # private: the rule about addresses is not for the proxy itself
NAME = "proxy.corp.test"
PORT = 3128
USER, PASSWORD = "agent", "s3cret p@ss/%"
ENDPOINT_PORT = 5432


def place(lab, *names):
    """The proxy's address and name, and `names` with the address of the origin SPARE, which the outside alone knows."""
    lab.up.ip("address", "replace", f"{ADDRESS}/32", "dev", "out0")
    lab.dns.set(NAME, a=[ADDRESS])
    lab.up.etc("resolv.conf", f"nameserver {at.NS}\n")
    lab.up.etc("hosts", "127.0.0.1 localhost\n" + "".join(f"{at.SPARE} {name}\n" for name in names))


def folder(lab):
    """One that a proxy's own user may enter, gone with the laboratory."""
    made = Path(tempfile.mkdtemp(prefix="proxy-", dir=lab.folder))
    made.chmod(0o777)
    return made


class Process:
    """A proxy program in the outside's namespace, its log in `log`."""

    def __init__(self, lab, folder, command):
        self.log = folder / "proxy.log"
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(lab.up.command(*command), stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
        wait.until(lambda: self._serves(lab), f"{command[0]} to serve: {self.log}", 20)

    def text(self):
        return self.log.read_text(errors="replace")

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()

    def _serves(self, lab):
        assert self._process.poll() is None, f"the proxy ended: {self.text()[-600:]}"
        with lab.up.entered(), contextlib.suppress(OSError), socket.create_connection((ADDRESS, PORT), 1):
            return True
        return False


class Squid(Process):
    """As Debian ships it: CONNECT to the ports of TLS alone, here with one more."""

    def __init__(self, lab, folder, login=False, tls=None):
        listen = f"http_port {ADDRESS}:{PORT}" if tls is None else f"https_port {ADDRESS}:{PORT} tls-cert={tls[0]} tls-key={tls[1]}"
        lines = [listen, "visible_hostname squid.corp.test", f"acl SSL_ports port 443 {ENDPOINT_PORT}", "acl CONNECT method CONNECT",
                 f"dns_nameservers {at.NS}", "http_access deny CONNECT !SSL_ports", "acl closed dstdomain refused.proxied.test", "http_access deny closed"]  # fmt: skip
        if login:
            made = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], capture_output=True, text=True, check=True).stdout
            (folder / "users").write_text(f"{USER}:{made}")
            lines += [f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/users", "acl known proxy_auth REQUIRED",
                      "http_access allow known", "http_access deny all"]  # fmt: skip
        lines += ["http_access allow all", f"access_log stdio:{folder}/proxy.log", f"cache_log {folder}/cache.log", "pid_filename none",
                  "cache deny all", "shutdown_lifetime 0 seconds", f"coredump_dir {folder}"]  # fmt: skip
        (folder / "squid.conf").write_text("\n".join(lines) + "\n")
        (folder / "proxy.log").touch()
        (folder / "proxy.log").chmod(0o666)
        super().__init__(lab, folder, ["squid", "-N", "-f", str(folder / "squid.conf")])


class Mitmproxy(Process):
    """`intercepts`: ends TLS with a CA of its own, `authority`."""

    def __init__(self, lab, folder, login=False, intercepts=False):
        self.authority = folder / "mitmproxy-ca-cert.pem"
        command = ["mitmdump", "--listen-host", ADDRESS, "--listen-port", str(PORT), "--set", f"confdir={folder}", "--set", "block_global=false",
                   "--set", f"ssl_verify_upstream_trusted_ca={lab.ca.certificate}"]  # fmt: skip
        command += [] if intercepts else ["--ignore-hosts", ".", "--set", "rawtcp=true"]
        command += ["--proxyauth", f"{USER}:{PASSWORD}"] if login else []
        super().__init__(lab, folder, command)


class Socks:
    """SOCKS 5 by name (RFC 1928), with a login where one is asked for (RFC 1929)."""

    def __init__(self, lab, login=False):
        self._lab, self._login, self.asked = lab, login, []
        with lab.up.entered():
            self._listener = socket.create_server((ADDRESS, PORT))
        threading.Thread(target=self._accept, daemon=True).start()

    def text(self):
        return "\n".join(self.asked)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        with link, contextlib.suppress(OSError, IndexError, struct.error):
            methods = self._exactly(link, self._exactly(link, 2)[1])
            if self._login and 2 not in methods:
                return link.sendall(b"\x05\xff")
            link.sendall(b"\x05\x02" if self._login else b"\x05\x00")
            if self._login:
                user = self._exactly(link, self._exactly(link, 2)[1])
                password = self._exactly(link, self._exactly(link, 1)[0])
                right = (user, password) == (USER.encode(), PASSWORD.encode())
                link.sendall(b"\x01\x00" if right else b"\x01\x01")
                if not right:
                    return None
            kind = self._exactly(link, 4)[3]
            assert kind == 3, "the gateway asks by name"
            name = self._exactly(link, self._exactly(link, 1)[0]).decode()
            (port,) = struct.unpack("!H", self._exactly(link, 2))
            self.asked.append(f"{name}:{port}")
            if name.startswith("refused."):
                return link.sendall(b"\x05\x02\x00\x01\0\0\0\0\0\0")
            with self._lab.up.entered():
                origin = socket.create_connection((at.SPARE, port), 5)
            link.sendall(b"\x05\x00\x00\x03\x04bnd.\x00\x00")  # a name of four letters
            back = threading.Thread(target=self._copy, args=(origin, link), daemon=True)
            back.start()
            self._copy(link, origin)
            back.join(10)
        return None

    @staticmethod
    def _copy(source, sink):
        with contextlib.suppress(OSError):
            while more := source.recv(65536):
                sink.sendall(more)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    @staticmethod
    def _exactly(link, count):
        data = b""
        while len(data) < count:
            more = link.recv(count - len(data))
            if not more:
                raise OSError("ended")
            data += more
        return data


def available():
    """Why these proxies cannot be started here, or an empty string."""
    missing = [name for name in ("squid", "mitmdump") if not shutil.which(name)]
    return f"needs {' and '.join(missing)}" if missing else ""
