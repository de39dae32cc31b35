"""What the gateway depends on in its network: watched, put back, said, and not called healthy meanwhile."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import signal
import socket
import subprocess
import time

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import gateway as gateways
from lab import wait, web
from lab.case import Case

threat = pytest.mark.threat

SOON = 1.0  # seconds: what the kernel tells of is seen at once; the gateway's own watch alone would take two
FLUSH = "flush ruleset"


def has(lab, address, interface="ag0"):
    return f" {address}/" in lab.gw.ip("address", "show", "dev", interface)


def works_over(lab, server, address):
    """An allowed request passes, name and all, over the claimed address of this family."""
    lab.forget_neighbours()
    assert web.resolve(lab.agent, "allowed.test", server=server) is not None
    return web.http(lab.agent, "allowed.test", "/", address).body == b"AL\n"


def warned(one, text):
    status = one.status()
    return status["health"] == "degraded" and any(text in line for line in status["warnings"])


def is_well(one):
    status = one.status()
    return status["health"] == "healthy" and status["warnings"] == []


def exit_status(one, *options):
    command = [gateways.binary(), "status", *options, "--control", str(one.control)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, timeout=20, check=False).returncode


@contextlib.contextmanager
def hammering(lab, case, seconds):
    """The agent sends to the attacker without pause; afterwards nothing may have left."""
    agent = lab.agent_of("U")
    agent.start("hammer", at.EV, 9999, 9998, case.canary.encode(), seconds)
    try:
        yield
    finally:
        connects, datagrams = agent.result()
    assert connects + datagrams > 20, "the hammer struck"
    case.no_packet()


@threat("T172")
def test_a_claimed_address_that_goes_is_claimed_again_at_once(lab, make_gateway):
    """T172: whoever has forgotten the gateway could not ask for it otherwise."""
    one = make_gateway().start()
    case = Case(lab, one.log)
    for prefix in (f"{at.GW}/24", f"{at.GW6}/64"):
        mark = one.log.mark()
        lab.gw.ip("address", "del", prefix, "dev", "ag0")
        wait.until(lambda: has(lab, prefix.split("/")[0]), "the address to be back", SOON)
        one.log.wait_for(mark, type="error", message=lambda text: text and "restored" in text)
    assert works_over(lab, at.GW, at.AL)
    assert works_over(lab, at.GW6, at.AL6)
    wait.until(lambda: is_well(one), "health")
    case.control()


@threat("T172")
def test_while_another_machine_has_the_claimed_address_it_is_not_healthy(lab, make_gateway):
    """T172: what cannot be put back is said, until it can."""
    one = make_gateway().start()
    lab.neighbour.ip("address", "add", f"{at.GW}/24", "dev", "eth0")
    try:
        lab.gw.ip("address", "del", f"{at.GW}/24", "dev", "ag0")
        wait.until(lambda: warned(one, f"{at.GW}/24 was removed"), "the status to say so", SOON)
        assert not has(lab, at.GW), "two machines with one address help nobody"
        assert exit_status(one) == 1
        assert exit_status(one, "--alive") == 0, "a restart would not mend it"
    finally:
        lab.neighbour.ip("address", "del", f"{at.GW}/24", "dev", "eth0")
    wait.until(lambda: is_well(one), "the address to be claimed again", 3)
    assert works_over(lab, at.GW, at.AL)
    assert exit_status(one) == 0
    one.stop()
    assert exit_status(one, "--alive") == 3, "it does not answer"


@threat("T172")
def test_the_ipv6_address_comes_back_after_link_and_mtu_took_it(lab, make_gateway):
    """T172: the kernel forgets IPv6 addresses with their link, and where the MTU is too small for IPv6."""
    one = make_gateway().start()
    lab.gw.ip("link", "set", "ag0", "down")
    wait.until(lambda: warned(one, "ag0 is down"), "the status to say so", SOON)
    lab.gw.ip("link", "set", "ag0", "up")
    wait.until(lambda: has(lab, at.GW6) and is_well(one), "the address to be back", SOON)
    assert works_over(lab, at.GW, at.AL)
    assert works_over(lab, at.GW6, at.AL6)
    lab.gw.ip("link", "set", "ag0", "mtu", "576")
    try:
        wait.until(lambda: warned(one, f"{at.GW6}/64 was removed"), "the status to say so", SOON)
    finally:
        lab.gw.ip("link", "set", "ag0", "mtu", "1500")
    wait.until(lambda: has(lab, at.GW6) and is_well(one), "the address to be back", SOON)
    assert works_over(lab, at.GW6, at.AL6)
    lab.gw.ip("address", "add", f"{at.GW_OWN6}/64", "dev", "ag0", "nodad")  # the engine's, as it was


@threat("T172")
def test_the_route_to_the_agents_is_put_back_and_a_lost_way_out_is_said(lab, make_gateway):
    """T172: routes are watched too; the way out is not the gateway's to make."""
    one = make_gateway().start()
    lab.gw.ip("route", "del", "10.77.0.0/24", "dev", "ag0")
    wait.until(lambda: "10.77.0.0/24" in lab.gw.ip("route", "show", "dev", "ag0"), "the route to be back", SOON)
    assert works_over(lab, at.GW, at.AL)
    wait.until(lambda: is_well(one), "health")
    mark = one.log.mark()
    lab.gw.ip("route", "del", "default")
    try:
        wait.until(lambda: warned(one, f"no default route for IPv4 through {at.NS} any more"), "the status to say so", SOON)
    finally:
        lab.gw.ip("route", "add", "default", "via", at.NS)
    wait.until(lambda: is_well(one), "health", SOON)
    one.log.wait_for(mark, type="lifecycle", event="healthy")


FORWARDING = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.ag0.forwarding", "net.ipv6.conf.all.force_forwarding",
              "net.ipv6.conf.ag0.force_forwarding"]  # fmt: skip
OTHERS = {"net.ipv6.conf.ag0.accept_ra": "1", "net.ipv4.conf.all.accept_source_route": "1", "net.ipv4.conf.ag0.route_localnet": "1"}


@threat("T175")
def test_settings_that_somebody_changes_are_reset_at_once(lab, make_gateway):
    """T175: forwarding above all; with the rules gone too, nothing leaves but what fits into milliseconds."""
    one = make_gateway().start()
    case = Case(lab, one.log)
    changed = {key: "1" for key in FORWARDING} | OTHERS
    tried = 0
    for key, value in changed.items():
        with contextlib.suppress(FileNotFoundError):  # force_forwarding: since Linux 6.17
            mark = one.log.mark()
            lab.gw.sysctl(key, value)
            tried += 1
            # The kernel tells of forwarding; the rest is seen by the watch.
            wait.until(lambda: lab.gw.sysctl(key) == "0", key, SOON if "forwarding" in key or "ip_forward" in key else 3)
            one.log.wait_for(mark, type="error", message=lambda text: text and f"{key} was {value}" in text)
    assert tried >= 6
    wait.until(lambda: is_well(one), "health")
    case.control()
    case.finish()


@threat("T175", "T032")
def test_forwarding_turned_on_and_then_rules_flushed_let_nothing_out(lab, make_gateway):
    """T175: one fault after the other, each put back at once."""
    one = make_gateway().start()
    case = Case(lab, one.log)
    rules = lab.gw.run("nft", "-s", "list", "ruleset").stdout
    with hammering(lab, case, 1.0):
        lab.gw.sysctl("net.ipv4.ip_forward", 1)
        wait.until(lambda: lab.gw.sysctl("net.ipv4.ip_forward") == "0", "forwarding to be off", SOON)
        lab.gw.nft(FLUSH)
        wait.until(lambda: lab.gw.run("nft", "-s", "list", "ruleset").stdout == rules, "the rules to be back", SOON)
    case.control()


class Mounted(gateways.Gateway):
    """Started with other mounts, which `script` makes in a mount namespace of its own."""

    script = ""

    def start(self, healthy=True):
        run = self.lab.gw.command
        self.lab = Within(self.lab, lambda *args: run("unshare", "--mount", "sh", "-c", self.script + ' && exec "$@"', "sh", *args))
        try:
            return super().start(healthy)
        finally:
            self.lab = self.lab.lab


class Within:
    """The laboratory with another way to run programs in the gateway's namespace."""

    def __init__(self, lab, command):
        self.lab = lab
        self.gw = type("Namespace", (), {"command": staticmethod(command)})

    def __getattr__(self, name):
        return getattr(self.lab, name)


@pytest.fixture
def mounted(lab, make_gateway, tmp_path):
    del make_gateway  # for its care of the namespace
    made = Mounted(lab, tmp_path)
    yield made
    if made.process is not None:
        made.kill()


@pytest.fixture
def read_only(mounted):
    """/proc/sys as engines mount it."""
    mounted.script = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys"
    return mounted


@threat("T175")
def test_where_proc_is_read_only_ipv4_is_turned_off_all_the_same(lab, read_only):
    """T175: over netlink, interface by interface."""
    lab.gw.sysctl("net.ipv4.ip_forward", 1)
    assert lab.gw.sysctl("net.ipv4.conf.ag0.forwarding") == "1"
    read_only.start()
    case = Case(lab, read_only.log)
    assert lab.gw.sysctl("net.ipv4.conf.ag0.forwarding") == "0"
    assert lab.gw.sysctl("net.ipv4.ip_forward") == "1", "that is not to be written here"
    case.control()
    read_only.send_signal(signal.SIGSTOP)  # so that nothing puts the rules back
    try:
        with hammering(lab, case, 0.5):
            lab.gw.nft(FLUSH)
    finally:
        read_only.send_signal(signal.SIGCONT)


@threat("T175")
def test_forwarding_that_cannot_be_turned_off_is_no_start(lab, read_only):
    """T175: without its rules it would be an open router."""
    lab.gw.sysctl("net.ipv6.conf.all.forwarding", 1)
    read_only.start(healthy=False)
    assert read_only.process.wait(10) == 3
    wait.until(lambda: b"net.ipv6.conf.all.forwarding" in read_only.errors, "the reason", 2)
    case = Case(lab)
    with hammering(lab, case, 0.3):
        pass
    assert "hook forward" in lab.gw.run("nft", "list", "ruleset").stdout, "the closed rules stay"
    lab.gw.sysctl("net.ipv6.conf.all.forwarding", 0)
    read_only.start()
    Case(lab, read_only.log).control()


@threat("T177")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_a_client_that_keeps_its_socket_is_answered_after_a_restart(lab, make_gateway, how):
    """T177: connection tracking remembers where its questions went."""
    one = make_gateway().start()
    with lab.agent.entered():
        kept = [dns.connected(server) for server in (at.GW, "9.9.9.9", at.GW6)]
    for _ in range(4):
        for link in kept:
            assert at.AL in dns.ask_on(link, dns.question("allowed.test")).addresses()
        one.send_signal(how)
        one.process.wait(15)
        one.start()
    for link in kept:
        assert at.AL in dns.ask_on(link, dns.question("allowed.test")).addresses()
        link.close()


@threat("T177")
def test_a_connection_that_falls_into_the_start_is_neither_lost_nor_late(lab, make_gateway):
    """T177: it waits in the kernel for the workers, instead of for its own repetition a second later."""
    one = make_gateway().start()
    for _ in range(3):
        one.kill()
        one.start(healthy=False)
        slowest, answered = 0.0, False
        while not answered:
            begin = time.monotonic()
            with contextlib.suppress(ConnectionRefusedError):
                answered = web.http(lab.agent, "allowed.test", "/", at.AL, timeout=5).body == b"AL\n"
            slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 0.9
        one.wait_healthy()


@threat("T178")
def test_a_full_table_of_connections_is_said_with_its_numbers(lab, mounted, tmp_path):
    """T178: the kernel drops what begins then, the gateway's own questions too. Its limit is the machine's: another one is shown."""
    limit = tmp_path / "limit"
    limit.write_text("1000000\n")
    mounted.script = f"mount --bind {limit} /proc/sys/net/netfilter/nf_conntrack_max"
    mounted.start()
    assert is_well(mounted)
    with lab.agent.entered():
        links = [socket.create_connection((at.AL, 443)) for _ in range(8)]
    limit.write_text("8\n")
    wait.until(lambda: warned(mounted, "connection table is full"), "the status to say so", 3)
    assert any("of 8 entries" in line for line in mounted.status()["warnings"])
    limit.write_text("1000000\n")
    wait.until(lambda: is_well(mounted), "health", 3)
    for link in links:
        link.close()
    Case(lab, mounted.log).control()


TAKEN = {
    "notrack": ("table ip other {\nchain pre {\ntype filter hook prerouting priority raw - 1; policy accept;\nudp dport 53 notrack\n}\n}\n", True),
    "dnat": (f"table ip other {{\nchain pre {{\ntype nat hook prerouting priority -150; policy accept;\ntcp dport 80 dnat to {at.EV}:80\n}}\n}}\n", True),
    "an engine's dnat": (f"table ip other {{\nchain pre {{\ntype nat hook prerouting priority dstnat; policy accept;\ntcp dport 80 dnat to {at.EV}:80\n}}\n}}\n", False),
    "counting": ("table ip other {\nchain pre {\ntype filter hook prerouting priority raw - 1; policy accept;\nudp dport 53 counter\n}\n}\n", False),
}  # fmt: skip


@threat("T179")
@pytest.mark.parametrize(("rules", "taken"), TAKEN.values(), ids=TAKEN.keys())
def test_another_table_that_takes_packets_first_is_named(lab, make_gateway, rules, taken):
    """T179: closed, but of no use to its agents."""
    one = make_gateway().start()
    case = Case(lab, one.log)
    lab.gw.nft(rules)
    if taken:
        wait.until(lambda: warned(one, "table ip other, chain pre"), "the status to name it", SOON)
        case.no_packet()
    else:
        case.control()
        assert is_well(one)
    lab.gw.nft("delete table ip other")
    wait.until(lambda: is_well(one), "health", SOON)
    case.control()
    case.finish()


@threat("T174")
def test_answers_to_agents_do_not_leave_by_the_uplink_when_their_link_is_down(lab, make_gateway):
    """T174: without the route to the agents the kernel would send them by the default route, in clear."""
    one = make_gateway().start()
    case = Case(lab, one.log)
    case.control()
    with web.connected(lab.agent, at.AL, 80) as download:
        download.sendall(web.request_bytes("allowed.test", "/bytes/200000000"))
        assert download.recv(1000)
        mark = lab.capture.mark()
        lab.gw.ip("link", "set", "ag0", "down")
        try:
            lab.up.run("ping", "-c", "1", "-W", "1", at.GWUP, check=False)
            wait.until(lambda: retransmitting(lab), "the gateway to send again what is not acknowledged")
            strays = [p for p in lab.capture.outgoing(mark) if p.destination == at.AG]
            assert not strays, f"{len(strays)} answers left by the uplink, first {strays[0]}"
        finally:
            lab.gw.ip("link", "set", "ag0", "up")


def retransmitting(lab):
    """A connection to the agent has a packet that was sent more than twice."""
    shown = lab.gw.run("ss", "-Htni", "dst", at.AG).stdout
    return any(f"retrans:{n}/" in shown or f"backoff:{n}" in shown for n in range(2, 16))
