"""Every file that `init` writes, read by what will read it: both versions of Compose, the devcontainer client, a JSON Schema."""
# SPDX-License-Identifier: GPL-3.0-or-later

import copy
import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

import debian13
import devcontainer
from lab import agent_packages
from lab import gateway as gateways

_ROOT = Path(__file__).resolve().parents[2]
_SCHEMA = json.loads((_ROOT / "tests/data/devcontainer.schema.json").read_text())
_ALL = ",".join(sorted(agent_packages.described()))

OWN_AGENT = """\
name: mine
title: My agent
package: {npm: my-agent, version: 1.2.3}
command: mine
services: [npm]
state: [.mine, .config/mine]
"""

CASES = {
    "the default": (),
    "all agents": ("--agent", _ALL),
    "an agent of its own": ("--agent", "mine"),
    "Podman": ("--agent", "claude", "--engine", "podman"),
    "images built here": ("--build", str(_ROOT)),
    "chosen values": ("--name", "website", "--network", "10.150.3.0/24", "--image", "registry.example/agent:1"),
}


@pytest.fixture(scope="module", params=CASES)
def written(request, tmp_path_factory):
    """A folder, with a space in its name, that `init` has filled."""
    folder = tmp_path_factory.mktemp("written") / "My Website"
    own = folder / ".devcontainer/agents/mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(OWN_AGENT)
    if not (program := gateways.binary()):
        pytest.skip(f"the program is not built: set {gateways.BINARY_VARIABLE} to its path")
    environment = {**os.environ, "HOME": str(folder.parent)}
    subprocess.run([program, "init", *CASES[request.param], folder], check=True, capture_output=True, env=environment)
    return folder


@pytest.fixture(scope="module")
def clients(engine):
    found, reason = debian13.clients(engine.folder)
    if reason:
        pytest.skip(reason)
    return found


def compose_files(folder):
    """As options of Compose, named one by one, as an IDE does."""
    listed = json.loads((folder / ".devcontainer/devcontainer.json").read_text())["dockerComposeFile"]
    return [option for name in ([listed] if isinstance(listed, str) else listed) for option in ("-f", f".devcontainer/{name}")]


@pytest.fixture(scope="module")
def config_by(engine):
    """config_by(PROGRAM, FOLDER, OPTIONS…): what this version of Compose makes of the files; 1.29 takes a second, so once."""
    return functools.cache(lambda program, folder, *options: engine.compose(folder, *options, "config", program=program).stdout)


@pytest.fixture(params=["v2", "1.29"])
def config(request, config_by, clients):
    """The same by each version."""
    return functools.partial(config_by, clients.compose if request.param == "v2" else request.getfixturevalue("compose_1"))


def test_both_versions_of_compose_read_one_stack_however_they_are_called(written, config):
    text = config(written)
    assert config(written, *compose_files(written)) == text
    read = yaml.safe_load(text)
    assert {"proxy", "agent-net", "agent"} <= set(read["services"]) and {"inside", "egress"} <= set(read["networks"])
    assert "run 'gateway init'" not in text


def test_the_two_versions_agree(written, config_by, clients, compose_1):
    """On what decides which stack it is: images, network, and the agent's mounts."""
    def facts(text):
        read = yaml.safe_load(text)
        volumes = [volume.split(":")[0:2] if isinstance(volume, str) else [volume["source"], volume["target"]]
                   for volume in read["services"]["agent"]["volumes"]]  # fmt: skip
        return ({name: service["image"] for name, service in read["services"].items()}, read["networks"]["inside"]["ipam"]["config"][0]["subnet"],
                sorted(volumes), sorted(read["volumes"]))  # fmt: skip

    assert facts(config_by(clients.compose, written)) == facts(config_by(compose_1, written))


def test_the_devcontainer_client_reads_what_is_meant(written, engine, clients, tmp_path):
    if reason := devcontainer.unavailable():
        pytest.skip(reason)
    read = devcontainer.Client(engine, clients, tmp_path / "docker-config").read_configuration(written)
    own = json.loads((written / ".devcontainer/devcontainer.json").read_text())
    assert {key: read["configuration"][key] for key in own} == own and read["workspace"]["workspaceFolder"] == "/workspace"


def test_devcontainer_json_has_the_keys_of_the_schema_and_no_others(written):
    jsonschema.validate(json.loads((written / ".devcontainer/devcontainer.json").read_text()), _SCHEMA)


@pytest.mark.parametrize(("key", "value"), [
    ("forwardports", [80]), ("remoteUser", "root"), ("overrideCommand", True), ("dockerComposeFile", "../compose.yaml"),
    ("onCreateCommand", ""), ("customizations", {"vscode": {"extensions": ["no publisher"]}}),
])  # fmt: skip
def test_the_schema_refuses_what_would_not_work(written, key, value):
    wrong = copy.deepcopy(json.loads((written / ".devcontainer/devcontainer.json").read_text()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**wrong, key: value}, _SCHEMA)


def test_the_policy_is_valid(written):
    done = subprocess.run([gateways.binary(), "check", written / ".devcontainer/policy.yaml"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("variant", ["sidecar", "proxy"])
def test_the_variants_are_read_by_both_versions(config, variant, tmp_path):
    """compose/proxy is laid over a stack that has a proxy."""
    (tmp_path / ".env").write_text("RESOLVER=192.0.2.53\n")
    (tmp_path / "base.yaml").write_text("services: {proxy: {image: other}}\n")
    source = next((_ROOT / "compose" / variant).glob("*.yaml"))
    shutil.copy(source, tmp_path / "variant.yaml")
    options = ["-f", "base.yaml"] if variant == "proxy" else []
    assert "soleroute/gateway:" in config(tmp_path, *options, "-f", "variant.yaml")
