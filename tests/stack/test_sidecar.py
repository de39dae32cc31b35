"""compose/sidecar: gateway and agent in one network namespace, told apart by a mark that the agent cannot set."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import shutil
from pathlib import Path

import pytest

import probes
from lab import addresses as at
from project import POLICY, Agent, Project

threat = pytest.mark.threat
_COMPOSE = Path(__file__).resolve().parents[2] / "compose/sidecar/compose.yaml"


class Sidecar(Project):
    def __init__(self, engine, folder):
        Agent.__init__(self)
        self.engine, self.folder = engine, folder
        self.name = f"s{os.getpid()}"
        shutil.copy(_COMPOSE, folder / "compose.yaml")
        (folder / "policy.yaml").write_text(POLICY)
        (folder / ".env").write_text(f"COMPOSE_PROJECT_NAME={self.name}\nRESOLVER={at.NS}\nSOLEROUTE_AGENT_IMAGE=soleroute/base:0.1.0\n")


@pytest.fixture(scope="module")
def sidecar(engine, images, tmp_path_factory):
    del images
    one = Sidecar(engine, tmp_path_factory.mktemp("sidecar"))
    one.up()
    yield one
    one.down("-v")


def test_an_allowed_host_answers_and_a_denied_one_is_refused(sidecar):
    assert sidecar.agent("curl", "-sS", "http://allowed.test/").stdout == "AL\n"
    assert sidecar.agent("curl", "-sS", "http://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")


@threat("T002", "T012", "T020")
@pytest.mark.parametrize("user", ["dev", "root"])
def test_the_agent_is_held_in_the_shared_namespace(sidecar, world, user):
    mark = world.ev.mark()
    targets = json.dumps([[host, port, "leak"] for host in (at.EV, at.AL) for port in (22, 8080, 9999)])
    assert set(sidecar.python(probes.TCP, targets, user=user)) == {"refused"}
    assert "answered" not in sidecar.python(probes.UDP, targets, user=user)
    said = sidecar.python(probes.RAW, json.dumps([at.EV, "leak"]), user=user)
    assert said["mark"] == said["packet"] == said["icmp"] == "PermissionError1"
    assert sidecar.agent("nft", "flush", "ruleset", user=user, check=False).returncode != 0
    assert world.ev.since(mark) == []
    assert sidecar.agent("curl", "-sS", "http://allowed.test/").stdout == "AL\n"
