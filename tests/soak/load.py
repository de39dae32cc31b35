"""A mixed load of bounded rate that runs while faults are made: allowed requests of every kind, and denied ones.

Each client is one thread with a pause between two attempts. An attempt that overlaps a disturbance may fail; any other
may not. A denied request that passes is a stray, whenever it happens.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import secrets
import socket
import ssl
import threading
import time

from lab import addresses as at
from lab import dns_wire, http2_wire, wait, web
from lab.http2_origin import HOST as HTTP2_HOST

PATIENCE = 5.0  # seconds an attempt waits
INSPECTED = "load.wild.test"
DENIED = "load.denied.test"
UDP_PORT, TCP_PORT = 9998, 9999
DATAGRAMS = 10  # in a burst
BURST_EVERY, QUIET_EVERY = 0.005, 0.1  # seconds between two bursts: during a disturbance, and else


class Load:
    """From start() to stop(). `kinds`: names of allowed kinds with their pause in seconds."""

    KINDS = {"http": 0.1, "https": 0.2, "inspected": 0.2, "http2": 0.5, "dns": 0.1, "neighbour": 0.2}
    REFUSED = {"denied http": 0.2, "denied https": 0.3, "denied dns": 0.2}

    def __init__(self, world):
        self._world = world
        self._over = threading.Event()
        self._paused = False
        self._running = set()  # kinds whose attempt is under way
        self._threads = []
        self._disturbances = []  # [begin, end or None]
        self._lock = threading.Lock()
        self.attempts = {kind: [] for kind in (*self.KINDS, *self.REFUSED)}  # (begin, end, what went wrong or "")
        self.strays = []
        self.cut = 0  # denied connections that ended without a page, as those that a reload meets
        self.datagrams = 0

    def start(self):
        for kind, pause in {**self.KINDS, **self.REFUSED}.items():
            if kind == "http2" and not self._world.http2:
                continue
            self._spawn(self._repeat, kind, pause)
        self._spawn(self._hammer)

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE * 4)
            assert not thread.is_alive(), "a client of the load does not end"

    def pause(self):
        """No attempt is under way after this, until resume()."""
        self._paused = True
        wait.until(lambda: not self._running, "the load to pause", PATIENCE * 3)

    def resume(self):
        self._paused = False

    @contextlib.contextmanager
    def disturbed(self):
        """Attempts that overlap this may fail. Datagrams to a denied address are sent without a pause meanwhile."""
        span = [time.monotonic(), None]
        with self._lock:
            self._disturbances.append(span)
        try:
            yield
        finally:
            span[1] = time.monotonic()

    def calm(self, kind, since=0.0):
        """Attempts of a kind that no disturbance overlapped."""
        with self._lock:
            spans = [(begin, end or float("inf")) for begin, end in self._disturbances]
        return [one for one in list(self.attempts[kind])
                if one[0] >= since and not any(one[0] < end and one[1] > begin for begin, end in spans)]  # fmt: skip

    def failures(self, since=0.0):
        """What went wrong with nothing to excuse it."""
        found = []
        for kind in self.attempts:
            wrong = [one for one in self.calm(kind, since) if one[2]]
            if wrong:
                found.append(f"{kind}: {len(wrong)} of {len(self.calm(kind, since))}, first {wrong[0][2]}")
        return found

    # --- Threads ---

    def _spawn(self, function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _repeat(self, kind, pause):
        action = getattr(self, "_" + kind.replace(" ", "_"))
        while not self._over.wait(pause):
            self._running.add(kind)
            if self._paused:
                self._running.discard(kind)
                continue
            begin, wrong = time.monotonic(), ""
            try:
                wrong = action() or ""
            except (OSError, AssertionError, ConnectionError, ValueError, IndexError) as error:
                wrong = repr(error)
                if kind in self.REFUSED and isinstance(error, (ConnectionError, ssl.SSLEOFError)):
                    self.cut, wrong = self.cut + 1, ""
            self.attempts[kind].append((begin, time.monotonic(), wrong))
            self._running.discard(kind)

    def _hammer(self):
        with self._world.lab.agent.entered():
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with link:
            link.setblocking(False)
            while True:
                busy = any(end is None for _, end in self._disturbances)
                if self._over.wait(BURST_EVERY if busy else QUIET_EVERY):
                    return
                for _ in range(DATAGRAMS):
                    with contextlib.suppress(OSError):
                        link.sendto(self._world.canary, (at.EV, UDP_PORT))
                self.datagrams += DATAGRAMS
                self._knock()

    def _knock(self):
        """One SYN to a denied port, without waiting for its answer."""
        with self._world.lab.agent.entered(), socket.socket() as link:
            link.setblocking(False)
            link.connect_ex((at.EV, TCP_PORT))

    # --- Allowed: each returns what went wrong ---

    def _expect(self, response, body):
        if response.status != 200 or not response.body.startswith(body):
            return f"{response.status} {response.body[:60]!r}"
        return ""

    def _http(self):
        return self._expect(web.http(self._world.lab.agent, "allowed.test", "/load", timeout=PATIENCE), b"AL")

    def _neighbour(self):
        return self._expect(web.http(self._world.lab.neighbour, "allowed.test", "/load", timeout=PATIENCE), b"AL")

    def _https(self):
        lab = self._world.lab
        return self._expect(web.https(lab.agent, "allowed.test", lab.ca.certificate, "/load", timeout=PATIENCE), b"AL")

    def _inspected(self):
        world = self._world
        return self._expect(web.https(world.lab.agent, INSPECTED, world.ca, "/load", timeout=PATIENCE), b"WILD")

    def _http2(self):
        world = self._world
        with http2_wire.linked(world.lab.agent, at.SPARE, HTTP2_HOST, world.ca) as link:
            for stream in (1, 3, 5):
                link.send(http2_wire.get(stream, HTTP2_HOST, "/ok/load"))
                how, _ = link.end_of(stream)
                if how != "end":
                    return how
        return ""

    def _dns(self):
        name = f"n{secrets.token_hex(6)}.wild.test"
        answer = web.resolve(self._world.lab.agent, name)
        if answer is None or answer.addresses() != [at.WILD]:
            return "no answer" if answer is None else f"rcode {answer.rcode}"
        return ""

    # --- Denied: passing is a stray, a refusal is right (a page, or an end), silence is wrong ---

    def _judge(self, response, what):
        if response.status != 403:
            self.strays.append(f"{what} was answered {response.status}")
        return ""

    def _denied_http(self):
        path = "/" + self._world.canary.decode()
        return self._judge(web.http(self._world.lab.agent, DENIED, path, at.EV, timeout=PATIENCE), "denied http")

    def _denied_https(self):
        world = self._world
        path = "/" + world.canary.decode()
        return self._judge(web.https(world.lab.agent, DENIED, world.ca, path, at.EV, timeout=PATIENCE), "denied https")

    def _denied_dns(self):
        name = f"{self._world.canary.decode()}.{secrets.token_hex(4)}.evil.test"
        answer = web.resolve(self._world.lab.agent, name, dns_wire.A)
        if answer is None:
            return "no answer"
        if answer.addresses() and not at.leads_to_refusal(answer.addresses()):
            self.strays.append(f"denied dns was answered {answer.addresses()}")
        return ""
