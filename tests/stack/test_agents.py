"""The promise of the README, from a clean folder: a template, `up -d`, `exec agent zsh`, and the agent's program is there."""
# SPDX-License-Identifier: GPL-3.0-or-later

import filecmp
import os
import subprocess
from pathlib import Path

import pytest

import images as image_builds
from lab import addresses as at
from lab import gateway as gateways
from project import Project

_TEMPLATES = Path(__file__).resolve().parents[2] / "compose/templates"


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


@pytest.mark.parametrize("agent", ["claude", "copilot"])
def test_init_writes_the_template_with_a_name_and_a_network_of_its_own(agent, tmp_path):
    folder = tmp_path / "My Website"
    folder.mkdir()
    program = gateways.binary()
    if not program:
        pytest.skip(f"the program is not built: {gateways.BINARY_VARIABLE} names no executable")
    run = [program, "init", "--agent", agent, str(folder)]
    subprocess.run(run, check=True, capture_output=True)
    for path in (_TEMPLATES / agent / ".devcontainer").iterdir():
        assert filecmp.cmp(path, folder / ".devcontainer" / path.name, shallow=False)
    lines = (folder / ".env").read_text().splitlines()
    assert "COMPOSE_PROJECT_NAME=my-website" in lines and f"SOLEROUTE_AGENT_STATE=.{agent}" in lines
    again = subprocess.run(run, check=False, capture_output=True, text=True)
    assert again.returncode == 2 and "exists already: nothing was written" in again.stderr


def test_init_leaves_an_env_file_alone_and_says_what_to_add(tmp_path):
    program = gateways.binary()
    if not program:
        pytest.skip(f"the program is not built: {gateways.BINARY_VARIABLE} names no executable")
    (tmp_path / ".env").write_text("MINE=1\n")
    done = subprocess.run([program, "init", str(tmp_path)], check=True, capture_output=True, text=True)
    assert (tmp_path / ".env").read_text() == "MINE=1\n"
    assert "COMPOSE_FILE=.devcontainer/compose.yaml" in done.stdout
    outside = tmp_path / "outside"
    (tmp_path / "second").mkdir()
    os.symlink(outside, tmp_path / "second" / ".devcontainer")
    assert subprocess.run([program, "init", str(tmp_path / "second")], check=False, capture_output=True).returncode != 0
    assert not outside.exists()
