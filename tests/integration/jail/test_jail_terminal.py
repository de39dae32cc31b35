"""Job control, the terminal and interactive shells: what a person at a keyboard does with a jailed command."""
# SPDX-License-Identifier: GPL-3.0-or-later

import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import termios
import time

import pytest

from jail import children, environment_of
from lab import wait

PROMPT = "OUT$ "


class Console:
    """A shell on a terminal of its own, whose keyboard and screen the test has."""

    def __init__(self, *command, env=None, cwd=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd or "/")
            os.execvpe(command[0], command, {**environment_of("user"), "TERM": "dumb", **(env or {})})
        self.screen = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def until(self, pattern, seconds=10):
        """What was shown up to and with the pattern (a regular expression)."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.screen)):
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            try:
                more = os.read(self.fd, 65536) if ready else b""
            except OSError:
                more = b""
            if not more:
                raise AssertionError(f"{pattern!r} did not appear; the screen shows:\n{self.screen}")
            self.screen += more.decode(errors="replace")
        shown, self.screen = self.screen[: found.end()], self.screen[found.end() :]
        return shown

    def foreground(self):
        return struct.unpack("i", fcntl.ioctl(self.fd, termios.TIOCGPGRP, b"\0" * 4))[0]

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


class Shell(Console):
    """bash, with a prompt that nothing echoes, and `jail CMD` for a jailed command."""

    def __init__(self, jail):
        super().__init__("bash", "--norc", "--noprofile", "-i", cwd=jail.folder)
        line = shlex.join(jail.command_line())
        self.until(r"\$ |# ")
        self.type("PS1='OU''T$ '; TERM=dumb\n")
        self.prompt()
        self.run(f"jail() {{ {line} \"$@\"; }}")

    def prompt(self):
        return self.until(re.escape(PROMPT))

    def run(self, line):
        """Types a line and waits for the next prompt."""
        self.type(line + "\n")
        return self.prompt()

    def status(self):
        self.type('echo "status"="$?"\n')
        found = re.search(r"status=(\d+)", self.until(r"status=\d+"))
        self.prompt()
        return int(found.group(1))


@pytest.fixture
def shell(jail):
    console = Shell(jail)
    yield console
    console.close()


def stopped(pid):
    return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "T"


def test_the_command_has_the_terminal(shell):
    shown = shell.run("jail sh -c 'tty; test -t 0 && test -t 1 && test -t 2 && echo all three'")
    assert "all three" in shown
    assert "/dev/pts/" in shown


def test_ctrl_c_ends_the_command(shell):
    # No shell: one that gets the signal before it starts its command lets the command live.
    script = "import os, signal; signal.signal(2, signal.SIG_DFL); os.write(1, b'started\\n'); signal.pause()"
    shell.type(f"jail /usr/bin/python3 -c \"{script}\"\n")
    shell.until("started\r")
    shell.type("\x03")
    shell.prompt()
    assert shell.status() == 128 + signal.SIGINT


def test_ctrl_c_reaches_the_command_once(shell):
    script = "import os, signal; signal.signal(2, lambda *_: os.write(1, b'got it\\n')); os.write(1, b'ready\\n')\n"
    shell.type(f"jail /usr/bin/python3 -c \"{script}for _ in range(2): signal.pause() if _ == 0 else __import__('time').sleep(0.5)\"\n")
    shell.until("ready\r")
    shell.type("\x03")
    assert shell.prompt().count("got it\r") == 1
    assert shell.status() == 0


def test_ctrl_backslash_ends_it_too(shell):
    shell.type("jail sh -c 'ulimit -c 0; echo started; exec sleep 600'\n")
    shell.until("started\r")
    shell.type("\x1c")
    shell.prompt()
    assert shell.status() == 128 + signal.SIGQUIT


def test_ctrl_z_stops_the_whole_job_and_fg_goes_on(shell):
    shell.type("jail sh -c 'echo started; read line; echo read:$line'\n")
    shell.until("started\r")
    shell.type("\x1a")
    assert "Stopped" in shell.prompt()
    assert shell.status() == 128 + signal.SIGTSTP
    shell.type("fg\n")
    shell.type("hello\n")
    shell.until("read:hello")
    shell.prompt()
    assert shell.status() == 0


def test_the_gateway_and_the_command_both_stop_and_both_go_on(shell):
    shell.type("jail sh -c 'echo started; exec sleep 600'\n")
    shell.until("started\r")
    gateway = wait.until(lambda: children(shell.pid), "the gateway")[0]
    command = wait.until(lambda: children(children(gateway)[0]), "the command")[0]
    shell.type("\x1a")
    shell.prompt()
    assert stopped(gateway)
    assert stopped(command)
    shell.run("bg")
    wait.until(lambda: not stopped(gateway) and not stopped(command), "both to go on")
    shell.run("kill %1; wait %1")
    assert shell.status() == 128 + signal.SIGTERM


def test_a_command_that_stops_itself_stops_the_job(shell):
    shown = shell.run("jail sh -c 'kill -STOP $$; echo on again'")
    assert "Stopped" in shown
    assert "on again" in shell.run("fg")


def test_a_background_job_that_reads_stops_and_reads_in_the_foreground(shell):
    shell.type("jail sh -c 'read line; echo read:$line' &\n")
    shell.prompt()
    gateway = wait.until(lambda: children(shell.pid), "the gateway")[0]
    wait.until(lambda: stopped(gateway), "the job to stop for input")
    shell.type("fg\n")
    shell.type("hello\n")
    shell.until("read:hello")
    shell.prompt()


def test_a_pipeline_with_a_pager_shares_the_terminal(shell):
    """Another member of the job reads the keyboard while the jailed command runs."""
    shell.type("jail sh -c 'echo first; sleep 0.2; echo second' | sh -c 'cat; read answer < /dev/tty; echo answer:$answer'\n")
    shell.until("second\r")
    shell.type("yes\n")
    shell.until("answer:yes")
    shell.prompt()


@pytest.mark.parametrize("inner", ["bash --norc --noprofile -i", "dash -i"])
def test_an_interactive_shell_has_job_control_in_the_jail(shell, inner):
    shell.type(f"jail env PS1='I''N$ ' {inner}\n")
    inside = r"IN\$ "
    shown = shell.until(inside)
    assert "no job control" not in shown
    shell.type("sleep 600\n")
    shell.until("sleep 600\r")
    wait.until(lambda: shell.foreground() not in (shell.pid, 0), "the inner job in the foreground")
    gateway = children(shell.pid)[0]
    first = children(gateway)[0]
    command = children(first)[0]
    sleeper = wait.until(lambda: children(command), "the inner job")[0]
    wait.until(lambda: open(f"/proc/{sleeper}/comm").read() == "sleep\n", "the inner job to be executed")
    wait.until(lambda: shell.foreground() == os.getpgid(sleeper), "the inner job to have the terminal")
    shell.type("\x1a")
    shell.until("Stopped")
    shell.until(inside)
    shell.type("fg\n")
    wait.until(lambda: not stopped(sleeper), "the inner job to go on")
    wait.until(lambda: shell.foreground() == os.getpgid(sleeper), "the inner job to have the terminal")
    shell.type("\x03")
    shell.until(inside)
    shell.type("kill -STOP $$\n")
    assert "Stopped" in shell.prompt()
    shell.type("fg\n")
    shell.type("echo still''here\n")
    shell.until("stillhere")
    shell.until(inside)
    shell.type("exit\n")
    shell.prompt()
    assert "plain" in shell.run("echo pl''ain")


def test_the_terminal_comes_back_to_who_had_it(jail):
    """A script, which does not take the terminal back itself, goes on reading after an interactive shell in a jail."""
    line = shlex.join(jail.command_line("env", "PS1=IN> ", "bash", "--norc", "--noprofile", "-i"))
    console = Console("sh", "-c", f"{line}; read answer; echo answer:$answer", cwd=jail.folder)
    try:
        console.until("IN> ")
        console.type("exit\n")
        console.until("exit\r\n")
        console.type("yes\n")
        console.until("answer:yes")
    finally:
        console.close()


def test_modes_are_put_back_after_a_command_that_was_killed(jail):
    line = shlex.join(jail.command_line("sh", "-c", "stty raw -echo; kill -KILL $$"))
    console = Console("sh", "-c", f"{line}; echo status:$?; stty -a", cwd=jail.folder)
    try:
        shown = console.until("-?icanon") + console.until("-?echo ")
    finally:
        console.close()
    assert f"status:{128 + signal.SIGKILL}" in shown
    assert "-icanon" not in shown
    assert "-echo " not in shown


def test_window_size_is_the_terminals(jail):
    script = "read go; stty size; trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"
    console = Console(*jail.command_line("bash", "-c", script), cwd=jail.folder)
    try:
        fcntl.ioctl(console.fd, termios.TIOCSWINSZ, struct.pack("4H", 33, 77, 0, 0))
        console.type("go\n")
        console.until("33 77")
        console.until("ready\r")
        fcntl.ioctl(console.fd, termios.TIOCSWINSZ, struct.pack("4H", 20, 90, 0, 0))
        console.until("20 90")
    finally:
        console.close()


def test_hanging_up_ends_the_jail(jail):
    console = Console(*jail.command_line("sh", "-c", "echo started; exec sleep 600"), cwd=jail.folder)
    console.until("started")
    first = children(console.pid)[0]
    os.close(console.fd)
    wait.until(lambda: not os.path.exists(f"/proc/{first}"), "the jail to end")
    assert os.waitpid(console.pid, 0)[1]


def test_keystrokes_cannot_be_injected_for_the_shell_outside(shell, jail):
    """TIOCSTI, also with bits that the kernel ignores (CVE-2019-10063), on the command's own controlling terminal."""
    shown = shell.run("jail " + " ".join(f"'{a}'" for a in jail.python("inject_keystrokes")))
    assert shown.count('"EPERM"') == 2


def test_the_summary_appears_on_a_terminal_and_only_there(shell):
    shown = shell.run("jail curl -s -o /dev/null http://denied.test/")
    assert "0 hosts allowed, 1 denied" in shown
    assert "- denied.test" in shown
    assert "\x1b[" not in shown, "TERM is dumb"
    assert "1 denied" not in shell.run("jail curl -s -o /dev/null http://denied.test/ 2> err")


def test_the_summary_is_coloured_unless_no_color_is_set(jail):
    for env, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
        console = Console(*jail.command_line("curl", "-s", "-o", "/dev/null", "http://denied.test/"), cwd=jail.folder, env=env)
        try:
            assert ("\x1b[31m" in console.until("- denied.test")) == coloured
        finally:
            console.close()
