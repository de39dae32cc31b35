"""In a container whose engine hides parts of /proc no fresh one can be mounted: the jail does without a PID namespace."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import signal
import subprocess

import pytest

from jail import children, descendants, gone, wait_gone
from lab import addresses as at
from lab import wait

# As Docker does it, in a mount namespace of the test's own.
MASKED = ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /proc/version && exec "$@"', "sh"]
SERVICE = "setsid sh -c 'trap \"\" TERM HUP INT; sleep 600 & sleep 600' & (sleep 600 &) ; echo up; "


@pytest.fixture(params=["user", "docker-root"])
def masked(request, jail_of):
    jail = jail_of(request.param)
    plain, hidden = jail.start, MASKED
    jail.start = lambda *command, **options: plain(*command, **{"prefix": hidden, **options})
    return jail


def test_the_command_runs_as_anywhere_else(masked):
    found = masked.calls(("state",), ("get", "http://allowed.test/"), ("get", "http://denied.test/"), ("connect", at.EV, 22))
    state, allowed, denied, refused = found
    assert state["pid"] != 2, "no PID namespace: this test would prove nothing"
    assert set(state["capabilities"].values()) == {0}
    assert state["fds"] == [0, 1, 2]
    assert (allowed["status"], denied["status"], refused["how"]) == (200, 403, "ECONNREFUSED")
    assert masked.run("sh", "-c", "exit 7").returncode == 7
    assert masked.run("sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL


def test_processes_outside_can_be_seen_but_not_entered(masked):
    prefix = masked.command_line()[: masked.command_line().index(masked.program)]
    with subprocess.Popen([*prefix, "sleep", "600"]) as bystander:
        try:
            wait.until(lambda: open(f"/proc/{bystander.pid}/comm").read() == "sleep\n", "the bystander")
            process, _ = masked.ready("sh", "-c", "echo up; exec sleep 60")
            refused = {"EPERM", "EACCES"}
            for pid in (bystander.pid, process.pid, children(process.pid)[0]):
                found = masked.call("intrude", pid)
                assert found.pop("net") in {"open EACCES", "open EPERM"}
                assert set(found.pop("pidfd_getfd")) <= refused
                # The memory map and the environment of an ordinary process are its user's to read, as /proc decides.
                assert set(found.values()) <= refused, found
            process.terminate()
        finally:
            bystander.kill()


def test_what_the_command_left_running_ends_with_it(masked):
    process, _ = masked.ready("sh", "-c", SERVICE + "read line", stdin=subprocess.PIPE)
    everyone = wait.until(lambda: len(d := descendants(process.pid)) >= 6 and d, "everybody")
    process.stdin.close()
    assert process.wait(10) == 1
    wait_gone(everyone)


@pytest.mark.parametrize("victim", ["gateway", "first process"])
def test_nothing_is_left_whoever_is_killed(masked, victim):
    process, _ = masked.ready("sh", "-c", SERVICE + "sleep 600")
    everyone = wait.until(lambda: len(d := descendants(process.pid)) >= 7 and d, "everybody")
    os.kill(process.pid if victim == "gateway" else everyone[0], signal.SIGKILL)
    process.wait(10)
    wait_gone(everyone)


def test_a_command_that_kills_the_gateway_has_no_network_and_no_life(masked):
    script = (
        "import json, os, sys; sys.path.insert(0, os.path.dirname(sys.argv[1])); import inside\n"
        "first = os.getppid(); gateway = int(open(f'/proc/{first}/stat').read().rsplit(')', 1)[1].split()[1])\n"
        "print('up', flush=True); os.kill(gateway, 9)\n"
        "print(json.dumps(inside.get('http://allowed.test/')), flush=True); import time; time.sleep(600)\n"
    )
    process, _ = masked.ready("/usr/bin/python3", "-B", "-c", script, masked.inside)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    assert not out or json.loads(out)["status"] == 0


def test_orphans_are_reaped(masked):
    process, _ = masked.ready("sh", "-c", "for i in $(seq 50); do (true &) ; done; echo up; read line",
                              stdin=subprocess.PIPE)  # fmt: skip
    first = children(process.pid)[0]
    wait.until(lambda: len(children(first)) == 1, "only the command to be left")
    assert not gone(first)
    process.stdin.close()
    process.wait(10)
