"""One laboratory with one gateway for all scenarios: controls, strays, recovery, and a fresh start after a failure."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import shutil
import time
from pathlib import Path

from lab import addresses as at
from lab import dns_wire, http2_origin, inspection, packets, wait, web
from lab.case import Case
from lab.network import Lab
from load import Load

POLICY = """\
domains:
  - allowed.test
  - cdn-allowed.test
  - {host: "*.wild.test", tls: inspect}
"""
TRY = 0.3  # seconds that one attempt of a recovery may take
PAUSE = 0.005  # between two attempts
_UNREACHABLE = 3  # an ICMP error: the kernel's answer to a datagram that came for a gateway that ended


class World:
    """Made at construction, gone after close(). Everything is in network namespaces of this process."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.lab = Lab()
        self.http2 = None
        self._made = 0
        self.gateway = self.load = None
        try:
            if shutil.which("node"):
                self.http2 = http2_origin.Http2Origin(self.lab)
            self._watch()
            self.fresh_gateway()
        except BaseException:
            self.close()
            raise
        self.load = Load(self)

    def close(self):
        if self.load:
            with contextlib.suppress(AssertionError):  # a client that does not end has been told of, or ends with its network
                self.load.stop()
        if self.gateway and self.gateway.process:
            self.gateway.kill()
        if self.http2:
            self.http2.close()
        self.lab.close()

    # --- The gateway ---

    def make_gateway(self, policy=POLICY, **options):
        """One not yet started, in a folder of its own."""
        self._made += 1
        folder = self.folder / f"gateway{self._made}"
        folder.mkdir()
        one = inspection.inspecting(self.lab, folder, policy)
        for name, value in options.items():
            setattr(one, name, value)
        return one

    def fresh_gateway(self):
        """Instead of the one there is, with nothing left of it."""
        if self.gateway and self.gateway.process:
            self.gateway.kill()
        self.lab.reset_gateway_namespace()
        self.gateway = self.make_gateway()
        self.gateway.start()
        inspection.publish(self.gateway)

    def repair(self):
        """After a scenario that failed half-way: the outside answers, the routes are there, nothing is blocked."""
        self.lab.dns.silent = self.lab.dns.failing = False
        self.gateway.log.resume()
        self.load.resume()
        self.put_back_outside()
        self.lab.gw.run("ip", "route", "replace", "10.77.0.0/24", "dev", "ag0", "src", at.GW_OWN, check=False)
        self.lab.gw.run("ip", "address", "add", f"{at.GW_OWN6}/64", "dev", "ag0", "nodad", check=False)

    def put_back_outside(self):
        """What the kernel drops with a link, as an engine or a DHCP client puts it back."""
        gw = self.lab.gw
        gw.run("ip", "address", "add", f"{at.GWUP6}/64", "dev", "up0", "nodad", check=False)
        gw.run("ip", "route", "replace", "45.33.32.0/24", "dev", "up0", "src", at.GWUP)
        gw.run("ip", "route", "replace", "default", "via", at.NS)
        gw.run("ip", "-6", "route", "replace", "default", "via", at.NS6)

    @property
    def ca(self):
        return self.gateway.ca_certificate

    @contextlib.contextmanager
    def another_gateway(self, one):
        """Another gateway in the place of the usual one, which starts again at the end."""
        self.gateway.stop()
        self.lab.reset_gateway_namespace()
        try:
            yield one
        finally:
            if one.process:
                one.kill()
            self.lab.reset_gateway_namespace()
            self.gateway.start()

    def start(self):
        """Starts the gateway again: (when it was healthy, when an allowed request passed), in seconds."""
        begin = time.monotonic()
        self.gateway.start(healthy=False)
        wait.until(self.gateway.healthy, "the gateway to be healthy", 20)
        healthy = time.monotonic() - begin
        return healthy, self.until_allowed(begin)

    # --- Controls ---

    def control(self):
        """Each agent makes an allowed request, by name, over http and over inspected https: how many passed."""
        passed = 0
        for agent in (self.lab.agent, self.lab.neighbour):
            for answer, body in ((web.http(agent, "allowed.test"), b"AL\n"), (web.https(agent, "control.wild.test", self.ca), b"WILD\n")):
                assert answer.body == body, f"the control was answered {answer.status} {answer.body[:60]!r}"
            passed += 2
        return passed

    def try_allowed(self, namespace=None, server=at.GW, address=None, name="allowed.test"):
        """One attempt, name looked up first: whether the origin answered."""
        namespace = namespace or self.lab.agent
        with namespace.entered():
            answer = dns_wire.ask(server, dns_wire.question(name), TRY)
        try:
            if answer is None or not answer.addresses():
                return False
            return web.http(namespace, name, "/recovery", address or answer.addresses()[0], timeout=TRY).status == 200
        except (OSError, AssertionError):
            return False

    def until_allowed(self, since, limit=30.0, **options):
        """Seconds from `since` (monotonic) to the first allowed request that passed."""
        wait.until(lambda: self.try_allowed(**options), "an allowed request to pass", limit, step=PAUSE)
        return time.monotonic() - since

    # --- What left ---

    def _watch(self):
        self._case = Case(self.lab)
        self.canary = self._case.canary.encode()

    def take_strays(self):
        """What reached a denied destination, or left for one, since the last call; lets go of what was captured."""
        end = self.lab.capture.mark()
        found = [str(packet) for packet in self._case.strays() if not self._late_answer(packet)]
        found += [f"the canary left in {packet}" for packet in self.lab.capture.contains(self._case.start, self.canary)]
        found += [f"the denied host received {transport} {data[:40]!r}" for transport, _, data in _taken(self.lab.ev.events)]
        asked = [one.name for one in _taken(self.lab.dns.asked)]
        found += [f"the resolver was asked for {name}" for name in asked if name.endswith((".evil.test", ".denied.test"))]
        found += _taken(self.load.strays) if self.load else []
        for origin in (self.lab.al, self.lab.cdn, self.lab.wild):
            _taken(origin.requests)
        self._case.start = self.lab.capture.forget(end)
        return found

    def _late_answer(self, packet):
        kinds = {packets.ICMP: _UNREACHABLE, packets.ICMP6: 1}
        return (packet.source in (at.GWUP, at.GWUP6) and packet.destination in (at.NS, at.NS6, at.AL, at.WILD)
                and packet.icmp_type == kinds.get(packet.protocol))  # fmt: skip

    # --- Rules ---

    def rules(self):
        """The gateway's table in the kernel, without counters."""
        return self.lab.gw.run("nft", "-s", "list", "table", "inet", "soleroute", check=False).stdout

    def block_outside(self, name, rule):
        """A rule in the outside world, as a context manager: servers stop answering, connections stay open."""
        return _rule(self.lab.up, name, "input", -10, rule)

    def block_inside(self, name, hook, priority, rule):
        """A rule of another program in the gateway's namespace, as a context manager."""
        return _rule(self.lab.gw, name, hook, priority, rule)


def _taken(entries):
    """What a list holds, taken out of it; what a thread appends meanwhile stays."""
    found = list(entries)
    del entries[: len(found)]
    return found


@contextlib.contextmanager
def _rule(namespace, name, hook, priority, rule):
    table = f"soak_{name}"
    namespace.nft(f"table inet {table} {{\nchain c {{\ntype filter hook {hook} priority {priority}\n{rule}\n}}\n}}\n")
    try:
        yield
    finally:
        namespace.nft(f"delete table inet {table}\n")
