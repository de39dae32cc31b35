"""A project as an IDE starts it: by the reference client of devcontainers, from the files that `init` writes."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json

import pytest

import debian13
import devcontainer
from lab import agent_packages
from project import POLICY, Project

INSPECTED = "inspected.wild.test"
RULE = f"  - {{host: {INSPECTED}, rules: [{{methods: [GET]}}]}}\n"
FEATURE = {"id": "marker", "version": "1.0.0", "name": "marker"}


@pytest.fixture(scope="module")
def client(engine, tmp_path_factory):
    if reason := devcontainer.unavailable():
        pytest.skip(reason)
    clients, reason = debian13.clients(engine.folder)
    if reason:
        pytest.skip(reason)
    try:
        return devcontainer.Client(engine, clients, tmp_path_factory.mktemp("docker-config"))
    except agent_packages.NotFetched as error:
        pytest.skip(str(error))


class Opened(Project):
    """Started by the client; `said` is what it says of the container."""

    def open(self, client):
        try:
            self.said, _ = client.up(self.folder)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from error
        return self

    def change(self, **keys):
        path = self.folder / ".devcontainer/devcontainer.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


@pytest.fixture(scope="module")
def plain(engine, images, client, tmp_path_factory):
    """As `init` wrote it."""
    one = Opened(engine, images, tmp_path_factory.mktemp("plain"), agents="claude")
    yield one.open(client)
    one.down("-v")


@pytest.fixture(scope="module")
def changed(engine, images, client, plain, tmp_path_factory):
    """A second project while the first runs, with a feature and a command that uses the network."""
    del plain
    one = Opened(engine, images, tmp_path_factory.mktemp("changed"), agents="copilot", policy=POLICY + RULE)
    one.gateway_trusts_origins()
    feature = one.folder / ".devcontainer/marker"
    feature.mkdir()
    (feature / "devcontainer-feature.json").write_text(json.dumps(FEATURE))
    (feature / "install.sh").write_text("#!/bin/sh\necho built > /opt/marker\n")
    one.change(dockerComposeFile=["compose.yaml", "trust.yaml"], features={"./marker": {}},
               onCreateCommand=f"curl -sS https://denied.test/ > /workspace/created && curl -sS --fail-with-body https://{INSPECTED}/ > /workspace/inspected",
               postCreateCommand="gateway verify > /workspace/verified")
    yield one.open(client)
    one.down("-v")


def test_it_opens_the_projects_stack_at_the_workspace_as_the_user(plain):
    assert plain.said["outcome"] == "success" and plain.said["composeProjectName"] == plain.name
    assert (plain.said["remoteUser"], plain.said["remoteWorkspaceFolder"]) == ("dev", "/workspace")
    assert plain.said["containerId"] == plain.container("agent")


def test_what_the_client_merges_of_file_and_image_is_what_is_meant(plain, client):
    merged = client.read_configuration(plain.folder, "--include-merged-configuration")["mergedConfiguration"]
    assert (merged["remoteUser"], merged["service"], merged["workspaceFolder"], merged["overrideCommand"]) == ("dev", "agent", "/workspace", False)
    assert merged["customizations"]["vscode"][0]["extensions"] == ["anthropic.claude-code"]


def test_its_terminal_is_behind_the_gateway(plain, client):
    page = client.run(plain.folder, "zsh", "-c", "curl -sS https://denied.test/; curl -sS http://allowed.test/; id -un; pwd")
    assert page.startswith("Blocked by proxy policy: denied.test") and page.endswith("AL\ndev\n/workspace\n")


def test_docker_compose_in_a_terminal_of_the_folder_is_the_same_stack(plain, client):
    """`up` makes the agent's container again, without the labels that the client gives it. The rest stays, state too."""
    def facts():
        listed = [plain.engine.docker(kind, "ls", "-q").stdout.split() for kind in ("network", "volume")]
        agent = plain.engine.inspect(plain.container("agent"))
        return [*map(sorted, listed), plain.container("proxy"), plain.container("agent-net"), agent["Image"], sorted(agent["HostConfig"]["Binds"])]

    def in_terminal(command):
        return client.docker(plain.folder, "compose", "exec", "-T", "agent", "zsh", "-c", command).stdout

    in_terminal("echo kept > /commandhistory/kept")
    assert plain.container("agent") == plain.said["containerId"], "exec meets the IDE's container"
    before = facts()
    plain.forget_shells()
    client.docker(plain.folder, "compose", "up", "-d")
    assert facts() == before
    plain.wait_for_agent()
    assert in_terminal("cat /commandhistory/kept; curl -sS http://allowed.test/") == "kept\nAL\n"


def test_a_second_project_beside_it_has_a_name_a_network_an_image_and_state_of_its_own(plain, changed):
    assert changed.said["outcome"] == "success" and changed.said["composeProjectName"] == changed.name != plain.name
    for one in (plain, changed):
        assert one.agent("curl", "-sS", "http://allowed.test/").stdout == "AL\n"
        assert one.agent("curl", "-sS", "http://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")
    assert [one.agent("ls", "-d", f"/home/dev/.{name}").returncode for one, name in ((plain, "claude"), (changed, "copilot"))] == [0, 0]


def test_a_local_feature_is_built_in_and_the_entry_point_stays(changed):
    assert changed.agent("cat", "/opt/marker").stdout == "built\n"
    assert "13 passed, 0 failed" in changed.agent("gateway", "verify").stdout


def test_a_command_of_the_devcontainer_meets_the_held_network(changed):
    assert "13 passed, 0 failed" in (changed.folder / "verified").read_text()
    # On a certificate of the gateway's own: trust stands, whenever the client starts it.
    assert (changed.folder / "created").read_text().startswith("Blocked by proxy policy: denied.test")
    assert (changed.folder / "inspected").read_text() == "WILD\n"


def test_up_again_uses_the_container_that_runs(changed, client):
    before = changed.containers()
    said, _ = client.up(changed.folder)
    assert said["containerId"] == changed.said["containerId"] and changed.containers() == before
