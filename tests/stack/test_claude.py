"""The promise of the README, from a clean folder: a template, `up -d`, `exec agent zsh`, and Claude Code is there."""
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


@pytest.fixture(scope="module")
def claude(engine, images, tmp_path_factory):
    image_builds.build_agent(engine, images, tmp_path_factory.mktemp("agent"), "claude")
    one = Project(engine, images, tmp_path_factory.mktemp("website"), "claude", image_builds.CLAUDE, policy=None)
    one.up()
    yield one
    one.down("-v")


def test_claude_code_runs_in_the_agents_shell(claude):
    done = claude.compose("exec", "-T", "agent", "zsh", "-ic", "claude --version")
    assert "Claude Code" in done.stdout


def test_its_state_is_its_own_to_write(claude):
    assert claude.agent("sh", "-c", "echo x > ~/.claude/x && stat -c %U ~/.claude").stdout == "dev\n"


def test_its_service_passes_and_others_do_not(claude, world):
    world.ns.set("api.anthropic.com", a=[at.AL])
    # Whatever certificate the origin has: what is seen here is that the connection reaches it.
    assert claude.agent("curl", "-sSk", "https://api.anthropic.com/").stdout == "AL\n"
    assert claude.agent("curl", "-sS", "http://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")


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
