"""UDP `endpoints:`: relayed by name and by address, in both families, in router, sidecar and jail; answers only."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import socket
import subprocess
import threading

import pytest
import yaml

from lab import addresses as at
from lab import dns_wire as dns
from lab import gateway as gateways
from lab import page_examples, wait
from test_sidecar import Sidecar

threat = pytest.mark.threat

NTP, ECHO = 123, 7007
POLICY = f"""\
domains: [allowed.test]
endpoints:
  - {{host: allowed.test, port: {NTP}, protocol: udp}}
  - {{cidr: {at.SPARE}/32, ports: [{ECHO}, 443], protocol: udp}}
  - {{cidr: "{at.AL6}/128", port: {ECHO}, protocol: udp}}
"""


class Server:
    """Answers each datagram with its text and the datagram, from the address it was sent to."""

    def __init__(self, namespace, address, port, text):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with namespace.entered():
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((address, port))
        self.text = text
        self.seen = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                data, peer = self.socket.recvfrom(65536)
            except OSError:
                return
            self.seen.append((data, peer))
            if data != b"silence":
                self.socket.sendto(self.text + data, peer)

    def close(self):
        self.socket.close()


def exchange(namespace, address, port, data=b"hello", wait_s=3.0, link=None):
    """The answer, "nothing" or how it was refused."""
    with namespace.entered():
        one = link or socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(wait_s)
    try:
        one.sendto(data, (address, port))
        answer, peer = one.recvfrom(65536)
        return answer, peer[:2]
    except TimeoutError:
        return "nothing"
    except OSError:
        return "refused"
    finally:
        if link is None:
            one.close()


@pytest.fixture(scope="module")
def servers(lab):
    made = {
        "ntp": Server(lab.up, at.AL, NTP, b"ntp "),
        "echo": Server(lab.up, at.SPARE, ECHO, b"echo "),
        "quic": Server(lab.up, at.SPARE, 443, b"quic "),
        "echo6": Server(lab.up, at.AL6, ECHO, b"echo6 "),
        "other port": Server(lab.up, at.SPARE, ECHO + 1, b"no "),
        "other address": Server(lab.up, at.WILD, ECHO, b"no "),
        "unlisted ntp": Server(lab.up, at.WILD, NTP, b"no "),
    }
    yield made
    for one in made.values():
        one.close()


@pytest.fixture(scope="module", params=["router", "sidecar"])
def relay(request, lab, gateway_binary, tmp_path_factory, servers):
    """A gateway, and the namespace of its agent."""
    del gateway_binary, servers
    lab.reset_gateway_namespace()
    lab.gw.run("conntrack", "-D", "-p", "udp", check=False)  # flows of another gateway had the same ports
    kind = gateways.Gateway if request.param == "router" else Sidecar
    one = kind(lab, tmp_path_factory.mktemp("udp"), POLICY, arguments=["--workers", "2"])
    one.agents = lab.agent if request.param == "router" else lab.gw
    one.start()
    yield one
    one.stop()
    lab.reset_gateway_namespace()


def looked_up(relay, name="allowed.test"):
    with relay.agents.entered():
        assert dns.ask(at.NS, dns.question(name)).addresses()


def test_by_address_in_both_families(relay, servers):
    assert exchange(relay.agents, at.SPARE, ECHO) == (b"echo hello", (at.SPARE, ECHO))
    assert exchange(relay.agents, at.AL6, ECHO) == (b"echo6 hello", (at.AL6, ECHO))
    assert servers["echo"].seen[-1][1][0] == at.GWUP


def test_by_name_once_it_was_looked_up(relay):
    looked_up(relay)
    mark = relay.log.mark()
    assert exchange(relay.agents, at.AL, NTP, b"\x23" + bytes(47)) == (b"ntp \x23" + bytes(47), (at.AL, NTP))
    record = relay.log.wait_for(mark, type="decision", phase="packet", action="allowed", port=NTP)
    assert (record["host"], record["port"], record["reason"]) == ("allowed.test", NTP, "endpoint_allowed"), record


def test_one_socket_with_several_destinations_gets_each_answer_from_its_own(relay):
    looked_up(relay)
    with relay.agents.entered():
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with link:
        for _ in range(3):
            assert exchange(relay.agents, at.SPARE, ECHO, b"a", link=link) == (b"echo a", (at.SPARE, ECHO))
            assert exchange(relay.agents, at.AL, NTP, b"b", link=link) == (b"ntp b", (at.AL, NTP))


def test_a_large_datagram_arrives_whole(relay):
    data = bytes(range(256)) * 32
    assert exchange(relay.agents, at.SPARE, ECHO, data)[0] == b"echo " + data


@threat("T001")
def test_what_is_not_listed_does_not_leave(relay, servers):
    looked_up(relay, "sub.wild.test")
    mark = relay.log.mark()
    refused = [exchange(relay.agents, *to, wait_s=0.4) for to in ((at.SPARE, ECHO + 1), (at.WILD, ECHO), (at.WILD, 443))]
    assert exchange(relay.agents, at.WILD, NTP, wait_s=0.4) in ("nothing", "refused"), "the port is listed, of another name"
    assert set(refused) <= {"nothing", "refused"}
    assert not any(servers[name].seen for name in ("other port", "other address", "unlisted ntp"))
    denied = relay.log.wait_for(mark, type="decision", phase="packet", action="blocked", port=NTP)
    assert denied["reason"] == "endpoint_not_allowed" and denied["destination"] == f"{at.WILD}:{NTP}", denied
    assert exchange(relay.agents, at.SPARE, ECHO)[0] == b"echo hello", "the control"


def test_quic_passes_only_where_the_port_is_listed(relay):
    assert exchange(relay.agents, at.SPARE, 443)[0] == b"quic hello"


@threat("T001")
def test_only_the_destination_answers(relay, servers, lab):
    with relay.agents.entered():
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with link:
        assert exchange(relay.agents, at.SPARE, ECHO, link=link)[0] == b"echo hello"
        outside = servers["echo"].seen[-1][1]
        with lab.up.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((at.WILD, 0))
            stranger.sendto(b"forged", outside)
        assert exchange(relay.agents, at.SPARE, ECHO, b"again", link=link)[0] == b"echo again"


@threat("T001")
def test_the_listener_itself_leads_nowhere(relay, lab):
    ports = {int(line.split()[3].rsplit(":", 1)[1]) for line in lab.gw.run("ss", "-Hlun").stdout.splitlines()}
    for port in ports - {NTP}:
        assert exchange(relay.agents, at.GW if relay.agents is lab.agent else "127.0.0.1", port, wait_s=0.2) in ("nothing", "refused")


def test_a_flood_of_flows_is_bounded_and_others_go_on(relay, servers):
    before = len(servers["echo"].seen)
    with relay.agents.entered():
        links = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(400)]
    for link in links:
        link.sendto(b"silence", (at.SPARE, ECHO))
    known = links[0]
    assert exchange(relay.agents, at.SPARE, ECHO, b"still", link=known)[0] == b"echo still", "a flow that has begun goes on"
    begun = len(servers["echo"].seen) - before
    assert 50 <= begun <= 300, begun
    for link in links:
        link.close()
    wait.until(lambda: exchange(relay.agents, at.SPARE, ECHO, wait_s=0.3) != "nothing", "room for a new flow", 5)


def test_a_reload_ends_what_it_denies(relay):
    with relay.agents.entered():
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with link:
        wait.until(lambda: exchange(relay.agents, at.SPARE, ECHO, wait_s=0.3, link=link) != "nothing", "a flow", 5)
        relay.reload("domains: [allowed.test]\n")
        assert exchange(relay.agents, at.SPARE, ECHO, wait_s=0.5, link=link) in ("nothing", "refused")
        relay.reload(POLICY)
    assert exchange(relay.agents, at.SPARE, ECHO)[0] == b"echo hello"


ASK = """
import json, socket, sys
out = []
for host, port in json.loads(sys.argv[1]):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
    try:
        s.connect((host, port)); s.send(b"hello"); out.append(s.recv(100).decode())
    except OSError as error: out.append(type(error).__name__)
print(json.dumps(out))
"""


def in_a_jail(lab, binary, folder, policy, *targets, args=()):
    (folder / "policy.yaml").write_text(policy)
    command = [binary, "run", "--policy", str(folder / "policy.yaml"), "--resolver", at.NS, *args, "--"]
    done = subprocess.run(
        lab.gw.command(*command, "/usr/bin/python3", "-c", ASK, json.dumps(targets)), capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_in_a_jail(lab, gateway_binary, tmp_path, servers):
    lab.reset_gateway_namespace()
    before = len(servers["other address"].seen)
    got = in_a_jail(lab, gateway_binary, tmp_path, POLICY, (at.SPARE, ECHO), (at.AL6, ECHO), ("allowed.test", NTP), (at.WILD, ECHO), (at.SPARE, ECHO + 1))
    assert got[:3] == ["echo hello", "echo6 hello", "ntp hello"]
    assert set(got[3:]) <= {"PermissionError", "ConnectionRefusedError", "TimeoutError", "OSError"}, got
    assert len(servers["other address"].seen) == before


def test_a_host_service_in_a_jail(lab, gateway_binary, tmp_path):
    server = Server(lab.gw, "127.0.0.1", ECHO, b"host ")
    policy = f"endpoints:\n  - {{host: host.gateway.internal, port: {ECHO}, protocol: udp}}\n"
    assert in_a_jail(lab, gateway_binary, tmp_path, policy, ("host.gateway.internal", ECHO), ("127.0.0.1", ECHO)) == ["host hello", "ConnectionRefusedError"]
    server.close()


def test_the_page_example_lists_what_its_text_says(lab, gateway_binary, tmp_path):
    del lab
    example = page_examples.block("docs/networks.md", "UDP services")
    (tmp_path / "policy.yaml").write_text(example)
    for endpoint in yaml.safe_load(example)["endpoints"]:
        host = endpoint.get("host") or endpoint["cidr"].split("/")[0]
        for port in endpoint.get("ports") or [endpoint["port"]]:
            asked = [gateway_binary, "explain", "--policy", str(tmp_path / "policy.yaml"), f"udp://{host}:{port}"]
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
            assert done.returncode == 0 and "allowed" in done.stdout, done.stdout + done.stderr
