#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What inspection costs one client, beside forwarding and pass-through: tests/bench/inspection.py [PROGRAM] [REPEATS].

As root; needs nginx. Medians in microseconds, and the spread of the middle half. Connections are made one after another in one
namespace's Python: its own cost is in every line, so read differences. Memory is the program's alone (PSS).
"""
import os
import pathlib
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
PROGRAM = sys.argv[1] if len(sys.argv) > 1 else str(HERE.parents[2] / "build/release/gateway/gateway")
REPEATS = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
NAMES = 100
IDLE = 1000
os.environ["GATEWAY_BIN"] = PROGRAM
sys.path.insert(0, str(HERE.parents[1] / "support"))

from lab import addresses as at  # noqa: E402
from lab import inspection, wait  # noqa: E402
from lab.network import Lab  # noqa: E402

POLICY = """\
domains:
  - {host: "*.fast.test", tls: inspect}
  - {host: pass.fast.test, tls: passthrough}
"""
NGINX = """\
daemon off; pid %(folder)s/nginx.pid; error_log %(folder)s/error.log; worker_processes 1;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000; keepalive_timeout 600s;
  server {
    listen %(address)s:443 ssl http2; ssl_certificate %(certificate)s; ssl_certificate_key %(key)s;
    location / { return 200 "%(body)s"; }
  }
}
"""
REQUEST = "GET /1k HTTP/1.1\r\nHost: %s\r\n\r\n"


class Client:
    """One TLS connection of the agent's, and requests over it."""

    def __init__(self, lab, context, name, session=None):
        with lab.agent.entered():
            plain = socket.create_connection((at.SPARE, 443), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link = context.wrap_socket(plain, server_hostname=name, session=session)
        self.request = (REQUEST % name).encode()

    def ask(self):
        self.link.sendall(self.request)
        answer = b""
        while not answer.endswith(b"x" * 1024):
            more = self.link.recv(65536)
            if not more:
                raise RuntimeError("the connection ended: " + repr(answer[:200]))
            answer += more

    def close(self):
        session = self.link.session
        self.link.close()
        return session


def timed(action):
    begin = time.perf_counter()
    action()
    return 1e6 * (time.perf_counter() - begin)


def show(what, times):
    quarters = statistics.quantiles(times, n=4)
    print("%-62s %7.0f   (%.0f to %.0f)" % (what, statistics.median(times), quarters[0], quarters[2]), flush=True)
    return statistics.median(times)


def requests(lab, context, name, what):
    client = Client(lab, context, name)
    for _ in range(100):
        client.ask()
    median = show(what, [timed(client.ask) for _ in range(REPEATS)])
    client.close()
    return median


def connection(lab, context, name, session=None):
    client = Client(lab, context, name, session)
    client.ask()
    return client.close()


def memory(pid):
    for line in pathlib.Path("/proc/%d/smaps_rollup" % pid).read_text().splitlines():
        if line.startswith("Pss:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("no Pss")


def measure(lab, folder):
    origin_trust = ssl.create_default_context(cafile=str(lab.ca.certificate))
    names = ["n%03d.fast.test" % n for n in range(NAMES)]
    lab.gw.sysctl("net.ipv4.ip_forward", 1)
    lab.agent.ip("route", "add", at.SPARE, "via", at.GW_OWN)
    direct = requests(lab, origin_trust, names[0], "kept-alive request, forwarded by the kernel")
    show("connection and request, forwarded", [timed(lambda: connection(lab, origin_trust, name)) for name in names])
    lab.agent.ip("route", "del", at.SPARE)

    gateway = inspection.inspecting(lab, folder, POLICY)
    gateway.start()
    try:
        inspection.publish(gateway)
        gateway_trust = ssl.create_default_context(cafile=gateway.ca_certificate)
        passed = requests(lab, origin_trust, "pass.fast.test", "kept-alive request, passed through")
        inspected = requests(lab, gateway_trust, "warm.fast.test", "kept-alive request, inspected")
        print("added to a kept-alive request: %.0f by pass-through, %.0f by inspection" % (passed - direct, inspected - direct))
        show("connection and request, passed through", [timed(lambda: connection(lab, origin_trust, "pass.fast.test")) for _ in names])
        sessions = {}

        def first(name):
            sessions[name] = connection(lab, gateway_trust, name)

        show("inspected, a new name: leaf made, both handshakes full", [timed(lambda: first(name)) for name in names])
        show("inspected, again: leaf cached, the origin resumed", [timed(lambda: connection(lab, gateway_trust, name)) for name in names])
        show("inspected, again, and the client resumes as well", [timed(lambda: connection(lab, gateway_trust, name, sessions[name])) for name in names])

        before = memory(gateway.pid)
        held = []
        for n in range(IDLE):
            held.append(Client(lab, gateway_trust, names[n % NAMES]))
            held[-1].ask()
        time.sleep(1)
        print("idle inspected connection after a request, process memory: %.1f KB (%d held)" % ((memory(gateway.pid) - before) / IDLE / 1024, IDLE))
        for client in held:
            client.close()
    finally:
        gateway.stop()


def main():
    lab = Lab()
    nginx = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            lab.dns.set_below("fast.test", a=[at.SPARE])
            certificate, key = lab.ca.issue("*.fast.test")
            config = pathlib.Path(folder, "nginx.conf")
            config.write_text(NGINX % {"folder": folder, "address": at.SPARE, "certificate": certificate, "key": key, "body": "x" * 1024})
            nginx = subprocess.Popen(lab.up.command("nginx", "-c", str(config), "-e", folder + "/error.log"))
            wait.until(lambda: pathlib.Path(folder, "nginx.pid").exists(), "nginx")
            measure(lab, folder)
    finally:
        if nginx:
            nginx.terminate()
            nginx.wait()
        lab.close()


if __name__ == "__main__":
    main()
