"""compose/agents: two agents behind one gateway, each with its own policy."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import re
import shutil
from pathlib import Path

import pytest

import probes
from lab import addresses as at
from project import Project

threat = pytest.mark.threat
_EXAMPLE = Path(__file__).resolve().parents[2] / "compose/agents"


class TwoAgents(Project):
    """Its agent is `coder` or, with `other`, `reviewer`."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        shutil.copy(_EXAMPLE / "reviewer.yaml", self.folder / ".devcontainer")
        example = (_EXAMPLE / "agents.yaml").read_text().replace("10.213.37", self.net)
        stack = (self.folder / ".devcontainer/compose.yaml").read_text()
        gateway, agent = re.search(r'image: "(.*gateway.*)"', stack), re.findall(r'image: "(.*)"', stack)[-1]
        with (self.folder / ".devcontainer/.env").open("a") as env:
            env.write(f"SOLEROUTE_NET={self.net}\nSOLEROUTE_GATEWAY_IMAGE={gateway.group(1)}\nSOLEROUTE_AGENT_IMAGE={agent}\n")
        self.set_policy("domains: [allowed.test]\n" + example.replace("services: [{name: github, readonly: true}]", 'domains: ["*.wild.test"]'))

    def compose(self, *arguments, **options):
        files = ("-f", ".devcontainer/compose.yaml", "-f", ".devcontainer/reviewer.yaml")
        return super().compose(*files, *arguments, **options)

    def curl(self, service, *arguments):
        done = self.compose("exec", "-T", "--user", "dev", service, "curl", "-sS", "-m", "10", *arguments, check=False)
        return done.stdout

    def run_in(self, service, source, *arguments):
        return json.loads(self.compose("exec", "-T", "--user", "root", service, "python3", "-c", source, *arguments).stdout)


@pytest.fixture(scope="module")
def two_agents(engine, images, tmp_path_factory):
    one = TwoAgents(engine, images, tmp_path_factory.mktemp("two"))
    one.up()
    yield one
    one.down("-v")


def test_each_agent_has_its_own_policy(two_agents):
    assert two_agents.curl("agent", "http://allowed.test/") == "AL\n"
    assert two_agents.curl("reviewer", "http://x.wild.test/") == "WILD\n"
    assert "Blocked by proxy policy" in two_agents.curl("agent", "http://x.wild.test/")
    assert "Blocked by proxy policy" in two_agents.curl("reviewer", "http://allowed.test/")
    assert "agent reviewer" in two_agents.curl("reviewer", "http://gateway.internal/policy")


@threat("T240", "T241")
def test_neither_sends_from_the_others_address(two_agents, world):
    mark = world.ev.mark()
    for service in ("agent", "reviewer"):
        said = two_agents.run_in(service, probes.RAW, json.dumps([at.EV, "leak"]))
        assert said["packet"] == "PermissionError1"
    assert world.ev.since(mark) == []
    assert two_agents.curl("agent", "http://allowed.test/") == "AL\n", "the control"
