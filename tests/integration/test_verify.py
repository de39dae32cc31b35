"""`gateway verify` inside the agents' network says yes behind a gateway, and no where there is none."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from lab import gateway as gateways

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
ANSWER = re.compile(r"(HTTP/1.1 4\d\d) .*")
ADDRESS = re.compile(r"(?<=answered with )[0-9a-f.:]+(, [0-9a-f.:]+)*")


def verify(lab, *arguments):
    command = lab.client_command(gateways.binary(), "verify", *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(autouse=True)
def _reachable(lab, gateway_binary):
    """The program where an ordinary user may execute it."""
    probe = lab.client_command("test", "-x", gateway_binary)
    if subprocess.run(probe, check=False).returncode:
        pytest.skip("an ordinary user cannot reach the program under test")


def assert_golden(name, said):
    """SOLEROUTE_UPDATE_GOLDEN=1 writes the file anew; the diff is then the review."""
    shown = ANSWER.sub(r"\1 …", ADDRESS.sub("ADDRESS", said))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("SOLEROUTE_UPDATE_GOLDEN"):
        path.write_text(shown)
    assert shown == path.read_text()


def test_behind_a_gateway_every_check_holds(lab, make_gateway):
    one = make_gateway().start()
    done = verify(lab, "--allowed", "allowed.test", "--allowed", "cdn-allowed.test", "--denied", "denied.test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_golden("verify-passed", done.stdout)
    wrong = verify(lab, "--allowed", "denied.test", "--json")
    assert wrong.returncode == 1, "what is not allowed does not pass"
    answer = json.loads(wrong.stdout)
    assert [check["name"] for check in answer["checks"] if not check["passed"]] == ["denied.test passes"]
    assert (answer["passed"], answer["failed"]) == (len(answer["checks"]) - 1, 1)
    assert all(list(check) == ["name", "passed", "detail"] and check["detail"] for check in answer["checks"])
    one.stop()
    stopped = verify(lab, "--allowed", "allowed.test")
    assert stopped.returncode == 1
    assert "FAILED  DNS over UDP is answered: " in stopped.stdout


def test_in_an_open_network_it_says_no(lab, make_gateway):
    del make_gateway
    lab.forward_everything()
    lab.wait_reachable()
    done = verify(lab, "--denied", "denied.test")
    assert done.returncode == 1
    lab.reset_gateway_namespace()


def test_where_everything_is_dropped_it_says_no(lab, make_gateway):
    del make_gateway
    lab.drop_everything()
    done = verify(lab, "--allowed", "allowed.test")
    assert done.returncode == 1
    lab.reset_gateway_namespace()
