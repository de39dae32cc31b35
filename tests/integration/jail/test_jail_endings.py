"""However a jail ends, nothing of it is left, and the host is as it was."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import signal
import subprocess
import time

import pytest

from jail import children, descendants, wait_gone
from lab import wait


def host_state(lab):
    return {
        "interfaces": lab.gw.ip("-o", "link"),
        "addresses": lab.gw.ip("-o", "address"),
        "routes": lab.gw.ip("route") + lab.gw.ip("-6", "route"),
        "rules": lab.gw.run("nft", "list", "ruleset").stdout,
        "mounts": open("/proc/self/mountinfo").read(),
        "resolv.conf": open("/etc/resolv.conf").read(),
        "temporary": sorted(n for n in os.listdir("/tmp") if "soleroute" in n or "gateway" in n),
    }


def whole_tree(process, at_least):
    """Everyone below the gateway, once there are that many."""
    found = wait.until(lambda: len(d := descendants(process.pid)) >= at_least and d, f"{at_least} processes in the jail")
    return found


SERVICE = "setsid sh -c 'trap \"\" TERM HUP INT; sleep 600 & sleep 600' & (sleep 600 &) ; echo up; "


def test_what_the_command_left_running_ends_with_it(any_jail, lab):
    before = host_state(lab)
    process, _ = any_jail.ready("sh", "-c", SERVICE + "read line", stdin=subprocess.PIPE)
    everyone = whole_tree(process, 6)
    process.stdin.close()
    assert process.wait(10) == 1, "read's own status at the end of its input"
    wait_gone(everyone)
    assert host_state(lab) == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_the_gateway_killed(any_jail, lab, number):
    before = host_state(lab)
    process, _ = any_jail.ready("sh", "-c", SERVICE + "sleep 600")
    everyone = whole_tree(process, 7)
    process.send_signal(number)
    process.wait(10)
    wait_gone(everyone)
    assert host_state(lab) == before


def test_the_command_killed(any_jail, lab):
    before = host_state(lab)
    process, _ = any_jail.ready("sh", "-c", SERVICE + "exec sleep 600")
    everyone = whole_tree(process, 6)
    command = children(everyone[0])[0]
    os.kill(command, signal.SIGKILL)
    assert process.wait(10) == 128 + signal.SIGKILL
    wait_gone(everyone)
    assert host_state(lab) == before


def test_the_jails_first_process_killed(any_jail):
    process, _ = any_jail.ready("sh", "-c", SERVICE + "sleep 600")
    everyone = whole_tree(process, 7)
    os.kill(everyone[0], signal.SIGKILL)
    assert process.wait(10) == 3
    assert b"killed from outside" in process.stderr.read()
    wait_gone(everyone)


def test_killed_at_any_moment_of_the_start(jail, lab):
    """SIGKILL from 0 to 60 ms after the start: never a process, an interface or a mount left."""
    before = host_state(lab)
    for step in range(30):
        process = jail.start("sleep", "600")
        time.sleep(step * 0.002)  # what is swept over, not a wait for something
        everyone = descendants(process.pid)
        process.kill()
        process.wait()
        wait_gone(everyone)
    wait.until(lambda: host_state(lab) == before, "the host to be as it was")
    assert subprocess.run(["pgrep", "-f", jail.program], check=False, capture_output=True).stdout == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_signals_to_the_gateway_reach_the_command(any_jail, number):
    script = "import os, signal\ndef on(n, f): os.write(1, b'got %d\\n' % n); os._exit(42)\n"
    script += f"signal.signal({int(number)}, on)\nos.write(1, b'ready\\n')\nwhile True: signal.pause()\n"
    process, _ = any_jail.ready("/usr/bin/python3", "-c", script, start_new_session=True)
    process.send_signal(number)
    assert process.stdout.read() == f"got {int(number)}\n".encode()
    assert process.wait(10) == 42


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM])
def test_a_signal_that_the_command_does_not_catch_ends_it(jail, number):
    process, _ = jail.ready("sh", "-c", "echo up; exec sleep 600", start_new_session=True)
    process.send_signal(number)
    assert process.wait(10) == 128 + number


def test_a_signal_that_the_command_ignores_ends_nobody(jail):
    process, _ = jail.ready("sh", "-c", "trap '' TERM; echo up; read line; echo still", start_new_session=True,
                            stdin=subprocess.PIPE)  # fmt: skip
    process.send_signal(signal.SIGTERM)
    process.stdin.write(b"x\n")
    process.stdin.close()
    assert process.stdout.read() == b"still\n"
    assert process.wait(10) == 0


def test_orphans_are_reaped(jail):
    """Two hundred double forks: none stays a zombie of the jail's first process."""
    script = "for i in $(seq 200); do (true &) ; done; echo up; read line"
    process, _ = jail.ready("sh", "-c", script, stdin=subprocess.PIPE)
    first = children(process.pid)[0]
    wait.until(lambda: len(children(first)) == 1, "only the command to be left")
    process.stdin.close()
    process.wait(10)


def test_no_descriptor_or_memory_of_the_gateway_grows_with_many_commands(jail):
    """The same jail again and again: a leak would be on the host, and there is none to leak to."""
    for _ in range(20):
        assert jail.run("true").returncode == 0
    assert subprocess.run(["pgrep", "-f", jail.program], check=False, capture_output=True).stdout == b""
