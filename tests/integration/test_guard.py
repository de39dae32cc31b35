"""`gateway guard` in an agent's namespace: its packets leave through the gateway alone, and what is seen around it is said."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import signal
import socket
import subprocess

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import wait, web

threat = pytest.mark.threat


class Guard:
    """In the agent's namespace; what it leaves there is removed with it."""

    def __init__(self, lab, binary, folder, *options):
        self._lab = lab
        self._binary = binary
        self.control = folder / "guard.sock"
        self.log = folder / "log"
        command = lab.agent.command(binary, "guard", "--gateway", at.GW, "--control", str(self.control), *options)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait.until(lambda: self.said("healthy") or self.process.poll() is not None, "the guard to stand")
        assert self.process.poll() is None, self.log.read_text()

    def said(self, text):
        return text in self.log.read_text()

    def status(self):
        asked = [self._binary, "status", "--json", "--control", str(self.control)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)

    def reload(self):
        asked = [self._binary, "reload", "--control", str(self.control)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0

    def remove(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._lab.agent.run("nft", "delete", "table", "inet", "soleroute", check=False)


@pytest.fixture
def guard(lab, router, gateway_binary, tmp_path):
    del router
    made = []

    def make(*options):
        made.append(Guard(lab, gateway_binary, tmp_path, *options))
        return made[-1]

    yield make
    for one in made:
        one.remove()


def reaches(lab, host, port):
    with lab.agent.entered():
        try:
            socket.create_connection((host, port), timeout=2).close()
            return "connected"
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "nothing"


def works(lab):
    return web.http(lab.agent, "allowed.test", "/", at.AL).body == b"AL\n"


@threat("T016")
def test_a_neighbour_is_reached_before_and_refused_while_the_guard_stands(lab, guard):
    with lab.neighbour.entered():
        listener = socket.create_server((at.NEIGHBOUR, 0))
    port = listener.getsockname()[1]
    assert reaches(lab, at.NEIGHBOUR, port) == "connected"
    guard()
    assert reaches(lab, at.NEIGHBOUR, port) == "refused"
    assert works(lab)
    listener.close()


@threat("T170")
@pytest.mark.parametrize("kind", ["U", "R0"])
def test_no_program_sends_in_a_neighbours_name(lab, router, guard, kind):
    """T170: the kernel lets anybody send from any IPv6 address (IPV6_FREEBIND)."""
    question = dns.question(f"forged-{kind.lower()}.evil.test")
    agent = lab.agent_of(kind)
    mark = router.log.mark()
    agent.call("udp_from", at.NEIGHBOUR6, 0, at.GW6, 53, question, wait=0.1)
    router.log.wait_for(mark, type="decision", client=at.NEIGHBOUR6)  # without a guard it can be done
    guard("--gateway", at.GW6)
    mark = router.log.mark()
    for source in (at.NEIGHBOUR6, "2001:db8::bad"):
        assert agent.call("udp_from", source, 0, at.GW6, 53, question) == ("not permitted", b"")
    how, answer = agent.call("udp_from", at.AG6, 0, at.GW6, 53, dns.question("allowed.test"))
    assert how == "answer" and at.AL in dns.parse(answer).addresses()
    router.log.wait_for(mark, type="decision", client=at.AG6)
    assert not router.log.find(mark, client=at.NEIGHBOUR6)


@threat("T170")
def test_under_the_guard_a_new_ipv6_address_is_still_found_to_be_unique(lab, guard):
    """T170: what the kernel asks from :: is no forgery."""
    guard("--gateway", at.GW6)
    lab.agent.sysctl("net.ipv6.conf.eth0.accept_dad", 1)
    try:
        lab.agent.ip("address", "add", f"{at.NEIGHBOUR6}/64", "dev", "eth0")
        wait.until(lambda: "dadfailed" in lab.agent.ip("-6", "address", "show", "dev", "eth0"), "the neighbour to be heard")
    finally:
        lab.agent.sysctl("net.ipv6.conf.eth0.accept_dad", 0)
        lab.agent.run("ip", "address", "del", f"{at.NEIGHBOUR6}/64", "dev", "eth0", check=False)


@threat("T032")
def test_rules_that_somebody_removed_are_put_back(lab, guard):
    one = guard()
    assert one.status()[0] == 0
    lab.agent.run("nft", "flush", "ruleset")
    wait.until(lambda: one.said("nftables rules were changed by another program"), "the rules to be put back", 1.0)  # the kernel tells of it
    wait.until(lambda: one.status()[1]["rules"] == {"intended": "open", "differences": []}, "the status to say so")
    assert "table inet soleroute" in lab.agent.run("nft", "list", "tables").stdout
    assert works(lab)


@threat("T028")
def test_the_closed_rules_stay_when_it_is_stopped(lab, guard):
    one = guard()
    assert works(lab)
    one.stop()
    assert reaches(lab, at.AL, 80) == "nothing"


@threat("T010")
def test_a_packet_socket_in_the_namespace_is_noticed(lab, guard):
    one = guard()
    assert not one.said("packet socket")
    with lab.agent.entered():
        spy = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wait.until(lambda: one.said("1 packet socket is open in this network"), "the warning")
    spy.close()
    wait.until(lambda: not one.status()[1]["warnings"], "the warning to end")


def test_it_sets_the_default_route_where_it_is_told_to(lab, guard):
    before = lab.agent.ip("-4", "route", "show", "default").strip()
    lab.agent.ip("-4", "route", "del", "default")
    try:
        guard("--set-route")
        assert f"via {at.GW}" in lab.agent.ip("-4", "route", "show", "default")
        assert works(lab)
    finally:
        lab.agent.ip("-4", "route", "replace", *before.split())


def test_a_guard_without_a_gateway_is_a_usage_error(gateway_binary):
    done = subprocess.run([gateway_binary, "guard"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--gateway ADDR" in done.stderr


def test_a_reload_is_asked_for_as_of_a_gateway(lab, guard, tmp_path):
    policy = tmp_path / "guarded.yaml"
    policy.write_text("domains: [allowed.test]\n")
    one = guard("--policy", str(policy))

    def port_is_in_the_rules():
        return "5432" in lab.agent.run("nft", "list", "ruleset").stdout

    assert not port_is_in_the_rules()
    policy.write_text("endpoints: [{host: allowed.test, port: 5432, protocol: tcp}]\n")
    status, out, errors = one.reload()
    assert (status, errors) == (0, "") and out.endswith(": 1 endpoints, revision 2\n")
    assert port_is_in_the_rules()
    policy.write_text("endpoints: 5432\n")
    status, _, errors = one.reload()
    assert status == 2 and f"{policy}:1:" in errors
    assert port_is_in_the_rules(), "what held before holds"
