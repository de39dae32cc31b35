"""`gateway init` and `gateway agents`: what they write into a project's folder, and what Compose makes of it."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

_TEMPLATE = Path(__file__).resolve().parents[2] / "compose/template"
_FILES = {".devcontainer/.env", ".devcontainer/compose.yaml", ".devcontainer/devcontainer.json", ".devcontainer/policy.yaml", ".env"}

OWN_AGENT = """\
name: mine
title: My agent
package: {npm: my-agent, version: 1.2.3}
command: mine
services: [npm]
state: [.mine, .config/mine]
"""


@pytest.fixture
def init(gateway_binary, tmp_path):
    """init(ARGUMENTS…) in the folder `here`, by default a new one called "My Website"."""
    website = tmp_path / "My Website"
    website.mkdir()

    def run(*arguments, here=website, check=True):
        done = subprocess.run([gateway_binary, "init", *arguments], cwd=here, check=False, capture_output=True, text=True, timeout=30)
        assert not check or done.returncode == 0, done.stderr
        return done

    run.website = website
    return run


def files_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def variables(path):
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if line and not line.startswith("#"))


def compose_config(folder, *arguments, compose="docker-compose"):
    """What `docker-compose config` says of the folder's stack."""
    if not shutil.which(compose):
        pytest.skip("docker-compose is not installed: apt-get install docker-compose")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "SOLEROUTE_"))}
    return subprocess.run([compose, *arguments, "config"], cwd=folder, check=False, capture_output=True, text=True, timeout=60, env=environment)


def test_init_writes_a_project_with_a_name_and_a_network_from_its_path(init):
    said = init("--agent", "claude").stdout
    assert files_in(init.website) == _FILES
    assert all(f"wrote {init.website.resolve() / name}" in said for name in _FILES)
    name = variables(init.website / ".env")["COMPOSE_PROJECT_NAME"]
    assert re.fullmatch(r"my-website-[0-9a-f]{6}", name)
    assert variables(init.website / ".devcontainer/.env") == {"COMPOSE_PROJECT_NAME": name}
    assert "next: docker compose up -d" in said


def test_folders_of_one_name_are_two_projects(init, tmp_path):
    found = []
    for parent in ("x", "y"):
        folder = tmp_path / parent / "app"
        folder.mkdir(parents=True)
        init(here=folder)
        subnet = re.search(r"subnet: (\S+)", (folder / ".devcontainer/compose.yaml").read_text())[1]
        found.append((variables(folder / ".env")["COMPOSE_PROJECT_NAME"], subnet))
    assert found[0][0] != found[1][0] and found[0][1] != found[1][1]


def test_a_link_to_a_folder_is_the_folder(init, tmp_path):
    (tmp_path / "link").symlink_to(init.website)
    init(str(tmp_path / "link"), here=tmp_path)
    assert variables(init.website / ".env")["COMPOSE_PROJECT_NAME"].startswith("my-website-")


@pytest.mark.parametrize("arguments", [(), ("--agent", "claude,copilot"), ("--engine", "podman")])
def test_compose_makes_one_stack_of_it_however_it_is_called(init, arguments):
    init(*arguments)
    override = ("-f", ".devcontainer/podman.yaml") if "podman" in arguments else ()
    said = [compose_config(init.website), compose_config(init.website, "-f", ".devcontainer/compose.yaml", *override)]
    assert [done.returncode for done in said] == [0, 0], said
    assert said[0].stdout == said[1].stdout
    for value in ("image: soleroute/gateway:0.1.0", f"image: soleroute/{'claude-copilot' if 'claude,copilot' in arguments else 'claude'}:0.1.0"):
        assert value in said[0].stdout


def test_several_agents_share_one_image_and_no_state(init):
    init("--agent", "copilot,claude", "--agent", "copilot")
    compose = (init.website / ".devcontainer/compose.yaml").read_text()
    assert 'image: "soleroute/claude-copilot:0.1.0"' in compose
    for name in ("claude", "copilot"):
        assert compose.count(f"state-{name}:/home/dev/.{name}") == 1 and f"  state-{name}: {{}}" in compose
    policy = (init.website / ".devcontainer/policy.yaml").read_text()
    assert "services:\n  - claude\n  - github\n  - copilot\n" in policy
    extensions = json.loads((init.website / ".devcontainer/devcontainer.json").read_text())["customizations"]["vscode"]["extensions"]
    assert extensions == ["anthropic.claude-code", "GitHub.copilot-chat"]


def test_a_projects_own_agent_is_a_file_in_it(init):
    own = init.website / ".devcontainer/agents/mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(OWN_AGENT)
    init("--agent", "mine,claude")
    compose = (init.website / ".devcontainer/compose.yaml").read_text()
    assert "state-config.mine:/home/dev/.config/mine" in compose and 'image: "soleroute/claude-mine:0.1.0"' in compose
    assert own.read_text() == OWN_AGENT


def test_a_fault_in_an_own_agent_is_shown_at_its_place(init):
    own = init.website / ".devcontainer/agents/mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(OWN_AGENT.replace("command: mine", "comand: mine"))
    done = init("--agent", "mine", check=False)
    assert done.returncode == 2 and files_in(init.website) == {".devcontainer/agents/mine.yaml"}
    assert "mine.yaml:4:1: unknown key 'comand', did you mean 'command'?\n    4 | comand: mine\n        ^" in done.stderr


@pytest.mark.parametrize(("arguments", "said"), [
    (("--agent", "cluade"), "unknown agent 'cluade', did you mean 'claude'?"),
    (("--agent", "../x"), "unknown agent '../x'; known: "),
    (("--name", "My Website"), "--name: 'My Website' cannot be a project's name"),
    (("--network", "10.1.2.0/16"), "--network: "),
    (("--network", "8.8.8.0/24"), "--network: '8.8.8.0/24' is public"),
    (("--image", 'x"\n'), "--image: "),
    (("--engine", "lxc"), "--engine"),
    (("nowhere",), "nowhere: No such file or directory"),
    (("file",), "file: Not a directory"),
])  # fmt: skip
def test_a_wrong_value_is_named_and_nothing_is_written(init, arguments, said):
    (init.website / "file").write_text("")
    done = init(*arguments, check=False)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert files_in(init.website) == {"file"}


def test_name_network_and_image_can_be_given(init):
    init("--name", "web", "--network", "192.168.77.0/24", "--image", "registry.example:5000/me/agent@sha256:0123")
    compose = (init.website / ".devcontainer/compose.yaml").read_text()
    assert variables(init.website / ".env")["COMPOSE_PROJECT_NAME"] == "web"
    assert "subnet: 192.168.77.0/24" in compose and '"registry.example:5000/me/agent@sha256:0123"' in compose


def test_a_second_init_writes_nothing(init):
    init()
    before = {name: (init.website / name).read_bytes() for name in _FILES}
    again = init("--agent", "copilot", check=False)
    assert again.returncode == 2 and "exists already: nothing was written" in again.stderr
    assert before == {name: (init.website / name).read_bytes() for name in _FILES}


def test_an_env_file_is_left_alone_and_the_lines_to_add_are_said(init):
    (init.website / ".env").write_text("MINE=1\n")
    done = init()
    assert (init.website / ".env").read_text() == "MINE=1\n"
    assert "COMPOSE_FILE=.devcontainer/compose.yaml\nCOMPOSE_PROJECT_NAME=my-website-" in done.stdout


def test_nothing_is_written_through_a_link(init, tmp_path):
    outside = tmp_path / "outside"
    os.symlink(outside, init.website / ".devcontainer")
    assert init(check=False).returncode != 0
    assert not outside.exists()


def test_a_copy_of_the_template_names_init_and_does_not_start(tmp_path):
    shutil.copytree(_TEMPLATE, tmp_path / "copy")
    for arguments in ((), ("-f", ".devcontainer/compose.yaml")):
        done = compose_config(tmp_path / "copy", *arguments)
        assert done.returncode != 0 and "run 'gateway init'" in done.stderr, done


# --- gateway agents ---


def agents(gateway_binary, *arguments):
    return subprocess.run([gateway_binary, "agents", *arguments], check=False, capture_output=True, text=True, timeout=30)


def test_agents_lists_what_init_knows(gateway_binary):
    listed = agents(gateway_binary)
    assert listed.returncode == 0 and "claude: Claude Code\n  package     @anthropic-ai/claude-code " in listed.stdout
    names = [agent["name"] for agent in json.loads(agents(gateway_binary, "--json").stdout)]
    assert names == sorted(names) and {"claude", "copilot"} <= set(names)
    assert json.loads(agents(gateway_binary, "claude", "--json").stdout)["state"] == [".claude"]


def test_agents_checks_a_file(gateway_binary, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(OWN_AGENT)
    assert json.loads(agents(gateway_binary, "--file", path, "--json").stdout)["package"] == {"npm": "my-agent", "version": "1.2.3"}
    path.write_text(OWN_AGENT.replace("1.2.3", "latest"))
    done = agents(gateway_binary, "--file", path)
    assert done.returncode == 2 and f"{path}:3:35: version cannot be 'latest'" in done.stderr
    path.rename(tmp_path / "Mine.yml")
    assert "an agent's file is called NAME.yaml" in agents(gateway_binary, "--file", tmp_path / "Mine.yml").stderr
    assert "unknown agent 'cluade', did you mean 'claude'?" in agents(gateway_binary, "cluade").stderr
