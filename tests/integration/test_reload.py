"""`gateway reload`: the policy read again on request, for whoever has no shell to send SIGHUP with; the answer says what came of it."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import signal
import socket
import subprocess

import pytest

from lab import addresses as at
from lab import tls_wire, web
from lab.agent import NOBODY
from lab.case import Case

threat = pytest.mark.threat


def reload(binary, control, *options, user=None):
    """`gateway reload`: (exit status, stdout, stderr)."""
    command = [binary, "reload", "--control", str(control), *options]
    if user:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def asked(gateway_binary, make_gateway):
    """A gateway and what asks it: `asked(text)` replaces its policy and asks for a reload."""
    one = make_gateway().start()

    def ask(text=None, *options):
        if text is not None:
            one.policy_file.write_text(text)
        return reload(gateway_binary, one.control, *options)

    ask.gateway = one
    return ask


def test_an_edited_policy_is_in_force_when_the_answer_comes(lab, asked):
    assert asked("domains: [allowed.test]\n")[0] == 0
    assert web.http(lab.agent, "cdn-allowed.test", address=at.CDN).status == 403
    mark = asked.gateway.log.mark()
    status, out, errors = asked("domains: [allowed.test, cdn-allowed.test]\n")
    assert (status, errors) == (0, "")
    assert out == f"reloaded {asked.gateway.policy_file}: 2 hosts, revision 3\n"
    assert web.http(lab.agent, "cdn-allowed.test").body == b"CDN\n"
    assert asked.gateway.log.wait_for(mark, type="reload")["accepted"] is True, "it is in the log as after SIGHUP"
    assert asked.gateway.status()["policy"]["version"] == 3
    assert asked()[1].endswith("revision 4\n"), "the same again is in force again"
    Case(lab, asked.gateway.log).control()


@threat("T030", "T028")
def test_connections_that_it_denies_end_and_no_others(lab, asked):
    assert asked("domains: [allowed.test, cdn-allowed.test]\n")[0] == 0
    with web.connected(lab.agent, at.AL, 443) as denied, web.connected(lab.agent, at.CDN, 443) as kept:
        for link, name in ((denied, "allowed.test"), (kept, "cdn-allowed.test")):
            link.sendall(tls_wire.client_hello(name))
            assert link.recv(1) == b"\x16"
        assert asked("domains: [cdn-allowed.test]\n")[0] == 0
        assert web.read_to_end(denied)[1] in ("rst", "fin")
        kept.settimeout(0.3)
        assert web.read_to_end(kept)[1] == "timeout", "the other connection is still open"


@threat("T030")
def test_a_wrong_policy_is_refused_with_its_line_and_the_old_one_holds(lab, asked):
    status, out, errors = asked("domains:\n  - allowed.test\ndomans: [denied.test]\n")
    assert (status, out) == (2, "")
    assert errors.startswith(f"gateway: {asked.gateway.policy_file}:3:1: ") and "did you mean 'domains'" in errors
    assert "\n" + " " * errors.splitlines()[2].index("^") + "^" in errors, "with the line and a caret, as the gateway itself says it"
    assert errors.endswith("not reloaded; the previous policy is still active\n")
    Case(lab, asked.gateway.log).control()
    assert web.http(lab.agent, "denied.test", address=at.EV).status == 403
    assert asked.gateway.status()["policy"]["stale"] is True
    status, out, _ = asked(at.POLICY)
    assert status == 0 and out.endswith("revision 2\n"), "what was refused counts for nothing"


def test_as_json_it_prints_the_gateways_answer(asked):
    status, out, errors = asked("domains: [allowed.test]\n", "--format", "json")
    assert (status, errors) == (0, "")
    assert json.loads(out) == {"accepted": True, "version": 2, "detail": f"{asked.gateway.policy_file}: 1 host"}
    status, out, errors = asked("domans: [allowed.test]\n", "--json")
    assert (status, errors) == (2, ""), "all of it is in the answer"
    answer = json.loads(out)
    assert answer["accepted"] is False and f"{asked.gateway.policy_file}:1:1: " in answer["detail"]
    asked.gateway.send_signal(signal.SIGKILL)
    asked.gateway.process.wait(10)
    status, out, errors = asked(None, "--json")
    assert (status, out) == (3, "") and "no gateway is running here" in errors


def test_without_a_gateway_the_answer_is_where_to_look(asked, gateway_binary):
    asked.gateway.send_signal(signal.SIGKILL)
    asked.gateway.process.wait(10)
    status, _, errors = asked()
    assert status == 3 and "no gateway is running here" in errors
    status, _, errors = reload(gateway_binary, "/nowhere/control.sock")
    assert status == 3 and "/nowhere/control.sock" in errors


@threat("T030")
def test_another_user_is_not_answered(asked, gateway_binary, tmp_path):
    """Not by the modes of folder and socket, and not by the gateway where somebody has widened them."""
    control = asked.gateway.control
    asked.gateway.policy_file.write_text("domains: [denied.test]\n")
    if subprocess.run(["setpriv", f"--reuid={NOBODY}", "test", "-x", gateway_binary], check=False).returncode:
        pytest.skip("an ordinary user cannot reach the program under test")
    for folder in (control.parent, *tmp_path.parents[:3], tmp_path):
        if folder.stat().st_uid == 0 and folder != control.parent:
            folder.chmod(folder.stat().st_mode | 0o055)
    status, _, errors = reload(gateway_binary, control, user=NOBODY)
    assert status == 3 and "Permission denied" in errors
    control.parent.chmod(0o755)
    control.chmod(0o666)
    status, _, errors = reload(gateway_binary, control, user=NOBODY)
    assert status == 3 and "only root and the gateway's own user may ask" in errors
    assert asked.gateway.status()["policy"]["version"] == 1, "nothing was read"
    assert asked()[0] == 0, "the control: root is answered"


def test_one_connection_may_ask_several_times(asked):
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(str(asked.gateway.control))
        answers = link.makefile("rb")
        for question, key in (("reload", "accepted"), ("status", "health"), ("reload", "accepted"), ("stop", "error")):
            link.sendall(json.dumps({"ask": question}).encode() + b"\n")
            assert key in json.loads(answers.readline()), question
