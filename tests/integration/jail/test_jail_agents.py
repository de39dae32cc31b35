"""Real agents' programs in jails: a reply through inspection where its host is allowed, the reason where nothing is.

SOLEROUTE_AGENTS names the agents, separated by spaces, or is "all"; default: the four that most people use.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import concurrent.futures
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from agent_clis import CLIS
from jail import Jail
from lab import addresses as at
from lab import agent_packages, model_api

_asked = os.environ.get("SOLEROUTE_AGENTS", "claude copilot codex gemini")
AGENTS = sorted(agent_packages.described()) if _asked == "all" else _asked.split()
_SERVICES = Path(__file__).resolve().parents[3] / "policy/services"
PATIENCE = 100  # seconds for one run: a denied program may try again for a while
AT_ONCE = 2


@dataclass
class Ended:
    status: int
    output: str
    decisions: list
    seconds: float


class Programs:
    """The command line of each agent's program. All are fetched before the first one runs, which is then not disturbed."""

    def __init__(self):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            self._fetched = {agent: pool.submit(agent_packages.install, agent) for agent in AGENTS}

    def __getitem__(self, agent):
        try:
            return self._fetched[agent].result()
        except agent_packages.NotFetched as reason:
            pytest.skip(str(reason))


@pytest.fixture(scope="module")
def programs():
    if reason := agent_packages.unavailable():
        pytest.skip(reason)
    return Programs()


@pytest.fixture(scope="module")
def api(lab):
    names = sorted({host for cli in CLIS.values() for host in (cli.host, *cli.beside)})
    for name in names:
        lab.dns.set(name, a=[at.SPARE])
    one = model_api.ModelApi(lab.up, at.SPARE, lab.ca, names)
    yield one
    one.close()


@pytest.fixture(scope="module")
def runs(lab, program, world, programs, api):
    """runs[agent, "allowed" | "denied"].result(): how the run ended. All are started here, a few at a time."""
    del api

    def run(agent, allowed):
        cli = CLIS[agent]
        home = Path(tempfile.mkdtemp(prefix=f"{agent}-", dir=world))
        for path, text in cli.files.items():
            (home / path).parent.mkdir(exist_ok=True)
            (home / path).write_text(text)
        hosts = (cli.host, *cli.beside) if allowed else ()
        policy = json.dumps({"domains": [{"host": host, "tls": "inspect"} for host in hosts]})
        jail = Jail(lab.gw, program, home, "root", policy=policy)
        own = {name: str(value).replace("/home/dev", str(home)) for name, value in agent_packages.described()[agent].get("environment", {}).items()}
        decisions = home / "decisions"
        begun = time.monotonic()
        process = jail.start(
            *programs[agent], *cli.arguments, args=["--trust", lab.ca.certificate, "--decisions", decisions, "--no-summary"],
            env={"HOME": str(home), "TERM": "xterm-256color", **own, **cli.environment}, stderr=subprocess.STDOUT)
        try:
            output = process.communicate(timeout=PATIENCE)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            process.kill()
            output = process.communicate()[0].decode(errors="replace") + f"\n(ended after {PATIENCE} s)"
        records = [json.loads(line) for line in decisions.read_text().splitlines()] if decisions.exists() else []
        return Ended(process.returncode, output, records, time.monotonic() - begun)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        yield {(agent, kind): pool.submit(run, agent, kind == "allowed") for agent in AGENTS for kind in ("allowed", "denied")}


def of_host(ended, agent, action):
    return [record for record in ended.decisions if record.get("host") == CLIS[agent].host and record.get("action") == action]


@pytest.mark.parametrize("agent", AGENTS)
def test_it_is_the_pinned_version(agent, programs, tmp_path):
    done = subprocess.run([*programs[agent], "--version"], check=True, capture_output=True, text=True, timeout=PATIENCE,
                          env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL)
    assert agent_packages.described()[agent]["package"]["version"] in done.stdout


@pytest.mark.parametrize("agent", AGENTS)
def test_it_works_where_its_host_is_allowed(agent, runs, api):
    """A reply is streamed to it, or, where it cannot be told which API to use, its first request reaches the origin."""
    ended = runs[agent, "allowed"].result()
    assert api.asked(CLIS[agent].host), ended.output[-3000:]
    requests = [record for record in of_host(ended, agent, "allowed") if record.get("status") == 200]
    assert requests, ended.decisions
    if CLIS[agent].replies:
        assert model_api.REPLY in ended.output, ended.output[-3000:]
        assert any(record["method"] == "POST" for record in requests)


@pytest.mark.parametrize("agent", AGENTS)
def test_it_shows_why_it_was_denied(agent, runs):
    """The control is the run above, which differs in the policy alone."""
    ended = runs[agent, "denied"].result()
    assert of_host(ended, agent, "blocked"), ended.output[-3000:]
    assert not [record for record in ended.decisions if record["action"] == "allowed"]
    assert model_api.REPLY not in ended.output
    assert CLIS[agent].shows_when_denied in ended.output, ended.output[-3000:]


def asked_for(ended):
    """Where its requests went, with a path where they were read."""
    return {(record["host"], record.get("path", "/"), record.get("method", "GET")) for record in ended.decisions if record.get("phase") in ("tls", "http")}


def services_in_full(agent):
    """The policy of its services with all their optional hosts."""
    def entry(name):
        groups = yaml.safe_load((_SERVICES / f"{name}.yaml").read_text()).get("optional")
        return {"name": name, "optional": list(groups)} if groups else name

    return json.dumps({"services": [entry(name) for name in agent_packages.described()[agent]["services"]]})


@pytest.mark.parametrize("agent", AGENTS)
def test_what_it_asks_for_is_in_its_services(agent, runs, program, tmp_path):
    own = (CLIS[agent].host, *CLIS[agent].beside)  # of which some are a model provider's, another service
    requests = asked_for(runs[agent, "allowed"].result()) | asked_for(runs[agent, "denied"].result())
    policy = tmp_path / "policy.yaml"
    policy.write_text(services_in_full(agent))
    for host, path, method in sorted(requests):
        if host not in own:
            explain = [program, "explain", "--policy", policy, "--method", method, f"https://{host}{path}"]
            done = subprocess.run(explain, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("agent", AGENTS)
def test_where_it_hides_the_reason_its_notes_say_where_that_is(agent):
    assert bool(CLIS[agent].hides) == ("http://gateway.internal/denials" in agent_packages.described()[agent]["notes"])
