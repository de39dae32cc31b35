"""`gateway verify` in a jail and where there is no gateway, `gateway status`, and what any command says of its input and output."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import subprocess

import pytest

from lab import addresses as at

VERIFY_SECONDS = 60


def verify(command, *args):
    return subprocess.run([*command, "verify", *args], capture_output=True, text=True, check=False,
                          timeout=VERIFY_SECONDS)


def failed_checks(done):
    return [line for line in done.stdout.splitlines() if line.startswith("FAILED")]


def test_verify_holds_inside_a_jail(lab, gateway_binary, tmp_path):
    (tmp_path / "policy.yaml").write_text("domains: []\n")
    command = lab.gw.command(gateway_binary, "run", "--resolver", at.NS, "--policy", str(tmp_path / "policy.yaml"), "--",
                             gateway_binary)
    done = verify(command)
    assert failed_checks(done) == []
    assert done.returncode == 0, done.stdout + done.stderr


def test_verify_fails_where_a_name_that_it_takes_for_denied_is_allowed(lab, gateway_binary, tmp_path):
    (tmp_path / "policy.yaml").write_text(at.POLICY)
    command = lab.gw.command(gateway_binary, "run", "--resolver", at.NS, "--policy", str(tmp_path / "policy.yaml"), "--",
                             gateway_binary)
    done = verify(command, "--denied", "allowed.test")
    assert done.returncode == 1, done.stdout + done.stderr
    assert any("denied name" in line for line in failed_checks(done))


def test_verify_says_that_a_network_has_no_gateway(gateway_binary):
    done = verify(["unshare", "-n", gateway_binary])
    assert (done.returncode, done.stdout) == (3, "")
    assert "no gateway answers here" in done.stderr


def test_status_of_a_healthy_router_agrees_with_its_json(router, gateway_binary):
    control = ["--control", str(router.control)]
    text = subprocess.run([gateway_binary, "status", *control], capture_output=True, text=True, check=False, timeout=20)
    assert text.returncode == 0, text.stdout + text.stderr
    assert "health       healthy" in text.stdout
    assert "unchanged in the kernel" in text.stdout
    for option in (["--json"], ["--format", "json"]):
        answer = subprocess.run([gateway_binary, "status", *option, *control], capture_output=True, text=True, check=False,
                                timeout=20)
        assert json.loads(answer.stdout)["health"] == "healthy"


@pytest.mark.parametrize(("url", "said"), [
    ("", "the URL is empty"), ("a.test/x\x1b[31m", "a.test/x"), ("ftp://a.test/", "unknown scheme"),
    ("https://a.test:99999/", "no valid port (1 to 65535)"), ("tcp://a.test", "needs a port"),
])  # fmt: skip
def test_explain_of_no_url_is_a_usage_error(gateway_binary, url, said):
    done = subprocess.run([gateway_binary, "explain", "https://b.test/", url], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2 and said in done.stderr and "\x1b" not in done.stderr
    assert done.stdout == "", "nothing is half answered"


def test_explain_says_what_it_takes_a_bare_host_and_a_method_for(gateway_binary, tmp_path):
    (tmp_path / "policy.yaml").write_text("domains: [{host: a.test, rules: [{methods: [PUT]}]}]\n")

    def explain(*arguments):
        return subprocess.run([gateway_binary, "explain", *arguments], capture_output=True, text=True, timeout=20, check=False, cwd=tmp_path)

    done = explain("a.test", "--method", "put")
    assert done.returncode == 0 and done.stdout.startswith("allowed  https://a.test/\n"), done
    assert "'a.test' means https://a.test/" in done.stderr and "'put' means PUT" in done.stderr
    assert explain("a.test").returncode == 1, "the control: GET is not allowed"


@pytest.mark.parametrize("arguments", [["services"], ["check"], ["explain", "https://a.test/"]])
def test_output_that_cannot_be_written_is_an_error(gateway_binary, tmp_path, arguments):
    (tmp_path / "policy.yaml").write_text("domains: [a.test]\n")
    with open("/dev/full", "w", encoding="ascii") as full, open(tmp_path / "out", "w", encoding="ascii") as good:
        status = [subprocess.run([gateway_binary, *arguments], stdout=out, stderr=subprocess.PIPE, text=True, timeout=20, check=False, cwd=tmp_path)
                  for out in (full, good)]
    assert status[0].returncode == 3 and "cannot write to standard output" in status[0].stderr
    assert "cannot write" not in status[1].stderr, "the control"


@pytest.mark.parametrize(("arguments", "expected"), [(["check", "--policy", "absent.yaml"], 2), (["nonsense"], 2), (["check"], 0), (["suggest", "log.json"], 0)])
def test_messages_that_cannot_be_written_change_no_exit_status(gateway_binary, tmp_path, arguments, expected):
    (tmp_path / "policy.yaml").write_text("domains: [a.test, '*.blogspot.com']\n")  # the second is worth a warning
    (tmp_path / "log.json").write_text('{"type": "lifecycle", "event": "healthy"}\n')  # nothing to suggest, which it says
    with open("/dev/full", "w", encoding="ascii") as full, open(tmp_path / "err", "w", encoding="ascii") as good:
        status = [subprocess.run([gateway_binary, *arguments], stdout=subprocess.DEVNULL, stderr=err, timeout=20, check=False, cwd=tmp_path).returncode
                  for err in (full, good)]
    assert status == [expected, expected]
    assert (tmp_path / "err").read_text(), "the control: there is something to write"


def test_status_without_a_gateway_says_so(gateway_binary, tmp_path):
    done = subprocess.run([gateway_binary, "status", "--control", str(tmp_path / "none.sock")], capture_output=True,
                          text=True, check=False, timeout=20)
    assert done.returncode == 3
    assert "no gateway is running here" in done.stderr
