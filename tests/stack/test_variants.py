"""compose/sidecar: gateway and agent in one network namespace, told apart by a mark that the agent cannot set.

compose/proxy: the gateway as the explicit proxy of a stack that was made for another one.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import shutil
from pathlib import Path

import pytest

import probes
from lab import addresses as at
from lab import wait
from project import POLICY, Agent, Project

threat = pytest.mark.threat
_COMPOSE = Path(__file__).resolve().parents[2] / "compose"


# --- compose/sidecar ---


class Sidecar(Project):
    def __init__(self, engine, folder):
        Agent.__init__(self)
        self.engine, self.folder = engine, folder
        self.name = f"s{os.getpid()}"
        shutil.copy(_COMPOSE / "sidecar/compose.yaml", folder / "compose.yaml")
        (folder / "policy").mkdir()
        (folder / "policy/policy.yaml").write_text(POLICY)
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


# --- compose/proxy ---


# What an agent-sandbox project brings, as far as the two containers meet: names, variables, volumes, paths, the proxy's user.
AGENT_SANDBOX = """\
services:
  proxy:
    image: {debian}
    user: "501:501"
    cap_drop: [ALL]
    environment: [PROXY_MODE=enforce, AGENTBOX_ACTIVE_AGENT=claude]
    volumes:
      - proxy-state:/home/mitmproxy/.mitmproxy
      - proxy-ca:/ca-export
      - ./user.policy.yaml:/etc/agent-sandbox/policy/user.policy.yaml:ro
    healthcheck: {{test: [CMD, nc, -z, localhost, "8080"], interval: 5s}}
  agent:
    image: soleroute/base:0.1.0
    entrypoint: [sleep, infinity]
    init: true
    depends_on: {{proxy: {{condition: service_healthy}}}}
    cap_drop: [ALL]
    volumes: ["proxy-ca:/etc/mitmproxy:ro"]
    environment: ["HTTP_PROXY=http://proxy:8080", "HTTPS_PROXY=http://proxy:8080", "http_proxy=http://proxy:8080", "NO_PROXY=localhost,127.0.0.1,proxy"]
volumes: {{proxy-state: {{}}, proxy-ca: {{}}}}
"""

# As its agent's container programs them for itself: the network of the two, and nothing else.
THEIR_RULES = """\
table inet theirs {{
  chain output {{
    type filter hook output priority 0; policy drop;
    oifname "lo" accept
    ip daddr {subnet} accept
    reject with icmpx admin-prohibited
  }}
}}
"""


class DropIn(Project):
    def __init__(self, engine, images, folder):
        Agent.__init__(self)
        self.engine, self.folder = engine, folder
        self.name = f"d{os.getpid()}"
        (folder / "compose.yaml").write_text(AGENT_SANDBOX.format(debian=images.debian))
        shutil.copy(_COMPOSE / "proxy/override.yaml", folder)
        (folder / ".env").write_text(f"COMPOSE_PROJECT_NAME={self.name}\nCOMPOSE_FILE=compose.yaml:override.yaml\n")
        self.set_policy(POLICY)

    def set_policy(self, text):
        (self.folder / "user.policy.yaml").write_text(text)

    def wait_for_agent(self):
        network = self.engine.inspect(f"{self.name}_default")
        rules = THEIR_RULES.format(subnet=network["IPAM"]["Config"][0]["Subnet"])
        self.engine.nsenter(self.engine.inspect(self.container("agent"))["State"]["Pid"], "nft", "-f", "-", input=rules)

    def curl(self, *arguments, seconds=10):
        return self.agent("curl", "-sS", "-m", seconds, *arguments, check=False)


@pytest.fixture(scope="module")
def drop_in(engine, images, tmp_path_factory):
    one = DropIn(engine, images, tmp_path_factory.mktemp("dropin"))
    one.up()
    yield one
    one.down("-v")


def test_a_stack_made_for_another_proxy_works_with_ours(drop_in, world):
    world.ns.set("api.anthropic.com", a=[at.AL])
    mark = world.ev.mark()
    assert drop_in.health("proxy") == "healthy"
    assert drop_in.curl("http://allowed.test/").stdout == "AL\n"
    # Passed through: the certificate is the origin's own, which nobody here trusts.
    assert drop_in.curl("-k", "https://allowed.test/").stdout == "AL\n"
    assert drop_in.curl("-k", "https://api.anthropic.com/").stdout == "AL\n", "the active agent's service"
    assert drop_in.curl("http://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")
    refused = drop_in.curl("-k", "https://denied.test/")
    assert refused.returncode == 56 and "403" in refused.stderr
    assert world.ev.since(mark) == []


@threat("T002")
def test_around_the_proxy_there_is_nothing(drop_in, world):
    mark = world.ev.mark()
    assert drop_in.curl("--noproxy", "*", "http://allowed.test/", seconds=2).returncode != 0
    assert "403" in drop_in.curl("-k", "https://allowed.test:22/").stderr, "an allowed host on another port"
    assert "connected" not in drop_in.python(probes.TCP, json.dumps([[at.EV, port, "leak"] for port in (22, 80, 443)]))
    assert world.ev.since(mark) == []
    assert drop_in.curl("http://allowed.test/").stdout == "AL\n"


def test_the_ca_is_where_it_was_and_its_key_is_the_proxys(drop_in):
    """Made anew, the containers go on with the CA in the volume."""
    def authority():
        return drop_in.agent("cat", "/etc/mitmproxy/ca.crt").stdout
    before = authority()
    assert "BEGIN CERTIFICATE" in before and "PRIVATE" not in before
    drop_in.down()
    drop_in.up()
    assert authority() == before


def test_a_signal_reads_their_policy_file_again(drop_in):
    assert drop_in.curl("http://a.wild.test/").stdout == "WILD\n"
    drop_in.set_policy("domains: [allowed.test]\n")
    drop_in.compose("kill", "-s", "HUP", "proxy")
    wait.until(lambda: drop_in.curl("http://a.wild.test/").stdout.startswith("Blocked by proxy policy"), "the new policy")
    assert drop_in.curl("http://allowed.test/").stdout == "AL\n"


@threat("T027")
def test_a_proxy_that_is_killed_leaves_nothing_open(drop_in, world):
    mark = world.ev.mark()
    drop_in.compose("kill", "proxy")
    assert drop_in.curl("http://allowed.test/", seconds=2).returncode != 0
    assert "connected" not in drop_in.python(probes.TCP, json.dumps([[host, port, "leak"] for host in (at.EV, at.AL) for port in (80, 443)]))
    assert world.ev.since(mark) == []
    drop_in.compose("start", "proxy")
    wait.until(lambda: drop_in.curl("http://allowed.test/", seconds=2).stdout == "AL\n", "the proxy to be back", 30)
