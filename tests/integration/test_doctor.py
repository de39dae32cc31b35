"""`gateway doctor` and `gateway verify` say what is the case: kernel threads, sandboxes, capabilities, no network."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import shutil
import subprocess

import pytest

from lab import netns
from lab.agent import NOBODY


def doctor(binary, *arguments, before=()):
    done = subprocess.run([*before, binary, "doctor", *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def test_threads_of_the_kernel_are_no_processes_to_stop(gateway_binary):
    """On a machine they share its network, and their status says that they have every capability."""
    _, said = doctor(gateway_binary, "--in", "agent")
    assert "kthreadd" not in said and "kworker" not in said


def test_a_process_that_can_bypass_the_rules_is_named(gateway_binary):
    """The control of the one above."""
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        _, said = doctor(gateway_binary, "--in", "agent")
        assert f"process {sleeper.pid} (sleep)" in said or "more processes of this network can bypass the rules" in said
    finally:
        sleeper.kill()
        sleeper.wait(10)


def test_capabilities_that_cannot_be_used_do_not_count(gateway_binary):
    """An ordinary user's bounding set is full, and nothing of it is effective."""
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if not shutil.which("setpriv") or subprocess.run([*user, "test", "-x", gateway_binary], check=False).returncode:
        pytest.skip("an ordinary user cannot reach the program under test")
    status, said = doctor(gateway_binary, "--in", "gateway", before=user)
    assert status == 1 and "PROBLEM  CAP_NET_ADMIN is missing" in said
    assert "ok       has CAP_NET_ADMIN" in doctor(gateway_binary, "--in", "gateway")[1]


def test_a_sandbox_is_known(gateway_binary, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("domains: [allowed.test]\n")
    inside = [gateway_binary, "run", "--resolver", "192.0.2.53", "--policy", str(policy), "--"]
    status, said = doctor(gateway_binary, before=inside)
    assert "ok       this is a 'gateway run' sandbox" in said
    assert (status, "PROBLEM" in said) == (0, False), said


def test_json_says_the_same_as_the_text(gateway_binary):
    alone = ["unshare", "--net"]  # other processes come and go
    words = {"ok": "ok", "note": "note", "problem": "PROBLEM"}
    status, text = doctor(gateway_binary, "--in", "gateway", before=alone)
    json_status, said = doctor(gateway_binary, "--in", "gateway", "--format", "json", before=alone)
    findings = json.loads(said)["findings"]
    assert findings and json_status == status == (1 if any(one["level"] == "problem" for one in findings) else 0)
    shown = "".join(f"{words[one['level']]:7}  {one['text']}\n" + (f"         fix: {one['fix']}\n" if one["fix"] else "") for one in findings)
    assert shown == text
    assert {frozenset(one) for one in findings} == {frozenset(("level", "text", "fix"))}
    assert doctor(gateway_binary, "--in", "gateway", "--json", before=alone) == (status, said)


def test_without_a_network_verify_says_that_no_gateway_answers(gateway_binary):
    reason = netns.available()
    if reason:
        pytest.skip(reason)
    with netns.alone() as place:
        place.etc("resolv.conf", "nameserver 192.0.2.53\n")
        done = place.run(gateway_binary, "verify", check=False)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == "gateway: no gateway answers here (no route, no DNS)\n"
