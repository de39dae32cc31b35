"""`gateway run` has a control socket: an operator's second terminal reaches it, the jailed command does not."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import subprocess
from pathlib import Path

import pytest

from jail import KINDS, NOBODY, environment_of
from lab import addresses as at
from lab import control, wait

threat = pytest.mark.threat
POLICY = "domains: [allowed.test]\n"


class Beside:
    """A jail that serves until close(), and the operator of its second terminal."""

    def __init__(self, jail, runtime, *command):
        self.jail, self.runtime = jail, runtime
        before = set(self.sockets())
        self.process = jail.start(*command, env={"XDG_RUNTIME_DIR": str(runtime)})
        wait.until(lambda: set(self.sockets()) - before or self.process.poll() is not None, "the control socket")
        (self.socket,) = set(self.sockets()) - before

    def sockets(self):
        # Of sudo's user there is no variable; /tmp is the last place, where there is no /run/user.
        folders = [self.runtime / "soleroute", Path(f"/run/user/{self.jail.uid}/soleroute"), Path("/run/soleroute"), Path(f"/tmp/soleroute-{self.jail.uid}")]
        return [path for folder in folders if folder.is_dir() for path in folder.glob("run-*.sock")]

    def gateway(self, word, *arguments):
        """(exit status, stdout, stderr) of the command in the second terminal."""
        user = [] if self.jail.uid == 0 else ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        environment = {**environment_of(self.jail.kind), "XDG_RUNTIME_DIR": str(self.runtime)}
        done = subprocess.run(self.jail.namespace.command(*user, self.jail.program, word, *arguments), capture_output=True, text=True,
                              timeout=30, check=False, cwd=self.jail.folder, env=environment)  # fmt: skip
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def runtime(folder):
    path = folder / "runtime"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def beside(jail_of, runtime):
    def make(kind="user", command=("sleep", "60"), policy=POLICY):
        jail = jail_of(kind, policy=policy)
        os.chown(runtime, jail.uid, jail.uid)
        return Beside(jail, runtime, *command)

    return make


LOOP = "until /usr/bin/curl -sf http://cdn-allowed.test/ -o answer; do sleep 0.1; done"


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_terminal_allows_what_the_command_waits_for(beside, kind):
    run = beside(kind, command=("sh", "-c", LOOP))
    assert run.gateway("allowed")[1].startswith("no entries")
    assert run.process.poll() is None
    assert run.gateway("allow", "cdn-allowed.test", "--for", "5m") == (0, "cdn-allowed.test is allowed for 5 min\n", "")
    assert run.process.wait(20) == 0
    assert (run.jail.folder / "answer").read_text() == "CDN\n"
    assert not run.socket.exists(), "it goes with the run"


# Waits until the file "go" tells it the path, and says how each attempt ends, and what the socket's folder holds.
PROBE = """
import os, socket, time

def tried(where):
    try:
        link = socket.socket(socket.AF_UNIX)
        link.connect(where)
        link.sendall(b'{"ask":"allow","host":"denied.test"}\\n')
        return link.recv(4096).decode()
    except OSError as error:
        return type(error).__name__

while not os.path.exists("go"):
    time.sleep(0.05)
path = open("go").read()
folder, name = os.path.split(path)
os.symlink(folder, "led")
views = [path, "led/" + name, "/proc/self/root" + path, "/proc/1/root" + path, f"/proc/{os.getppid()}/root{path}"]
print([tried(view) for view in views], os.listdir(folder), flush=True)
"""


@threat("T252")
@pytest.mark.parametrize("kind", KINDS)
def test_the_command_does_not_reach_the_socket(beside, kind):
    """Neither at its path, nor in the gateway's own view of the files, nor where a link leads to the folder."""
    run = beside(kind, command=("python3", "-c", PROBE))
    assert control.ask(run.socket, ask="status")["health"] == "healthy", "control: outside it answers"
    (run.jail.folder / "go.new").write_text(str(run.socket))
    (run.jail.folder / "go.new").rename(run.jail.folder / "go")
    out, err = run.process.communicate(timeout=20)
    assert run.process.returncode == 0, err
    assert b"accepted" not in out and out.count(b"FileNotFoundError") >= 2 and out.strip().endswith(b" []"), out


@threat("T252")
def test_a_link_in_the_place_of_the_folder_is_passed_over(beside, runtime, folder):
    """A command of an earlier run may have put it there, to a folder that the next command reaches."""
    led = folder / "led"
    led.mkdir(mode=0o777)
    led.chmod(0o777)
    (runtime / "soleroute").symlink_to(led)
    run = beside()
    assert not list(led.iterdir()), "no socket where the command could reach it"
    assert "run-" in run.socket.name and run.socket.parent.name == f"soleroute-{NOBODY}"
    assert control.ask(run.socket, ask="status")["topology"] == "jail"


@threat("T252")
def test_a_process_of_another_network_is_refused_even_as_the_same_user(beside, lab):
    run = beside()
    ask = "import socket,sys\nl=socket.socket(socket.AF_UNIX)\nl.connect(sys.argv[1])\nl.sendall(b'{\"ask\":\"allowed\"}\\n')\nprint(l.recv(4096).decode())"
    answers = {}
    for name, namespace in (("own", lab.gw), ("other", lab.up)):
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        done = subprocess.run(namespace.command(*user, "/usr/bin/python3", "-c", ask, str(run.socket)), capture_output=True, text=True, timeout=20, check=False)
        answers[name] = json.loads(done.stdout)
    assert answers == {"own": {"entries": []}, "other": {"error": "only root and the gateway's own user may ask"}}


def test_several_runs_are_listed_and_one_is_chosen(beside, jail_of, runtime):
    first, second = beside(), beside()
    status, out, errors = first.gateway("allow", "denied.test")
    assert status == 2 and out == "" and errors.startswith("gateway: several gateways run here; choose one:\n")
    for run in (first, second):
        assert f"  --control {run.socket}  {run.jail.program} run " in errors, errors
    assert first.gateway("allow", "cdn-allowed.test", "--control", str(second.socket))[0] == 0
    assert control.ask(first.socket, ask="allowed") == {"entries": []}
    assert len(control.ask(second.socket, ask="allowed")["entries"]) == 1


def test_ports_need_a_new_run_and_the_answer_says_so(beside):
    run = beside()
    status, out, errors = run.gateway("allow", f"{at.AL}:5432")
    assert (status, out) == (2, "") and "start it with: gateway run --allow" in errors
    assert control.ask(run.socket, ask="allowed") == {"entries": []}


def test_what_is_saved_is_in_the_file_and_no_surprise_at_the_end(beside):
    run = beside(command=("sh", "-c", LOOP))
    (run.jail.folder / "policy.yaml").chmod(0o666)
    os.chown(run.jail.folder / "policy.yaml", NOBODY, NOBODY)
    assert run.gateway("allow", "cdn-allowed.test", "--save")[:2] == (0, "cdn-allowed.test is allowed and saved to policy.yaml\n")
    _, errors = run.process.communicate(timeout=20)
    assert run.process.returncode == 0
    assert (run.jail.folder / "policy.yaml").read_text() == "domains: [allowed.test, cdn-allowed.test]\n"
    assert b"changed while the command ran" not in errors


def test_a_held_request_of_the_command_is_answered_from_outside(beside, jail_of, runtime):
    jail = jail_of(policy=POLICY)
    os.chown(runtime, jail.uid, jail.uid)
    process = jail.start("curl", "-s", "http://cdn-allowed.test/", args=("--ask",), env={"XDG_RUNTIME_DIR": str(runtime)})
    (path,) = wait.until(lambda: list(runtime.glob("soleroute/run-*.sock")), "the control socket")
    with control.Watch(path) as watch:
        held = watch.next("held", host="cdn-allowed.test")
        assert control.ask(path, ask="answer", id=held["id"], verdict="once")["accepted"] is True
        out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, b"CDN\n")


def test_a_program_answers_for_the_command(jail_of):
    jail = jail_of(policy=POLICY)
    done = jail.run("curl", "-s", "http://cdn-allowed.test/", args=("--ask", "--ask-command", "read -r line; echo once"))
    assert (done.returncode, done.stdout) == (0, "CDN\n"), done.stderr
    done = jail.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://cdn-allowed.test/", args=("--ask", "--ask-command", "echo no"))
    assert done.stdout == "403"


def test_ask_options_are_read_from_the_command_line_alone(jail_of):
    done = jail_of(policy=POLICY).run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://cdn-allowed.test/",
                                      env={"GATEWAY_ASK": "true", "GATEWAY_ASK_COMMAND": "echo once"})  # fmt: skip
    assert done.stdout == "403"
