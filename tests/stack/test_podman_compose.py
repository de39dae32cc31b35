"""A project under Podman: Compose against `podman system service`, with what `init --engine podman` writes."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import secrets
from pathlib import Path

import pytest

import podman as podmen
import probes
from lab import addresses as at
from lab import wait
from project import POLICY, Project

threat = pytest.mark.threat


class PodmanProject(Project):
    """As docs/compose.md says to set it up and to take it down."""

    def __init__(self, service, images, folder):
        super().__init__(service, images, folder, options=("--engine", "podman"))

    def up(self, *arguments):
        with self.engine.health_checks():
            super().up(*arguments)

    def down(self, *arguments):
        self.forget_shells()
        if not self.container("proxy"):
            return
        self.compose("rm", "-fs", "agent", "agent-guard")
        self.compose("down", "-t", "3", *arguments)


@pytest.fixture(scope="module")
def service(podman, engine):
    one = podmen.Service(podman)
    one.compose_program = engine.compose_program
    yield one
    one.close()


def left(podman):
    """Containers, volumes, networks and links that there are."""
    listed = [podman.podman(*command.split()).stdout.split() for command in ("ps -aq", "volume ls -q", "network ls -q")]
    links = podman.world.host.run("ip", "-br", "link").stdout
    return [sorted(names) for names in (*listed, [line.split()[0] for line in links.splitlines()])]


def goes_down_without_a_trace(project, podman, before):
    """Network namespaces too, known by their files: the machine may have others of another Podman."""
    keys = [podman.inspect(container)["NetworkSettings"]["SandboxKey"] for container in project.containers()]
    namespaces = [Path(key) for key in keys if key]
    assert left(podman) != before and namespaces and all(path.exists() for path in namespaces)
    project.down("-v")
    wait.until(lambda: left(podman) == before and not any(path.exists() for path in namespaces), "everything to be gone", 30)


@pytest.fixture(scope="module")
def before(podman):
    podman.podman("run", "--rm", "--network", "podman", "--entrypoint", "true", "soleroute/base:0.1.0")  # makes the default bridge
    return left(podman)


@pytest.fixture(scope="module")
def project(service, images, before, tmp_path_factory):
    del before
    one = PodmanProject(service, images, tmp_path_factory.mktemp("podman"))
    one.up()
    one.trust_origins()
    yield one
    one.down("-v")


@pytest.fixture(params=["dev", "root"])
def user(request):
    return request.param


def works(project):
    done = project.agent("curl", "-sS", "-m", "5", "http://allowed.test/", check=False)
    return (done.returncode, done.stdout) == (0, "AL\n")


def in_namespace_of(project, service, source, argument):
    """A probe of this machine's, in the network namespace of one of the project's services."""
    process = project.engine.inspect(project.container(service))["State"]["Pid"]
    return json.loads(project.engine.nsenter(process, "/usr/bin/python3", "-c", source, argument))


def test_an_allowed_host_answers_and_a_denied_one_is_refused_with_its_page(project):
    assert project.health("proxy") == project.health("agent-guard") == "healthy"
    for scheme in ("http", "https"):
        assert project.agent("curl", "-sS", f"{scheme}://allowed.test/").stdout == "AL\n"
        refused = project.agent("curl", "-sS", "-w", "%{http_code}", f"{scheme}://denied.test/").stdout
        assert refused.startswith("Blocked by proxy policy: denied.test") and refused.endswith("403"), scheme
    blocked = [record for record in project.decisions() if record["type"] == "decision" and record.get("host") == "denied.test"]
    assert blocked and {record["action"] for record in blocked} == {"blocked"}


def test_the_same_command_again_changes_nothing(project):
    before = project.containers()
    project.compose("up", "-d")
    assert project.containers() == before


@threat("T001", "T002", "T013", "T020")
def test_the_agent_is_held(project, world, user):
    mark, canary = world.ev.mark(), secrets.token_hex(8)
    machine = project.engine.inspect(project.container("proxy"))["NetworkSettings"]["Networks"][f"{project.name}_egress"]["Gateway"]
    hosts = (at.EV, at.AL, machine, f"{project.net}.3", project.gateway)
    assert set(project.python(probes.TCP, json.dumps([[host, port, canary] for host in hosts for port in (22, 853, 9999)]), user=user)) == {"refused"}
    assert "answered" not in project.python(probes.UDP, json.dumps([[at.EV, port, canary] for port in (80, 123, 443, 9999)]), user=user)
    said = project.python(probes.RAW, json.dumps([at.EV, canary]), user=user)
    assert said["mark"] == said["packet"] == said["icmp"] == said["gre"] == "PermissionError1"
    assert world.ev.since(mark) == [] and works(project)
    # The control: the gateway's own container reaches it.
    assert in_namespace_of(project, "proxy", probes.TCP, json.dumps([[at.EV, 9999, "control"]])) == ["connected"]
    wait.until(lambda: world.ev.since(mark), "the control to arrive")


@threat("T012")
def test_rules_routes_and_powers_are_not_the_agents(project, user):
    for command in (f"ip route replace default via {project.net}.3", f"ip addr add {project.net}.77/24 dev eth0", "ip link set eth0 down",
                    "nft flush ruleset", "sysctl -w net.ipv4.ip_forward=1", f"unshare -rn curl -sS -m 3 http://{at.AL}/"):  # fmt: skip
        assert project.agent(*command.split(), user=user, check=False).returncode != 0, command
    powers = project.python(probes.POWERS, user=user)
    assert powers.pop("NoNewPrivs") == "1" and set(powers.values()) == {"0" * 16}, powers
    assert project.agent("gateway", "reload", user=user, check=False).returncode == 3, "it has nobody to ask"
    assert works(project)


@threat("T024")
def test_the_agents_network_has_no_other_way_out(project, podman, world):
    """What is attached to it, with nobody's rules and all of Podman's usual capabilities."""
    mark = world.ev.mark()
    image = "soleroute/base:0.1.0"

    def from_network(*network):
        run = ["run", "--rm", "--entrypoint", "python3", "--network", *network, image, "-c", probes.TCP, targets]
        return json.loads(podman.podman(*run).stdout)

    targets = json.dumps([[host, port, "leak"] for host in (at.EV, at.AL) for port in (22, 443)])
    assert "connected" not in from_network(f"{project.name}_inside", "--ip", f"{project.net}.9")
    assert world.ev.since(mark) == []
    assert from_network("podman").count("connected") == 3, "the control: all but the port that nobody listens on"


def test_an_edited_policy_is_in_force_after_a_reload(project):
    def reload():
        return project.engine.docker("exec", project.container("proxy"), "gateway", "reload", check=False)

    project.set_policy("domains: [a.wild.test]\n")
    assert ": 1 host, revision " in reload().stdout
    assert not works(project)
    project.set_policy("domains: 7\n")
    assert reload().returncode == 2 and not works(project)
    project.set_policy(POLICY)
    assert reload().returncode == 0 and works(project)


@threat("T027", "T028")
def test_without_the_proxy_nothing_passes_until_it_is_back(project, world):
    mark = world.ev.mark()
    project.compose("kill", "proxy")
    assert not works(project)
    targets = json.dumps([[host, port, "leak"] for host in (at.EV, at.AL) for port in (22, 80, 443)])
    assert "connected" not in project.python(probes.TCP, targets)
    assert "answered" not in project.python(probes.UDP, json.dumps([[at.NS, 53, "leak"], [project.gateway, 53, "leak"]]))
    assert world.ev.since(mark) == []
    project.compose("start", "proxy")
    wait.until(lambda: works(project), "the network to come back", 30)


def test_down_leaves_nothing(project, podman, before):
    goes_down_without_a_trace(project, podman, before)


def test_docker_compose_1_29_brings_it_up_leaves_it_alone_and_takes_it_down(service, compose_1, images, podman, before, tmp_path):
    one = PodmanProject(service, images, tmp_path)
    one.compose_program = compose_1
    try:
        one.up()
        assert works(one)
        assert one.agent("curl", "-sS", "https://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")
        containers = one.containers()
        one.compose("up", "-d")
        assert one.containers() == containers
        goes_down_without_a_trace(one, podman, before)
    finally:
        one.down("-v")
