"""The help page of every command is tests/golden/help/COMMAND.txt, and fits a terminal of 80 columns.

SOLEROUTE_UPDATE_GOLDEN=1 writes the files anew; the diff is then the review.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden/help"
SERVING = ("CLAIM", "CLOSE", "INSIDE", "LISTEN", "METRICS", "MODE", "NO_RULES", "TOPOLOGY")


def environment(**variables):
    return {"PATH": "/usr/bin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", **variables}


def run(program, *arguments, **variables):
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=20, env=environment(**variables))


def page(program, *arguments, **variables):
    done = run(program, *arguments, **variables)
    assert done.returncode == 0 and done.stderr == "", (arguments, done.stderr)
    return done.stdout


def commands(program):
    found = re.findall(r"^  ([a-z]+)  ", page(program, "--help").split("\nOptions:")[0], re.MULTILINE)
    assert len(found) > 15 and len(set(found)) == len(found)
    return found


def pages(program):
    """Every page, by the name of its golden file."""
    every = {"overview": page(program), "gateway": page(program, "--help")}
    return every | {command: page(program, command, "--help") for command in commands(program)}


def test_every_page_is_its_golden_file(gateway_binary):
    shown = pages(gateway_binary)
    if os.environ.get("SOLEROUTE_UPDATE_GOLDEN"):
        for stale in set(GOLDEN.glob("*.txt")) - {GOLDEN / f"{name}.txt" for name in shown}:
            stale.unlink()
        for name, text in shown.items():
            (GOLDEN / f"{name}.txt").write_text(text, encoding="utf-8")
    golden = {file.stem: file.read_text(encoding="utf-8") for file in GOLDEN.glob("*.txt")}
    assert sorted(golden) == sorted(shown), "a command has no golden file, or a golden file no command"
    for name, text in shown.items():
        assert text == golden[name], f"{name}: SOLEROUTE_UPDATE_GOLDEN=1 writes the file anew"


def test_no_line_of_a_page_is_wider_than_80_columns(gateway_binary):
    for name, text in pages(gateway_binary).items():
        assert [line for line in text.splitlines() if len(line) > 80 or line != line.rstrip()] == [], name


def test_options_and_commands_are_described_in_lower_case_without_a_full_stop(gateway_binary):
    described = 0
    for name, text in pages(gateway_binary).items():
        for entry in re.split(r"\n(?=  \S|      --|\S|\n)", text):
            found = re.match(r"^ +(-\S.*?|[a-z]+)(?:  +|\n {28})(\S.*)$", entry, re.DOTALL)
            if found and not found[1].startswith("gateway"):
                described += 1
                text = re.sub(r"\s+", " ", found[2])
                assert not text.endswith("."), (name, entry)
                assert text[0].islower() or text.split()[0].strip("'") in {"PEM", "Compose", "Unix"}, (name, entry)
    assert described > 100


def test_a_page_follows_the_width_of_a_terminal_but_not_in_a_pipe(gateway_binary):
    def widest(text):
        return max(len(line) for line in text.splitlines())

    def on_terminal(columns, **variables):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([gateway_binary, "suggest", "--help"], stdout=slave, env=environment(**variables))
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 65536):
                shown += part
        except OSError:
            pass  # EIO: the other side is closed
        finally:
            os.close(master)
        assert process.wait(timeout=20) == 0
        return shown.decode().replace("\r\n", "\n")

    assert on_terminal(110).count("\n") < on_terminal(60).count("\n")
    assert widest(page(gateway_binary, "check", "--help", COLUMNS="60")) <= 60
    assert 80 < widest(on_terminal(200)) <= 120
    assert 80 < widest(on_terminal(60, COLUMNS="110")) <= 110, "COLUMNS is the user's word"
    assert page(gateway_binary, "check", "--help", COLUMNS="200") == page(gateway_binary, "check", "--help")


def test_the_first_page_is_short_and_names_every_command(gateway_binary):
    text = page(gateway_binary)
    assert text == page(gateway_binary, "help")
    assert text.count("\n") <= 24, "one screen"
    assert len(re.findall(r"^  gateway ", text, re.MULTILINE)) == 3
    missing = [command for command in commands(gateway_binary) if not re.search(rf"\b{command}\b", text)]
    assert missing == []


def test_help_shows_the_page_of_a_command_in_every_form(gateway_binary):
    for command in commands(gateway_binary):
        text = page(gateway_binary, command, "--help")
        assert text.startswith(f"Usage: gateway {command}")
        assert page(gateway_binary, "help", command) == text == page(gateway_binary, command, "-h")
    wrong = run(gateway_binary, "help", "chek")
    assert wrong.returncode == 2 and "unknown command 'chek', did you mean 'check'?" in wrong.stderr


def test_version_is_said_in_every_form(gateway_binary):
    said = page(gateway_binary, "version")
    assert re.fullmatch(r"gateway \d\S*( \([0-9a-f]{7,}[^)]*\))?\n", said)
    assert page(gateway_binary, "--version") == said == page(gateway_binary, "-V")
    verbose = page(gateway_binary, "version", "-v")
    assert verbose.startswith(said) and re.search(r"^kernel +\d", verbose, re.MULTILINE)


def test_quiet_leaves_the_exit_status_and_the_errors(gateway_binary):
    loud, quiet = (run(gateway_binary, "doctor", "--in", "agent", *flag) for flag in ((), ("-q",)))
    assert loud.stdout and quiet.stdout == ""
    assert loud.returncode == quiet.returncode
    wrong = run(gateway_binary, "doctor", "-q", "--in", "nowhere")
    assert wrong.returncode == 2 and "--in" in wrong.stderr


@pytest.mark.parametrize("prefix", ["GATEWAY_", "SOLEROUTE_"])
@pytest.mark.parametrize("name", SERVING)
def test_no_argument_serves_where_a_variable_of_serving_is_set(gateway_binary, prefix, name):
    done = run(gateway_binary, **{prefix + name: "true", prefix + "WORKERS": "0"})
    assert done.returncode == 2 and f"{prefix}WORKERS" in done.stderr and done.stdout == ""
    assert run(gateway_binary, **{prefix + "WORKERS": "0"}).returncode == 0, "the control: a variable that other commands read"


def test_the_forms_with_and_without_the_command_serve_mean_the_same(gateway_binary):
    options = ("--topology", "sidecar", "--dry-run", "--explicit-proxy", "3128")
    rules = page(gateway_binary, *options)
    assert "table inet soleroute" in rules and rules == page(gateway_binary, "serve", *options)
    assert rules != page(gateway_binary, "serve", "--topology", "sidecar", "--dry-run"), "the control: the port is in the rules"


def test_a_soleroute_variable_means_the_same_and_wins(gateway_binary):
    def refused(**variables):
        return run(gateway_binary, "serve", "--dry-run", **variables).stderr

    assert "GATEWAY_LOG: 'loud'" in refused(GATEWAY_LOG="loud")
    assert "SOLEROUTE_LOG: 'shout'" in refused(GATEWAY_LOG="loud", SOLEROUTE_LOG="shout")
    assert "--log: 'shout'" in run(gateway_binary, "serve", "--dry-run", "--log", "shout", GATEWAY_LOG="quiet").stderr
    assert "SOLEROUTE_CLAIM: " in refused(SOLEROUTE_CLAIM="nonsense", GATEWAY_CLAIM="10.0.0.1/24")
    assert "GATEWAY_WORKERS: " in refused(GATEWAY_WORKERS="0")
    assert "--workers: " in run(gateway_binary, "serve", "--dry-run", "--workers", "0", GATEWAY_WORKERS="1").stderr


def test_a_variable_of_another_command_is_no_error(gateway_binary, tmp_path):
    (tmp_path / "policy.yaml").write_text("domains: [a.test]\n")
    arguments = ("check", str(tmp_path / "policy.yaml"))
    assert page(gateway_binary, *arguments, GATEWAY_WORKERS="nonsense") == page(gateway_binary, *arguments)


def test_a_list_in_a_variable_is_separated_by_commas_or_by_line_breaks(gateway_binary, tmp_path):
    for name in ("a", "b", "a,b"):
        (tmp_path / name).write_text(f"domains: [{name.replace(',', '-')}.test]\n")

    def allowed(value):
        return set(re.findall(r"[\w-]+\.test", page(gateway_binary, "check", "--json", "-q", GATEWAY_POLICY=value)))

    assert allowed(f"{tmp_path}/a,{tmp_path}/b") == {"a.test", "b.test"}
    assert allowed(f"{tmp_path}/a\n{tmp_path}/b\n") == {"a.test", "b.test"}
    assert allowed(f"{tmp_path}/a,b\n") == {"a-b.test"}


@pytest.mark.parametrize(("variable", "meant"), [
    ("GATEWAY_POLCY", "GATEWAY_POLICY"), ("SOLEROUTE_POLCY", "SOLEROUTE_POLICY"), ("GATEWAY_TOPOLGY", "GATEWAY_TOPOLOGY"),
    ("GATEWAY_RESOLVERS", "GATEWAY_RESOLVER"), ("GATEWAY_POLICY", None), ("GATEWAY_URL", None), ("GATEWAY_PORT", None),
    ("GATEWAY_SERVICE_HOST", None), ("GATEWAY_SERVICE_PORT", None), ("GATEWAY_SERVICE_PORT_LOG", None), ("GATEWAY_LOGS_PORT", None),
    ("GATEWAY_PORT_8080_TCP_ADDR", None), ("SOLEROUTE_PORT_80_TCP", None), ("MY_GATEWAY_POLCY", None),
])  # fmt: skip
def test_a_misspelt_variable_is_a_warning_and_one_of_kubernetes_is_not(gateway_binary, variable, meant):
    done = run(gateway_binary, "serve", "--topology", "sidecar", "--dry-run", **{variable: ""})
    assert done.returncode == 0, done.stderr
    said = f"gateway: warning: unknown variable {variable}, did you mean {meant}?\n" if meant else ""
    assert done.stderr == said
