"""The promise of the README, from a clean folder: `init`, `up -d`, `exec agent zsh`, and the agent's program is there."""
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest

import images as image_builds
from lab import addresses as at
from project import Project

# What the agent's program says of itself, and a host that it cannot do without.
AGENTS = {"claude": ("Claude Code", "api.anthropic.com"), "copilot": ("GitHub Copilot CLI", "api.githubcopilot.com")}


@pytest.fixture(scope="module", params=AGENTS)
def agent_name(request):
    return request.param


@pytest.fixture(scope="module")
def project(engine, images, agent_name, tmp_path_factory):
    image = image_builds.build_agent(engine, images, tmp_path_factory.mktemp("agent"), agent_name)
    one = Project(engine, images, tmp_path_factory.mktemp("website"), agent_name, image, policy=None)
    one.up()
    yield one
    one.down("-v")


def test_the_agents_program_runs_in_its_shell(project, agent_name):
    done = project.compose("exec", "-T", "agent", "zsh", "-ic", f"{agent_name} --version")
    assert AGENTS[agent_name][0] in done.stdout


def test_its_state_is_its_own_to_write(project, agent_name):
    assert project.agent("sh", "-c", f"echo x > ~/.{agent_name}/x && stat -c %U ~/.{agent_name}").stdout == "dev\n"


def test_its_service_passes_and_others_do_not(project, agent_name, world):
    host = AGENTS[agent_name][1]
    world.ns.set(host, a=[at.AL])
    # Whatever certificate the origin has: what is seen here is that the connection reaches it.
    assert project.agent("curl", "-sSk", f"https://{host}/").stdout == "AL\n"
    assert project.agent("curl", "-sS", "http://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")
