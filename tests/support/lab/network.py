"""The laboratory: agents on one network, the outside world on another, and between them whatever is being tested.

        agent eth0 ─┐
                    ├─ switch ─ ag0 gateway up0 ─── out0 outside (origins, resolver, attacker)
    neighbour eth0 ─┘

Nothing here is visible outside the namespaces of this run.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import shutil
import subprocess
import tempfile
from pathlib import Path

from lab import addresses as at
from lab import agent as agents
from lab import wait
from lab.capture import Capture
from lab.catchall import CatchAll
from lab.certificates import Authority
from lab.nameserver import NameServer
from lab.netns import Namespace, Reaper, remove_left_over, unique_prefix
from lab.origin import Origin
from lab.rawserver import RawServer


class Lab:
    """Made at construction, gone after close(): namespaces, servers, a folder, agent processes."""

    def __init__(self):
        remove_left_over()
        self._prefix = unique_prefix()
        self._reaper = Reaper(self._prefix)
        self.folder = Path(tempfile.mkdtemp(prefix="soleroute-lab-"))
        self.folder.chmod(0o755)
        self._agents = {}
        self._closers = []
        self.namespaces = []
        self.router = None  # the gateway of the module under test, if it has one
        try:
            self._make_namespaces()
            self._make_servers()
        except BaseException:
            self.close()
            raise

    def close(self):
        for closer in reversed(self._closers):
            closer()
        for process in self._agents.values():
            process.close()
        for namespace in self.namespaces:
            namespace.delete()
        self._reaper.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- Namespaces ---

    @property
    def prefix(self):
        """What the names of all namespaces of this laboratory begin with."""
        return self._prefix

    def _namespace(self, role):
        namespace = Namespace(f"{self._prefix}-{role}")
        self.namespaces.append(namespace)
        return namespace

    def _make_namespaces(self):
        self.agent = self._namespace("agent")
        self.neighbour = self._namespace("neighbour")
        self.switch = self._namespace("switch")
        self.gw = self._namespace("gw")
        self.up = self._namespace("up")
        self._make_agents_network()
        self._make_outside_network()

    def _make_agents_network(self):
        self.switch.ip("link", "add", "br0", "type", "bridge")
        self.switch.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        self.switch.ip("link", "set", "br0", "up")
        for namespace, name, address, address6 in (
            (self.agent, "eth0", at.AG, at.AG6),
            (self.neighbour, "eth0", at.NEIGHBOUR, at.NEIGHBOUR6),
            (self.gw, "ag0", at.GW_OWN, at.GW_OWN6),
        ):
            port = f"p{len(self.switch.ip('-o', 'link').splitlines())}"
            self.switch.ip("link", "add", port, "type", "veth", "peer", "name", name, "netns", namespace.name)
            self.switch.ip("link", "set", port, "master", "br0", "up")
            self._address(namespace, name, f"{address}/24", f"{address6}/64")
        for namespace in (self.agent, self.neighbour):
            namespace.ip("route", "add", "default", "via", at.GW)
            namespace.ip("-6", "route", "add", "default", "via", at.GW6)
            namespace.etc("resolv.conf", f"nameserver {at.GW}\noptions timeout:2 attempts:1\n")
            namespace.sysctl("net.ipv4.ping_group_range", "0 2147483647")
            namespace.sysctl("net.ipv4.tcp_fastopen", 1)

    def _make_outside_network(self):
        self.gw.ip("link", "add", "up0", "type", "veth", "peer", "name", "out0", "netns", self.up.name)
        self._address(self.gw, "up0", f"{at.GWUP}/24", f"{at.GWUP6}/64")
        v4 = [at.AL, at.CDN, at.WILD, at.RAW, at.SPARE, at.NS, at.EV]
        v6 = [at.AL6, at.WILD6, at.NS6, at.EV6]
        self._address(self.up, "out0", *[f"{a}/24" for a in v4], *[f"{a}/64" for a in v6])
        # So that what should never leave has somewhere to go.
        self.gw.ip("route", "add", "default", "via", at.NS)
        self.gw.ip("-6", "route", "add", "default", "via", at.NS6)
        self.up.ip("route", "add", "10.77.0.0/24", "via", at.GWUP)
        self.up.ip("-6", "route", "add", "fd77::/64", "via", at.GWUP6)
        self.gw.sysctl("net.ipv4.ping_group_range", "0 2147483647")
        self.gw.etc("resolv.conf", f"nameserver {at.NS}\n")
        # BLACKHOLE answers ARP and nothing else.
        self._address(self.up, "out0", f"{at.BLACKHOLE}/24")
        self.up.nft(f"table ip hole {{\nchain in {{\ntype filter hook input priority 0\nip daddr {at.BLACKHOLE} drop\n}}\n}}\n")

    @staticmethod
    def _address(namespace, interface, *prefixes):
        namespace.sysctl(f"net.ipv6.conf.{interface}.accept_dad", 0)
        namespace.ip("link", "set", interface, "up")
        for prefix in prefixes:
            namespace.ip("address", "add", prefix, "dev", interface, *(["nodad"] if ":" in prefix else []))

    def forget_neighbours(self):
        """After somebody took or gave up an address: nobody need wait for an old failure to be forgotten."""
        for namespace in (self.agent, self.neighbour):
            namespace.ip("neigh", "flush", "dev", "eth0")

    # --- Servers ---

    def _make_servers(self):
        self.ca = Authority(self.folder / "ca")
        self.dns = NameServer(self.up, [at.NS, at.NS6])
        self.dns.set("allowed.test", a=[at.AL])
        self.dns.set("cdn-allowed.test", a=[at.CDN])
        self.dns.set("cdn-denied.test", a=[at.CDN])
        self.dns.set_below("wild.test", a=[at.WILD])
        self.dns.set("dual.wild.test", a=[at.WILD], aaaa=[at.WILD6])
        self.dns.set("six.wild.test", aaaa=[at.WILD6])
        self.dns.set("hole.wild.test", a=[at.BLACKHOLE])
        for evil in ("evil.test", "denied.test"):
            self.dns.set_below(evil, a=[at.EV], aaaa=[at.EV6])
        issue = self.ca.issue
        self.al = Origin(self.up, "AL", [at.AL, at.AL6], issue("allowed.test"))
        self.cdn = Origin(self.up, "CDN", [at.CDN], issue("cdn-allowed.test", "cdn-denied.test"))
        self.wild = Origin(self.up, "WILD", [at.WILD, at.WILD6], issue("wild.test", "*.wild.test"))
        self.raw = RawServer(self.up, at.RAW, (80, 443))
        self.dns.set("raw.wild.test", a=[at.RAW])
        self.dns.set("spare.wild.test", a=[at.SPARE])
        self.ev = CatchAll(self.up, [at.EV, at.EV6])
        self.capture = Capture(self.gw, "up0")
        self._closers = [server.close for server in (self.dns, self.al, self.cdn, self.wild, self.raw, self.ev, self.capture)]

    # --- Agents ---

    def agent_of(self, kind):
        """The agent process with these privileges, started when first wanted."""
        if kind not in self._agents:
            self._agents[kind] = agents.Agent(self.agent, kind)
        return self._agents[kind]

    def client_command(self, *command, namespace=None):
        """A program as an ordinary user in the agent's container."""
        return (namespace or self.agent).command(*agents.privileges("U"), *command)

    def run_client(self, *command, timeout=60, **environment):
        """The same, run to its end with these variables set: (exit status, all its output)."""
        setting = ["env", *(f"{name}={value}" for name, value in environment.items())] if environment else []
        done = subprocess.run(self.client_command(*setting, *command), capture_output=True, text=True, timeout=timeout, check=False)
        return done.returncode, done.stdout + done.stderr

    # --- Without a gateway, to see that the oracles can fail ---

    def forward_everything(self):
        """Plain kernel forwarding, with the outside resolver behind the route address."""
        self._claim()
        self.gw.nft(
            "table inet plain {\nchain n {\ntype nat hook prerouting priority -100\n"
            f"ip daddr {at.GW} udp dport 53 dnat ip to {at.NS}\nip daddr {at.GW} tcp dport 53 dnat ip to {at.NS}\n}}\n}}\n"
        )
        self.gw.sysctl("net.ipv4.ip_forward", 1)
        self.gw.sysctl("net.ipv6.conf.all.forwarding", 1)

    def drop_everything(self):
        """A gateway that denies all and serves nothing: the cheat that the controls are there to catch."""
        self._claim()
        self.gw.nft("table inet plain {\nchain i {\ntype filter hook prerouting priority -300\niifname ag0 drop\n}\n}\n")

    def reset_gateway_namespace(self):
        """Nothing of a former gateway is left: rules, claimed addresses, forwarding."""
        self.gw.run("nft", "flush", "ruleset")
        for address in (f"{at.GW}/24", f"{at.GW6}/64"):
            self.gw.run("ip", "address", "del", address, "dev", "ag0", check=False)
        self.gw.sysctl("net.ipv4.ip_forward", 0)
        self.gw.sysctl("net.ipv6.conf.all.forwarding", 0)
        self.forget_neighbours()

    def _claim(self):
        for prefix in (f"{at.GW}/24", f"{at.GW6}/64"):
            self._address(self.gw, "ag0", prefix)
        self.forget_neighbours()

    def wait_reachable(self):
        """The route address answers ARP for the agent."""
        wait.until(lambda: self.agent_of("U").call("neighbour_mac", at.GW), "the route address to answer ARP")
