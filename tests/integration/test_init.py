"""`gateway init` and `gateway agents`: what they write into a project's folder, and what Compose makes of it."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

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
    website, home = tmp_path / "My Website", tmp_path / "home"
    website.mkdir()
    home.mkdir()

    def run(*arguments, here=website, check=True, inside=(), **environment):
        """`inside` is a command line that runs what is added to it."""
        done = subprocess.run([*inside, gateway_binary, "init", *arguments], cwd=here, check=False, capture_output=True, text=True,
                              timeout=30, env={**os.environ, "HOME": str(home), **environment})
        assert not check or done.returncode == 0, done.stderr
        return done

    run.website, run.home = website, home
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
    (("--name", "My Website"), "--name: 'My Website' is not a valid project name"),
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


# --- What is there already ---


def test_a_second_init_writes_nothing_and_names_what_is_there(init):
    init()
    before = {name: (init.website / name).read_bytes() for name in _FILES}
    again = init("--agent", "copilot", check=False)
    assert again.returncode == 2 and "nothing was written" in again.stderr
    assert all(name in again.stderr for name in _FILES - {".env"})
    assert before == {name: (init.website / name).read_bytes() for name in _FILES}


def test_one_file_in_the_way_is_named_alone(init):
    (init.website / ".devcontainer").mkdir()
    (init.website / ".devcontainer/devcontainer.json").write_text("{}")
    done = init(check=False)
    assert done.returncode == 2 and f"{init.website.resolve()} already has .devcontainer/devcontainer.json: nothing was written" in done.stderr
    assert files_in(init.website) == {".devcontainer/devcontainer.json"}


def test_replace_sets_a_copied_project_up_again_and_keeps_what_was_there(init, tmp_path):
    """A copy of a project has the first one's name and network until it is set up again."""
    init()
    policy = init.website / ".devcontainer/policy.yaml"
    policy.write_text("domains: [mine.example]\n")
    (init.website / ".env").write_text("MINE=1\n" + (init.website / ".env").read_text())
    copy = tmp_path / "copy"
    shutil.copytree(init.website, copy)
    first, old = variables(copy / ".env"), (copy / ".devcontainer/compose.yaml").read_text()
    said = init("--replace", here=copy).stdout
    second = variables(copy / ".env")
    assert second["COMPOSE_PROJECT_NAME"].startswith("copy-") and first["COMPOSE_PROJECT_NAME"].startswith("my-website-")
    assert second["MINE"] == "1" and variables(copy / ".devcontainer/.env")["COMPOSE_PROJECT_NAME"] == second["COMPOSE_PROJECT_NAME"]
    assert (copy / ".devcontainer/compose.yaml").read_text() != old == (copy / ".devcontainer/compose.yaml.old").read_text()
    assert (copy / ".devcontainer/policy.yaml").read_text() == "domains: [mine.example]\n" and "compose.yaml.old" in said
    assert said.endswith(SHORT) and variables(init.website / ".env") == first
    # What was kept is not lost to a third time.
    again = init("--replace", here=copy, check=False)
    assert again.returncode == 2 and "already has .devcontainer/.env.old, .devcontainer/compose.yaml.old" in again.stderr


SHORT = "next: docker compose up -d && docker compose exec agent zsh\n"
LONG = "next: docker compose -f .devcontainer/compose.yaml up -d && docker compose -f .devcontainer/compose.yaml exec agent zsh\n"


def test_an_env_file_is_left_alone_and_the_next_command_works_without_it(init):
    (init.website / ".env").write_text("MINE=1\n")
    said = init().stdout
    assert (init.website / ".env").read_text() == "MINE=1\n"
    assert "COMPOSE_FILE=.devcontainer/compose.yaml\nCOMPOSE_PROJECT_NAME=my-website-" in said and said.endswith(LONG)
    done = compose_config(init.website, "-f", ".devcontainer/compose.yaml")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("before", ["MINE=1\n", "MINE=1", ""])
def test_the_lines_are_added_to_an_env_file_when_asked(init, before):
    (init.website / ".env").write_text(before)
    said = init("--append").stdout
    found = variables(init.website / ".env")
    assert found["COMPOSE_FILE"] == ".devcontainer/compose.yaml" and found["COMPOSE_PROJECT_NAME"].startswith("my-website-")
    assert found.get("MINE") == ("1" if before else None) and said.endswith(SHORT)
    assert compose_config(init.website).returncode == 0


@pytest.mark.parametrize(("text", "said"), [
    ("COMPOSE_FILE=app.yaml\n", ".env sets COMPOSE_FILE=app.yaml: `docker compose` without -f still uses that"),
    ("COMPOSE_PROJECT_NAME=app\n", "IDEs take that name, `docker compose -f` takes my-website-"),
])  # fmt: skip
def test_an_env_file_that_names_another_stack_is_not_changed(init, text, said):
    (init.website / ".env").write_text(text)
    refused = init("--append", check=False)
    assert refused.returncode == 2 and said in refused.stderr and files_in(init.website) == {".env"}
    done = init()
    assert said in done.stdout and done.stdout.endswith(LONG) and (init.website / ".env").read_text() == text
    assert "add these lines" not in done.stdout


@pytest.mark.parametrize("name", ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"])
def test_a_projects_own_compose_file_is_not_shadowed(init, name):
    (init.website / name).write_text("services: {app: {image: app}}\n")
    done = init()
    assert f"{name} is this project's own" in done.stdout and done.stdout.endswith(LONG)
    assert variables(init.website / ".env") == {}, "a file that the agent cannot make in its place"
    own = compose_config(init.website)
    assert own.returncode == 0 and "image: app" in own.stdout and "soleroute" not in own.stdout
    assert "soleroute/gateway" in compose_config(init.website, "-f", ".devcontainer/compose.yaml").stdout


def test_an_env_file_of_the_same_stack_is_taken_as_it_is(init):
    init()
    shutil.rmtree(init.website / ".devcontainer")
    assert init().stdout.endswith(SHORT)


def test_nothing_is_written_through_a_link(init, tmp_path):
    outside = tmp_path / "outside"
    for target in (outside, tmp_path):
        os.symlink(target, init.website / ".devcontainer")
        assert init(check=False).returncode == 2
        (init.website / ".devcontainer").unlink()
    assert not outside.exists() and files_in(tmp_path) == set()
    os.symlink(outside, init.website / ".env")
    done = init(check=False)
    assert done.returncode == 2 and ".env is not an ordinary file: move it away" in done.stderr
    assert not outside.exists() and files_in(init.website) == {".env"}


def test_a_file_where_the_folder_should_be_is_named(init):
    (init.website / ".devcontainer").write_text("")
    done = init(check=False)
    assert done.returncode == 2 and ".devcontainer is a file or a link, not a folder" in done.stderr
    assert files_in(init.website) == {".devcontainer"}


# --- Faults ---

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another user's folder, a mount namespace")


@needs_root
def test_a_folder_of_another_user_says_who_could_write_it(init, tmp_path):
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and folder.is_relative_to("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    os.chown(init.website, 1234, 1235)
    init.website.chmod(0o755)
    done = init(check=False, inside=("setpriv", "--reuid=4321", "--regid=4321", "--clear-groups"))
    assert done.returncode == 3 and "docker run -u 1234:1235" in done.stderr and "Nothing was written" in done.stderr
    # The control: its owner can, and root writes files that are the owner's.
    init(inside=("setpriv", "--reuid=1234", "--regid=1235", "--clear-groups"))
    shutil.rmtree(init.website / ".devcontainer")
    (init.website / ".env").unlink()
    init()
    for name in (".devcontainer", *_FILES):
        status = (init.website / name).stat()
        assert (status.st_uid, status.st_gid) == (1234, 1235), name


@needs_root
def test_a_full_disk_leaves_nothing(init, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    script = 'mount -t tmpfs -o size=$1 none "$2" && shift && cd "$1" && shift && { "$@"; echo "rc=$?"; find . -mindepth 1; }'
    outcome = {size: init(inside=("unshare", "-m", "sh", "-c", script, "sh", size, small)) for size in ("8k", "1m")}
    assert "No space left on device" in outcome["8k"].stderr and "Nothing was written" in outcome["8k"].stderr
    assert outcome["8k"].stdout == "rc=3\n"
    assert "rc=0\n" in outcome["1m"].stdout and "./.devcontainer/compose.yaml" in outcome["1m"].stdout


# --- The user's own folders, and root as the user ---


def test_the_folders_that_the_stack_mounts_are_made_as_the_users(init):
    init()
    for name in ("dotfiles", "shell.d"):
        path = init.home / ".config/agent-sandbox" / name
        assert path.is_dir() and path.stat().st_uid == os.geteuid()


@pytest.mark.parametrize("home", ["", "/", "/nowhere"])
def test_without_a_home_it_says_which_folders_to_make(init, home):
    done = init(HOME=home)
    assert "mkdir -p ~/.config/agent-sandbox/dotfiles ~/.config/agent-sandbox/shell.d" in done.stdout
    assert not Path("/.config").exists()


@needs_root
def test_a_folder_of_roots_says_that_the_agent_cannot_write_it(init):
    assert f"chown -R 501:501 {init.website.resolve()}" in init().stdout


@needs_root
def test_a_users_folder_needs_no_such_note(init):
    os.chown(init.website, 1234, 1235)
    assert "chown" not in init().stdout


# --- From the image ---


@needs_root
def test_in_a_container_the_name_comes_from_the_path_on_the_machine(init, tmp_path):
    """As `docker run -v "$PWD:/w" -w /w` does: a mount and namespaces of its own."""
    at = tmp_path / "w"
    at.mkdir()
    inside = ("unshare", "-m", "-u", "sh", "-c", 'mount --bind "$1" "$2" && cd "$2" && shift 2 && "$@"', "sh")
    mark = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}  # what tells a container here
    init(inside=(*inside, init.website, at), **mark)
    assert variables(init.website / ".env")["COMPOSE_PROJECT_NAME"].startswith("my-website-")


@needs_root
def test_in_a_container_that_hides_the_path_it_asks_for_it(init, tmp_path):
    at = tmp_path / "w"
    at.mkdir()
    inside = ("unshare", "-m", "-u", "sh", "-c", 'mount -t tmpfs none "$1" && cd "$1" && shift && "$@" && cat .env', "sh", at)
    mark = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    done = init(inside=inside, check=False, **mark)
    assert done.returncode == 2 and 'add --path "$PWD"' in done.stderr
    given = init("--path", "/srv/me/My App/", inside=inside, **mark)
    assert re.search(r"^COMPOSE_PROJECT_NAME=my-app-[0-9a-f]{6}$", given.stdout, re.MULTILINE)
    wrong = init("--path", "app", check=False)
    assert wrong.returncode == 2 and "--path: 'app' must be the project's absolute path" in wrong.stderr


def test_the_path_given_is_the_one_that_counts(init, tmp_path):
    init("--path", str(init.website.resolve()))
    first = variables(init.website / ".env")
    other = tmp_path / "other"
    other.mkdir()
    init("--path", str(init.website.resolve()), here=other)
    assert variables(other / ".env") == first


# --- Networks that the machine has ---


def subnet_of(folder):
    return re.search(r"subnet: (\S+)", (folder / ".devcontainer/compose.yaml").read_text())[1]


@needs_root
def test_a_network_that_an_interface_or_a_route_has_is_not_taken(init, tmp_path):
    """In a network namespace: the first candidate is a LAN's, the second a route's."""
    def networked(*commands):
        return ("unshare", "-n", "sh", "-ec", "\n".join(["ip link add lan0 type veth peer lan1", "ip link set lan0 up", "ip link set lan1 up", *commands, 'exec "$@"']), "sh")

    def network(*commands):
        folder = tmp_path / "site"  # one path, so that its candidates are the same each time
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        said = init(str(folder), inside=networked(*commands)).stdout
        return subnet_of(folder), said

    first, said = network()
    assert "shares addresses" not in said
    lan = f"ip addr add {first.replace('.0/24', '.9/24')} dev lan0"
    second, said = network(lan)
    assert second != first and "shares addresses" not in said
    third, _ = network(lan, f"ip route add {second} dev lan0 table 100")
    assert third not in (first, second)
    # A VPN of everything private: the network works behind it, and the note says what does not.
    behind, said = network("ip route add 10.0.0.0/8 dev lan0")
    assert behind == first and f"note: {first} shares addresses with 10.0.0.0/8 on lan0" in said


@needs_root
def test_a_network_that_was_asked_for_and_is_taken_is_said(init):
    inside = ("unshare", "-n", "sh", "-ec", 'ip link add lan0 type veth peer lan1; ip addr add 10.150.3.7/24 dev lan0; exec "$@"', "sh")
    said = init("--network", "10.150.3.0/24", inside=inside).stdout
    assert subnet_of(init.website) == "10.150.3.0/24" and "10.150.3.0/24 shares addresses with 10.150.3.0/24 on lan0" in said


# --- Images that are built here ---

_CLONE = Path(__file__).resolve().parents[2]


def test_build_adds_the_contexts_of_a_clone(init):
    if os.geteuid() == 0:
        os.chown(init.website, 1234, 1235)
    said = init("--agent", "claude,copilot", "--build", str(_CLONE)).stdout
    assert said.endswith("next: docker compose build && docker compose up -d && docker compose exec agent zsh\n")
    short, long = compose_config(init.website), compose_config(init.website, "-f", ".devcontainer/compose.yaml", "-f", ".devcontainer/build.yaml")
    assert short.returncode == 0 and short.stdout == long.stdout, short.stderr
    services = yaml.safe_load(short.stdout)["services"]
    dockerfile = str(init.website.resolve() / ".devcontainer/Dockerfile")
    assert services["proxy"]["build"] == {"context": str(_CLONE), "dockerfile": dockerfile, "target": "gateway-image"}
    arguments = {"AGENTS": "claude copilot", "DEV_UID": str(1234 if os.geteuid() == 0 else os.geteuid())}
    assert services["agent"]["build"] == {"context": str(_CLONE), "dockerfile": dockerfile, "target": "agent-image", "args": arguments}
    config = json.loads((init.website / ".devcontainer/devcontainer.json").read_text())
    assert config["dockerComposeFile"] == ["compose.yaml", "build.yaml"]


def test_build_asks_no_registry_for_an_image_of_ours(init):
    init("--build", str(_CLONE))
    stack, build = (yaml.safe_load((init.website / f".devcontainer/{name}.yaml").read_text())["services"] for name in ("compose", "build"))
    assert {name for name, service in build.items() if "build" in service} == {"proxy", "agent"}
    for name in stack:
        assert name in ("proxy", "agent") or build.get(name, {}).get("pull_policy") == "never", f"build.yaml: {name} needs `pull_policy: never`"


def test_an_agent_of_the_projects_own_is_built_by_compose_v2_alone(init):
    own = init.website / ".devcontainer/agents/mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(OWN_AGENT)
    assert "use Compose v2 (not docker-compose 1.29)" in init("--agent", "mine", "--build", str(_CLONE)).stdout
    build = yaml.safe_load((init.website / ".devcontainer/build.yaml").read_text())
    assert build["services"]["agent"]["build"]["additional_contexts"] == {"own": "./agents"}


def test_the_documentation_begins_with_three_commands_and_init_takes_the_first(init, tmp_path):
    before = (_CLONE / "docs/compose.md").read_text().split("\n## ")[0]
    commands = [line.removeprefix("$ ").split() for line in before.splitlines() if line.startswith("$ ")]
    assert len(commands) == 3 and commands[0][:2] == ["gateway", "init"] and all(command[:2] == ["docker", "compose"] for command in commands[1:])
    (tmp_path / "soleroute").symlink_to(_CLONE)
    assert "next: docker compose" in init(*commands[0][2:]).stdout


@pytest.mark.parametrize("clone", ["nowhere", "."])
def test_build_needs_a_clone(init, clone):
    done = init("--build", clone, check=False)
    assert done.returncode == 2 and f"--build: {clone} is not a clone of Soleroute's repository" in done.stderr
    assert files_in(init.website) == set()


# --- The template ---


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
