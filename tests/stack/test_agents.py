"""Agents' images: one image with three agents, each with its program, its variables and its state."""
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest

import images as image_builds
from lab import addresses as at
from lab import agent_packages
from project import Project

# A host that the agent cannot do without.
AGENTS = {"claude": "api.anthropic.com", "codex": "api.openai.com", "copilot": "api.githubcopilot.com"}

# And one of the project's own, in JavaScript; any small program will do.
OWN = """\
name: mine
title: Mine
package: {npm: mkdirp, version: 3.0.1}
command: mkdirp
services: [npm]
state: [.config/mine]
environment: {MINE: "it's $HOME"}
"""

every_agent = pytest.mark.parametrize("agent", AGENTS)


@pytest.fixture(scope="module")
def project(engine, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("website")
    own = folder / ".devcontainer/agents"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text(OWN)
    image = image_builds.build_agents(engine, images, tmp_path_factory.mktemp("agents"), *AGENTS, "mine", own=own)
    one = Project(engine, images, folder, ",".join([*AGENTS, "mine"]), image, policy=None)
    one.up()
    yield one
    one.down("-v")


@every_agent
def test_its_program_is_the_pinned_version_in_a_shell_and_without(project, agent):
    described = agent_packages.described()[agent]
    version = described["package"]["version"]
    assert version in project.compose("exec", "-T", "agent", "zsh", "-ic", f"{described['command']} --version").stdout
    assert version in project.agent(described["command"], "--version").stdout


@every_agent
def test_its_state_is_a_volume_that_is_its_own(project, agent):
    (folder,) = agent_packages.described()[agent]["state"]
    assert project.agent("sh", "-c", f"echo x > ~/{folder}/x && stat -c '%U %a' ~/{folder}").stdout == "dev 700\n"
    others = [agent_packages.described()[other]["state"][0] for other in AGENTS if other != agent]
    devices = {project.agent("stat", "-c", "%m", f"/home/dev/{path}").stdout for path in (folder, *others)}
    assert devices == {f"/home/dev/{path}\n" for path in (folder, *others)}


@every_agent
def test_its_service_passes_and_others_do_not(project, agent, world):
    world.ns.set(AGENTS[agent], a=[at.AL])
    # Whatever certificate the origin has: what is seen here is that the connection reaches it.
    assert project.agent("curl", "-sSk", f"https://{AGENTS[agent]}/").stdout == "AL\n"
    assert project.agent("curl", "-sS", "http://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")


def test_an_agent_of_the_projects_own_is_in_the_image_and_in_the_policy(project):
    assert project.agent("mkdirp", "--version").stdout == "3.0.1\n"
    assert project.agent("stat", "-c", "%m %U %a", "/home/dev/.config/mine").stdout == "/home/dev/.config/mine dev 700\n"
    assert "npm" in (project.folder / ".devcontainer/policy.yaml").read_text()


@pytest.mark.parametrize(("command", "variable", "value"), [("copilot", "COPILOT_AUTO_UPDATE", "false"), ("mkdirp", "MINE", "it's $HOME")])
def test_a_program_has_its_variables_however_it_is_started(project, engine, command, variable, value):
    """By the image alone, without Compose: the program's starter sets what is not set."""
    shown = f"sed 's/^exec .*/env/' /usr/local/bin/{command} | sh | grep ^{variable}="
    image = engine.inspect(project.container("agent"))["Image"]
    run = ["run", "--rm", "--network", "none", "--entrypoint", "sh"]
    assert engine.docker(*run, image, "-c", shown).stdout == f"{variable}={value}\n"
    assert engine.docker(*run, "--env", f"{variable}=mine", image, "-c", shown).stdout == f"{variable}=mine\n"
