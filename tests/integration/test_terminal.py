"""What commands print on a terminal and in a pipe: colour, and the log of a serving command for people or as JSON."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import pty
import subprocess

import pytest

from lab import netns, wait

VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM")
ESCAPE = "\x1b["


@pytest.fixture
def explain(gateway_binary, tmp_path):
    """What `gateway explain` prints about a host that is denied."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("domains: [allowed.test]\n")

    def run(terminal, *options, **variables):
        environment = {k: v for k, v in os.environ.items() if k not in VARIABLES} | {"TERM": "xterm"} | variables
        command = [gateway_binary, "explain", "--policy", str(policy), *options, "https://denied.test/"]
        if not terminal:
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
        ours, theirs = pty.openpty()
        with open(theirs, "wb", closefd=True) as end:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=end, stderr=end)
        return drained(ours, process)

    return run


def drained(terminal, process):
    """What `process` wrote to the terminal until it ended."""
    said = b""
    with open(terminal, "rb", buffering=0) as end:
        while True:
            try:
                part = end.read(4096)
            except OSError:  # nobody has the other end any more
                break
            if not part:
                break
            said += part
    process.wait(10)
    return said.decode()


@pytest.mark.parametrize(
    ("terminal", "options", "variables", "coloured"),
    [
        (True, (), {}, True),
        (False, (), {}, False),
        (True, (), {"NO_COLOR": "1"}, False),
        (True, (), {"NO_COLOR": ""}, True),
        (True, (), {"TERM": "dumb"}, False),
        (True, (), {"CLICOLOR": "0"}, False),
        (False, (), {"FORCE_COLOR": "1"}, True),
        (True, (), {"FORCE_COLOR": "0"}, False),
        (False, (), {"CLICOLOR_FORCE": "1"}, True),
        (False, (), {"CLICOLOR_FORCE": "0"}, False),
        (False, ("--color", "always"), {"NO_COLOR": "1"}, True),
        (True, ("--color=never",), {"FORCE_COLOR": "1"}, False),
        (True, ("--color=auto",), {}, True),
    ],
)
def test_verdicts_have_colour_where_it_is_wanted(explain, terminal, options, variables, coloured):
    said = explain(terminal, *options, **variables)
    assert "blocked" in said
    assert (ESCAPE in said) is coloured
    assert said.startswith(f"{ESCAPE}1;31mblocked{ESCAPE}0m  " if coloured else "blocked  ")


def test_another_word_for_colour_is_an_error(gateway_binary):
    done = subprocess.run([gateway_binary, "doctor", "--color", "sometimes"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--color" in done.stderr


@pytest.fixture
def place(gateway_binary):
    reason = netns.available()
    if reason:
        pytest.skip(reason)
    with netns.alone() as one:
        one.binary = gateway_binary
        yield one


def serve(place, folder, output, *options):
    """A guard that writes its log there and ends once it stands."""
    control = folder / "control.sock"
    command = place.command(place.binary, "guard", "--gateway", "192.0.2.1", "--control", str(control), *options)
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL)
    wait.until(lambda: control.exists() or process.poll() is not None, "the guard to stand")
    process.terminate()
    return process


@pytest.mark.parametrize(("options", "text"), [((), False), (("--log-format", "json"), False), (("--log-format", "text"), True)])
def test_a_log_in_a_pipe_is_json_unless_text_is_asked_for(place, tmp_path, options, text):
    with (tmp_path / "log").open("wb") as log:
        assert serve(place, tmp_path, log, *options).wait(10) == 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines
    if not text:
        assert {json.loads(line)["type"] for line in lines} <= {"lifecycle", "error"}
        return
    assert lines[0].endswith("  starting    locking this network namespace")
    assert lines[-1].endswith("nothing leaves this namespace. To remove them: gateway unguard")
    assert not any(line.startswith("{") or ESCAPE in line for line in lines)


@pytest.mark.parametrize(("options", "text"), [((), True), (("--log-format=json",), False)])
def test_a_log_on_a_terminal_is_text_unless_json_is_asked_for(place, tmp_path, options, text):
    ours, theirs = pty.openpty()
    with open(theirs, "wb", closefd=True) as end:
        process = serve(place, tmp_path, end, *options)
    first = drained(ours, process).splitlines()[0]
    assert process.returncode == 0
    if text:
        assert first.split(maxsplit=2)[1:] == ["starting", "locking this network namespace"]
    else:
        assert json.loads(first)["event"] == "starting"
