"""Rules that would cut off a machine are refused, and rules that stay are found and removed."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import signal
import subprocess

import pytest

from lab import netns, wait

GATEWAY = "192.0.2.1"  # nothing is there: the rules are what is tested
TABLE = "table inet soleroute"
# In the namespace that is entered, process 1 seems to be of the same network namespace.
AS_PROCESS_1 = """
set -e
mount --make-rprivate /
mount -t tmpfs none /mnt
touch /mnt/net
mount --bind /proc/self/ns/net /mnt/net
mount --rbind /mnt /proc/1/ns
exec "$@"
"""


@pytest.fixture
def place(gateway_binary):
    reason = netns.available()
    if reason:
        pytest.skip(reason)
    with netns.alone() as one:
        one.binary = gateway_binary
        yield one


def ask(place, *arguments):
    return place.run(place.binary, *arguments, check=False)


def has_rules(place):
    return TABLE in place.run("nft", "list", "tables").stdout


class Guard:
    def __init__(self, place, folder, *options):
        self.control = str(folder / "control.sock")
        self.log = folder / "log"
        command = place.command(place.binary, "guard", "--gateway", GATEWAY, "--control", self.control, *options)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait.until(lambda: '"event":"open_rules"' in self.log.read_text() or self.process.poll() is not None, "the guard")
        assert self.process.poll() is None, self.log.read_text()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(10)


@pytest.fixture
def guard(place, tmp_path):
    one = Guard(place, tmp_path)
    yield one
    if one.process.poll() is None:
        one.end(signal.SIGKILL)


def test_what_stays_is_said_at_the_end_found_by_doctor_and_removed(place, guard):
    assert guard.end() == 0
    assert "To remove them: gateway unguard" in guard.log.read_text()
    assert has_rules(place)
    found = ask(place, "doctor")
    assert found.returncode == 1
    assert "PROBLEM  nftables table inet soleroute is left over" in found.stdout
    assert "fix: gateway unguard" in found.stdout
    removed = ask(place, "unguard", "--control", guard.control)
    assert (removed.returncode, removed.stderr) == (0, "")
    assert "removed nftables table inet soleroute" in removed.stdout
    assert not has_rules(place)
    again = ask(place, "unguard", "--control", guard.control)
    assert (again.returncode, again.stdout) == (0, "no nftables table inet soleroute here; nothing to remove\n")
    assert "left over" not in ask(place, "doctor").stdout


def test_rules_are_not_removed_while_a_guard_runs(place, guard, tmp_path):
    for control in (guard.control, str(tmp_path / "another.sock")):
        refused = ask(place, "unguard", "--control", control)
        assert refused.returncode == 3, refused.stdout
        assert "Stop it first" in refused.stderr
        assert has_rules(place)
    assert "left over" not in ask(place, "doctor").stdout
    guard.end(signal.SIGKILL)
    assert ask(place, "unguard", "--control", guard.control).returncode == 0
    assert not has_rules(place)


def test_other_tables_stay(place, guard):
    place.nft("table inet other { }")
    guard.end()
    for removed in (True, False):
        done = ask(place, "unguard", "--control", guard.control, "--json")
        assert (done.returncode, json.loads(done.stdout)) == (0, {"table": "inet soleroute", "removed": removed})
    assert place.run("nft", "list", "tables").stdout == "table inet other\n"


@pytest.mark.parametrize(
    "arguments", [("guard", "--gateway", GATEWAY), ("--topology", "sidecar", "--resolver", GATEWAY), ("--topology", "sidecar", "--close")]
)
def test_a_second_start_touches_no_rule_of_the_first(place, guard, arguments):
    before = place.run("nft", "list", "ruleset").stdout
    second = ask(place, *arguments, "--control", guard.control)
    assert second.returncode == 3
    assert f"another gateway runs here (control socket {guard.control})" in second.stderr
    assert place.run("nft", "list", "ruleset").stdout == before
    assert "changed" not in guard.log.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("guard", "--gateway", GATEWAY),
        ("--topology", "sidecar"),
        ("--topology", "sidecar", "--close"),
        ("--topology", "router", "--claim", "192.0.2.9/24"),
    ],
)
def test_a_machines_own_network_is_not_cut_off(place, tmp_path, arguments):
    control = ("--control", str(tmp_path / "control.sock"))
    fake = ["unshare", "--mount", "sh", "-c", AS_PROCESS_1, "sh", place.binary, *arguments, *control]
    refused = place.run(*fake, check=False, timeout=20)
    assert refused.returncode == 2, refused.stdout
    assert "--this-machine" in refused.stderr and "Nothing was changed" in refused.stderr
    assert not has_rules(place)
    assert not (tmp_path / "control.sock").exists()


def test_a_machines_own_network_may_be_meant(place, tmp_path):
    close = ("--topology", "sidecar", "--close", "--control", str(tmp_path / "control.sock"))
    fake = ["unshare", "--mount", "sh", "-c", AS_PROCESS_1, "sh", place.binary, *close]
    done = place.run(*fake, "--this-machine", timeout=20)
    assert "To remove them: gateway unguard" in done.stdout
    assert has_rules(place)
    assert ask(place, "unguard").returncode == 0
    assert place.run(*fake, check=False, timeout=20).returncode == 2  # the control: it is what the option allows
    assert place.run("env", "GATEWAY_THIS_MACHINE=true", *fake, timeout=20).returncode == 0
