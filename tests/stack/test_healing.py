"""What is restarted, killed, stopped or paused, in any order: the stack heals by itself, or by the one command that is said.

Meanwhile the agent's command tries to reach a service of the machine, which only the guard's rules keep from it.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import signal

import pytest

import healing
import probes
from lab import wait
from project import Project

threat = pytest.mark.threat

SERVICES = ("proxy", "agent-net", "agent-guard", "agent")
HEAL_SECONDS = 90

# Every loop of the agent's command: a connection that must never be made.
COMMAND = "import socket, time\\nwhile True:\\n  time.sleep(0.05)\\n  try: socket.create_connection(('{bridge}', {port}), 0.2)\\n  except OSError: pass\\n"


class Stack:
    def __init__(self, project, service, port):
        self.project, self.engine, self.service, self.port = project, project.engine, service, port

    def works(self):
        return healing.works(self.project, self.port)

    def heals(self, after):
        wait.until(self.works, f"the stack to heal after: {after}", HEAL_SECONDS, step=0.2)

    def compose(self, *arguments):
        self.project.compose(*arguments, check=False)

    def started(self, service):
        return healing.started(self.project, service)


@pytest.fixture(scope="module")
def stack(engine, images, world, tmp_path_factory):
    one = Project(engine, images, tmp_path_factory.mktemp("healing") / "My [web] site")  # a name that people give
    port = 7391
    command = COMMAND.format(bridge=one.bridge, port=port)
    (one.folder / ".devcontainer/command.yaml").write_text(f'services: {{agent: {{command: [python3, -c, "{command}"]}}}}\n')
    one.set_environment(COMPOSE_FILE=".devcontainer/compose.yaml:.devcontainer/command.yaml")
    service = world.host_service(port)
    one.up()
    yield Stack(one, service, port)
    one.down("-v")
    service.close()


@pytest.fixture(autouse=True)
def _nothing_passes_meanwhile(stack, world):
    mark = world.ev.mark()
    yield
    assert stack.service.connections == 0, "the agent ran without the guard's rules"
    assert world.ev.since(mark) == []


def test_the_control_a_container_without_a_guard_reaches_the_service(stack, world):
    run = ["run", "--rm", "--network", f"{stack.project.name}_inside", "--entrypoint", "python3", "soleroute/base:0.1.0", "-c", probes.TCP]
    service = world.host_service(stack.port + 1)
    answer = stack.engine.docker(*run, json.dumps([[stack.project.bridge, stack.port + 1, "control"]])).stdout
    service.close()
    assert json.loads(answer) == ["connected"]
    assert stack.works()


@threat("T028")
@pytest.mark.parametrize("service", SERVICES)
def test_one_service_restarted(stack, service):
    stack.compose("restart", "-t", "2", service)
    stack.heals(f"restart {service}")


@threat("T027", "T028")
@pytest.mark.parametrize("services", [("proxy",), ("agent-guard",), ("agent",), ("agent-net",), ("agent-net", "agent-guard"), ("agent", "agent-net"),
                                      ("agent-guard", "proxy"), SERVICES])  # fmt: skip
def test_crashes(stack, services):
    healing.crash(stack.project, *services)
    stack.heals(f"kill -9 of {services}")


@pytest.mark.parametrize("service", SERVICES)
def test_one_service_paused(stack, service):
    before = stack.started(service)
    stack.compose("pause", service)
    stack.compose("unpause", service)
    stack.heals(f"pause and unpause of {service}")
    assert stack.started(service) == before, "nothing was restarted for it"


def test_all_services_restarted(stack):
    stack.compose("restart", "-t", "2")
    stack.compose("up", "-d")  # docker-compose 1.29 restarts all at once, and some before what they join
    stack.heals("restart of all")


def test_a_stopped_owner_is_named_and_its_start_heals(stack):
    """Those who joined it must not end while it is stopped: the engine would refuse to start them, and not try again."""
    agent, guard = stack.started("agent"), stack.started("agent-guard")
    stack.compose("stop", "-t", "2", "agent-net")
    said = stack.engine.docker("exec", stack.project.container("agent"), "gateway", "doctor", check=False).stdout
    assert "PROBLEM  this container has no network interface" in said and "fix: docker compose up -d\n" in said
    assert said.count("PROBLEM") == 1, said
    wait.until(lambda: "docker compose up -d" in stack.project.logs("agent-guard"), "the guard to say so", 20)
    assert (stack.started("agent"), stack.started("agent-guard")) == (agent, guard)
    stack.compose("start", "agent-net")
    stack.heals("stop and start of agent-net")


@pytest.mark.parametrize("services", [("proxy",), ("agent-guard",), ("agent-net",), ("agent-net", "agent-guard", "agent")])
def test_what_a_person_killed_is_back_with_one_command(stack, services):
    stack.compose("kill", *services)
    stack.compose("up", "-d")
    stack.heals(f"kill of {services}, up -d")


@threat("T028")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_engine_restarted(stack, engine, how):
    """It starts containers in no order, and does not try again where one joins another that is not there yet."""
    engine.restart(how)
    try:
        wait.until(stack.works, "the stack to heal by itself", 12, step=0.2)
        by_itself = True
    except AssertionError:
        by_itself = False
        stack.compose("up", "-d")
    stack.heals("a restart of the engine, up -d")
    print(f"engine restarted with {how.name}: {'by itself' if by_itself else 'by docker compose up -d'}")


