"""One case of the catalogue: what it sends, what must not be seen, and the control that must keep working.

What docs/threats.md says must hold, as methods that raise AssertionError. finish() asks the ones that hold for every case.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import secrets
import statistics
import threading
import time

from lab import addresses as at
from lab import packets, web

# Where the gateway itself may send on the outside: (address, protocol) to ports.
_LEGITIMATE = {
    **{(a, packets.TCP): {80, 443} for a in (at.AL, at.AL6, at.CDN, at.WILD, at.WILD6, at.RAW, at.SPARE)},
    **{(a, p): {53} for a in (at.NS, at.NS6) for p in (packets.TCP, packets.UDP)},
}
_SOURCES = {at.GWUP, at.GWUP6}


class Case:
    """From construction to finish(). `log` is the gateway's LogReader, or None where there is no gateway."""

    def __init__(self, lab, log=None):
        self.lab = lab
        self.log = log
        self.canary = secrets.token_hex(8)
        self.canary_may_leave = False  # set by cases that send it to an allowed host
        self.may_leave = set()  # further (address, protocol, port) that this case allows
        self.controls = 0
        self.start = lab.capture.mark()
        self.log_start = log.mark() if log else 0
        self._dns_start = lab.dns.mark()
        self._ev_start = lab.ev.mark()

    # --- Oracles ---

    def strays(self):
        """Packets that left and are not the gateway's own work for allowed hosts."""
        return [p for p in self.lab.capture.outgoing(self.start) if not self._legitimate(p)]

    def no_packet(self):
        """NOPKT: nothing on the outside but the gateway's own errands, nothing at the attacker, no canary."""
        strays = self.strays()
        assert not strays, f"{len(strays)} packets left, first {strays[0]}: {strays[0].frame[:96]!r}"
        leaked = self.lab.ev.since(self._ev_start)
        assert not leaked, f"the attacker received {leaked[:3]}"
        if not self.canary_may_leave:
            self.no_canary()

    def no_canary(self):
        found = self.lab.capture.contains(self.start, self.canary.encode())
        assert not found, f"the canary left in {found[0]}"

    def no_syn(self, mark=None):
        """NOSYN: nobody was dialled since `mark`, or since the case began."""
        syns = self.lab.capture.syns(self.start if mark is None else mark)
        assert not syns, f"dialled {syns[0]}"

    def no_query(self, text=None):
        """NOQ: the resolver was not asked about `text`, by default the canary."""
        asked = self.lab.dns.since(self._dns_start, text or self.canary)
        assert not asked, f"asked upstream: {asked[0].name} type {asked[0].qtype}"

    def one_record(self, **fields):
        """LOG1: exactly one decision record with these fields; returns it. Runs the control, to be behind it."""
        record = self.log.wait_for(self.log_start, type="decision", **fields)
        self.control()
        found = self.log.find(self.log_start, type="decision", **fields)
        assert len(found) == 1, f"{len(found)} records with {fields}: {found[:3]}"
        return record

    def record(self, **fields):
        """At least one decision record with these fields, waited for."""
        return self.log.wait_for(self.log_start, type="decision", **fields)

    # --- Control ---

    def control(self, scheme="http"):
        """An allowed request that must work, from the lookup to the origin's answer."""
        nonce = secrets.token_hex(8)
        mark = self.lab.al.mark()
        if scheme == "http":
            response = web.http(self.lab.agent, "allowed.test", f"/{nonce}")
        else:
            response = web.https(self.lab.agent, "allowed.test", self.lab.ca.certificate, f"/{nonce}")
        assert (response.status, response.body) == (200, b"AL\n"), (response.status, response.body[:200])
        assert self.lab.al.since(mark, nonce), "the control's request did not reach its origin"
        seen = any(p.destination == at.AL and p.protocol == packets.TCP for p in self.lab.capture.outgoing(self.start))
        assert seen, "the capture did not see the control: it proves nothing"
        self.controls += 1

    def finish(self):
        if not self.controls:
            self.control()
        self.no_packet()
        assert not self.log or not self.log.broken, f"not JSON in the log: {self.log.broken[:2]}"

    def _legitimate(self, packet):
        if (packet.destination, packet.protocol, packet.dport) in self.may_leave:
            return True
        ports = _LEGITIMATE.get((packet.destination, packet.protocol), ())
        return packet.source in _SOURCES and packet.dport in ports


class Live:
    """LIVE: controls in the background while something else goes on. `with Live(lab): …` asserts at the end.

    `namespace`: who is served; the neighbour shows that one agent's doings do not touch another.
    """

    def __init__(self, lab, namespace=None, p95=0.5, host="allowed.test"):
        self._lab = lab
        self._namespace = namespace or lab.agent
        self._p95 = p95
        self._host = host
        self._stop = threading.Event()
        self.seconds = []
        self.failures = []

    def __enter__(self):
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self._stop.set()
        self._thread.join(timeout=30)
        if kind is None:
            self.check()

    def check(self):
        assert not self.failures, f"{len(self.failures)} of {len(self.seconds)} controls failed: {self.failures[0]}"
        assert self.seconds, "no control was run meanwhile"
        # Of less than twenty the slowest is forgiven: one datagram lost to a full queue of the kernel costs a second.
        worst = statistics.quantiles(self.seconds, n=20)[18] if len(self.seconds) > 19 else sorted(self.seconds)[-2:][0]
        assert worst < self._p95, f"p95 of {len(self.seconds)} controls was {worst:.3f} s"

    def _loop(self):
        while not self._stop.is_set():
            begin = time.monotonic()
            try:
                response = web.http(self._namespace, self._host, "/live", timeout=5)
                if response.status != 200:
                    self.failures.append(response.status)
            except (OSError, AssertionError, ConnectionError) as error:
                self.failures.append(repr(error))
            self.seconds.append(time.monotonic() - begin)
            self._stop.wait(0.05)
