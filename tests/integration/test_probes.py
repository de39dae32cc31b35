"""What gateway and `gateway verify` try on purpose is no denial that anybody is told of, and stays in the log."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import subprocess

import pytest
from test_sidecar import Sidecar

from lab import addresses as at
from lab import gateway as gateways
from lab import wait, web

PROBE_NAME = "verify.soleroute.example"


@pytest.fixture(autouse=True)
def _reachable(lab, gateway_binary):
    """The program where an ordinary user may execute it."""
    probe = lab.client_command("test", "-x", gateway_binary)
    if subprocess.run(probe, check=False).returncode:
        pytest.skip("an ordinary user cannot reach the program under test")


# All of one topology first, as the kernel may still report on what the other one's gateway sent.
@pytest.fixture(scope="module", params=["sidecar", "router"])
def topology(request):
    return request.param


@pytest.fixture
def started(topology, lab, make_gateway, tmp_path):
    """A gateway that has just started, and where an agent of it runs."""
    if topology == "router":
        yield make_gateway().start(), lab.agent
        return
    lab.reset_gateway_namespace()
    one = Sidecar(lab, tmp_path)
    yield one.start(), lab.gw
    one.stop()
    lab.reset_gateway_namespace()


def verify(place):
    done = subprocess.run(place.command(gateways.binary(), "verify"), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def read(gateway, tmp_path, *command):
    log = tmp_path / "decisions.json"
    log.write_bytes(b"\n".join(gateway.log.lines) + b"\n")
    done = subprocess.run([gateways.binary(), *command, str(log)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def denials(place):
    address = web.resolve(place, "gateway.internal").addresses()[0]
    return json.loads(web.http(place, "gateway.internal", "/denials", address).body)


def test_a_start_makes_no_decision(started):
    gateway, _ = started
    assert gateway.log.find(0, type="decision") == []


def test_an_idle_stacks_log_suggests_nothing(started, tmp_path):
    gateway, place = started
    verify(place)
    verify(place)
    wait.until(lambda: gateway.status()["counters"]["probes_denied"] >= 10)
    blocked = gateway.log.find(0, type="decision", action="blocked")
    assert len(blocked) >= 5, "they stay in the log"
    assert [record for record in blocked if record.get("probe") is not True] == []
    assert read(gateway, tmp_path, "suggest") == ""
    shown = read(gateway, tmp_path, "watch", "--denied", "--no-follow").splitlines()
    assert [line for line in shown if "  error  " not in line] == []
    assert "  probe " in read(gateway, tmp_path, "watch", "--no-follow")
    assert denials(place)["denials"] == [] and denials(place)["suggestion"] == ""
    counters = gateway.status()["counters"]
    assert (counters["decisions_denied"], counters["dns_denied"]) == (0, 0)


def test_an_agent_hides_nothing_behind_the_probes(started, tmp_path):
    gateway, place = started
    before = gateway.log.mark()
    web.resolve(place, f"secret-data.{PROBE_NAME}")
    web.http(place, PROBE_NAME, "/secret", address="192.0.2.1")
    web.http(place, "169.254.169.254", "/latest/meta-data/", address="169.254.169.254")
    web.http(place, "denied.test", "/gateway-verify", address=at.EV)
    gateway.log.wait_for(before, phase="http", host="denied.test")
    wait.until(lambda: len(gateway.log.find(before, action="blocked")) >= 4)
    assert gateway.log.find(before, probe=True) == []
    shown = read(gateway, tmp_path, "watch", "--denied", "--no-follow")
    for one in (f"secret-data.{PROBE_NAME}", f"{PROBE_NAME}/secret", "/latest/meta-data/", "denied.test/gateway-verify"):
        assert one in shown, one
    suggested = read(gateway, tmp_path, "suggest")
    assert "denied.test" in suggested, "the control"
    assert PROBE_NAME not in suggested and "169.254" not in suggested, "which no policy is meant to list"
    assert len(denials(place)["denials"]) >= 4


def test_a_suggestion_is_in_the_summary_of_a_ci_job(gateway_binary, tmp_path):
    (tmp_path / "log").write_text('{"type":"decision","phase":"http","action":"blocked","reason":"host_not_allowed","host":"a.test",'
                                  '"scheme":"http","port":80,"method":"GET","path":"/"}\n')
    summary = tmp_path / "summary.md"

    def suggest(*options):
        environment = {"PATH": "/usr/bin:/bin", "GITHUB_STEP_SUMMARY": str(summary)}
        return subprocess.run([gateway_binary, "suggest", str(tmp_path / "log"), *options], capture_output=True, text=True, timeout=60,
                              check=True, env=environment)  # fmt: skip

    assert suggest().stdout == "domains:\n  - a.test  # 1 time, GET\n"
    once = summary.read_text()
    assert "```yaml\ndomains:\n  - a.test  # 1 time, GET\n```" in once
    assert suggest("--format", "md").stdout == once, "which only prints it"
    assert summary.read_text() == once


def test_input_that_is_no_log_is_an_error(gateway_binary, tmp_path):
    for text, said in ((b"\x00\xff\n" * 3, "none of its 3 lines is a record"), (b"{}\n", "none of its 1 lines")):
        log = tmp_path / "log"
        log.write_bytes(text)
        for given, stdin in (([str(log)], None), (["-"], log.open("rb"))):
            done = subprocess.run([gateway_binary, "suggest", *given], stdin=stdin, capture_output=True, text=True, timeout=60, check=False)
            assert (done.returncode, done.stdout) == (2, ""), done
            assert said in done.stderr, done.stderr
    log.write_text("")
    done = subprocess.run([gateway_binary, "suggest", str(log)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "") and "no denials in the log" in done.stderr, done
    log.write_text('{"type":"lifecycle","event":"healthy"}\n')
    done = subprocess.run([gateway_binary, "suggest", str(log)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "") and "no denials in the log; nothing to suggest" in done.stderr
