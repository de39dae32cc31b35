"""The template on Docker Engine 26.1, Debian 13's: what a user does, and what keeps the agent in."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import secrets
import signal

import pytest

import debian13
import engine as engines
import healing
import images as image_builds
import probes
from lab import addresses as at
from lab import wait
from project import POLICY, Project
from world import World

threat = pytest.mark.threat


@pytest.fixture(scope="module")
def modern_world(engine, tmp_path_factory):
    """A second machine: two engines on one would share the names of bridges and chains."""
    del engine
    one = World(tmp_path_factory.mktemp("world26"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def modern(engine, images, modern_world):
    del images
    system, reason = debian13.engine(engine.folder)
    if reason:
        pytest.skip(reason)
    one = engines.Engine(modern_world, engine.folder / "engine-26", system)
    one.compose_program = engine.compose_program
    try:
        one.take_images(engine, image_builds.GATEWAY, image_builds.BASE)
        yield one
    finally:
        one.close()


@pytest.fixture(scope="module")
def project(modern, images, tmp_path_factory):
    one = Project(modern, images, tmp_path_factory.mktemp("project26"))
    one.up()
    one.trust_origins()
    yield one
    one.down("-v")


def works(project):
    done = project.agent("curl", "-sS", "-m", "5", "http://allowed.test/", check=False)
    return (done.returncode, done.stdout) == (0, "AL\n")


def test_the_engine_is_the_one_that_is_meant(modern):
    assert modern.docker("version", "-f", "{{.Server.Version}}").stdout.startswith("26.1.")


def test_it_comes_up_proved_and_an_allowed_host_answers_and_a_denied_one_does_not(project):
    assert project.health("proxy") == project.health("agent-guard") == "healthy"
    assert "13 passed, 0 failed" in project.agent("gateway", "verify").stdout
    for scheme in ("http", "https"):
        assert project.agent("curl", "-sS", f"{scheme}://allowed.test/").stdout == "AL\n"
        refused = project.agent("curl", "-sS", "-w", "%{http_code}", f"{scheme}://denied.test/").stdout
        assert refused.startswith("Blocked by proxy policy: denied.test") and refused.endswith("403"), scheme


@threat("T001", "T002", "T012", "T013", "T020")
@pytest.mark.parametrize("user", ["dev", "root"])
def test_the_agent_is_held(project, modern, modern_world, user):
    mark, canary = modern_world.ev.mark(), secrets.token_hex(8)
    targets = json.dumps([[host, port, canary] for host in (at.EV, at.AL, project.bridge, project.gateway) for port in (22, 853, 9999)])
    assert set(project.python(probes.TCP, targets, user=user)) == {"refused"}
    assert "answered" not in project.python(probes.UDP, json.dumps([[at.EV, port, canary] for port in (80, 123, 443, 9999)]), user=user)
    said = project.python(probes.RAW, json.dumps([at.EV, canary]), user=user)
    assert said["mark"] == said["packet"] == said["icmp"] == said["gre"] == "PermissionError1"
    assert project.agent("nft", "flush", "ruleset", user=user, check=False).returncode != 0
    assert modern_world.ev.since(mark) == [] and works(project)
    # The control: an ordinary container of the same engine reaches it.
    probe = ["run", "--rm", "--entrypoint", "python3", image_builds.BASE, "-c", probes.TCP, json.dumps([[at.EV, 9999, "control"]])]
    assert json.loads(modern.docker(*probe).stdout) == ["connected"]
    wait.until(lambda: modern_world.ev.since(mark), "the control to arrive")


def test_an_edited_policy_is_in_force_after_a_reload(project):
    def reload():
        return project.compose("exec", "-T", "proxy", "gateway", "reload", check=False)

    project.set_policy("domains: [a.wild.test]\n")
    assert reload().returncode == 0 and not works(project)
    project.set_policy("domains: 7\n")
    assert reload().returncode == 2 and not works(project)
    project.set_policy(POLICY)
    assert reload().returncode == 0 and works(project)


@threat("T027", "T028")
def test_without_the_proxy_nothing_passes_until_it_is_back(project, modern_world):
    mark = modern_world.ev.mark()
    project.compose("kill", "proxy")
    assert not works(project)
    assert "connected" not in project.python(probes.TCP, json.dumps([[host, port, "leak"] for host in (at.EV, at.AL) for port in (22, 80, 443)]))
    assert modern_world.ev.since(mark) == []
    project.compose("start", "proxy")
    wait.until(lambda: works(project), "the network to come back", 30)


@threat("T028")
@pytest.mark.parametrize("how", ["restart", "crash", "engine"])
def test_a_network_whose_owner_went_away_is_joined_again(project, modern, how):
    """As tests/stack/test_healing.py has it for the other engine, in its essentials."""
    project.forget_shells()
    before = healing.started(project, "agent")
    if how == "restart":
        project.compose("restart", "-t", "2", "agent-net")
    elif how == "crash":
        healing.crash(project, "agent-net")
    else:
        modern.restart(signal.SIGTERM)
        project.compose("up", "-d")
    wait.until(lambda: healing.started(project, "agent") != before, "the agent to be started again", 60, step=0.2)
    wait.until(lambda: healing.works(project), f"the stack to heal after: {how}", 60, step=0.2)
