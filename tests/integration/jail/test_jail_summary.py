"""What `gateway run` says at its end, and where; and the options that make a policy without a file."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import re
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from jail import environment_of
from lab import addresses as at

FAILING = ["sh", "-c", "curl -sS -o /dev/null http://denied.test/; exit 3"]
SUCCEEDING = ["curl", "-sS", "-o", "/dev/null", "http://denied.test/"]


def lines_of(done):
    return [line.removeprefix("gateway: ") for line in done.stderr.splitlines()]


class TestWhenTheCommandFails:
    def test_cause_host_and_fix_are_said_without_a_terminal(self, any_jail):
        done = any_jail.run(*FAILING)
        assert done.returncode == 3
        assert lines_of(done) == [
            "blocked denied.test: not in the policy",
            "to allow, add to policy.yaml: domains: [denied.test]",
            "or for one run: gateway run --allow denied.test CMD",
        ]

    def test_its_advice_works(self, jail, folder):
        said = jail.run(*FAILING).stderr
        options = re.search(r"gateway run (--allow .*) CMD", said)[1].split()
        assert jail.call("get", "http://denied.test/", args=options)["status"] != 403
        layer = re.search(r"add to policy.yaml: (.*)", said)[1]
        (folder / "more.yaml").write_text(layer + "\n")
        layers = ["--policy", "policy.yaml", "--policy", "more.yaml"]
        assert jail.call("get", "http://denied.test/", args=layers)["status"] != 403
        assert jail.call("get", "http://denied.test/")["status"] == 403, "the control"

    def test_a_port_is_named_with_the_endpoint_that_allows_it(self, jail):
        done = jail.run("sh", "-c", f"nc -w 2 {at.EV} 9999 < /dev/null")
        assert done.returncode != 0
        assert f"blocked {at.EV}:9999: TCP port 9999 is not in the policy" in done.stderr
        assert f"endpoints: [{{cidr: {at.EV}/32, port: 9999}}]" in done.stderr

    def test_udp_is_named_too(self, jail):
        done = jail.run("sh", "-c", f"echo x | nc -u -w 1 {at.EV} 5000; exit 1")
        assert f"blocked {at.EV}:5000" in done.stderr and "UDP is not forwarded" in done.stderr

    def test_a_name_server_that_does_not_answer_is_no_denial(self, jail):
        line = ["192.0.2.250" if each == at.NS else each for each in jail.command_line("curl", "-sS", "http://allowed.test/")]
        done = subprocess.run(line, cwd=jail.folder, env=environment_of("user"), capture_output=True, text=True, check=False)
        assert done.returncode == 6
        assert "cannot resolve allowed.test" in done.stderr and "192.0.2.250 did not answer" in done.stderr
        assert "blocked" not in done.stderr and "to allow" not in done.stderr

    def test_nothing_is_said_where_nothing_was_denied_or_the_command_succeeded(self, jail):
        assert jail.run("sh", "-c", "curl -sS http://allowed.test/; exit 4").stderr == ""
        assert jail.run(*SUCCEEDING).stderr == ""
        assert jail.run(*FAILING).stderr != "", "the control"

    @pytest.mark.parametrize(
        ("options", "failing", "succeeding"),
        [
            (["--summary=never"], 0, 0),
            (["--no-summary"], 0, 0),
            (["--summary=on-denial"], 3, 0),
            (["--summary=always"], 7, 7),
            (["--summary"], 7, 7),
        ],
        ids=str,
    )
    def test_the_option_chooses(self, jail, options, failing, succeeding):
        assert len(jail.run(*FAILING, args=options).stderr.splitlines()) == failing
        assert len(jail.run(*SUCCEEDING, args=options).stderr.splitlines()) == succeeding

    def test_another_format_can_go_to_standard_error(self, jail):
        done = jail.run(*FAILING, args=["--summary-format", "json"])
        assert json.loads(done.stderr)["denied"][0]["host"] == "denied.test"

    def test_a_hidden_socket_is_named_where_the_command_needs_it(self, jail, folder):
        path = folder / "docker.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            path.chmod(0o777)
            env = {"DOCKER_HOST": f"unix://{path}"}
            script = ["sh", "-c", "docker() { return 1; }; docker ps"]
            assert f"--unix-socket {path}" in jail.run(*script, env=env).stderr.splitlines()[-1]
            assert "docker uses" not in jail.run(*script, env=env, args=["--unix-socket", str(path)]).stderr
            assert "docker uses" not in jail.run("false", env=env).stderr


class TestFile:
    @pytest.mark.parametrize(("name", "begins"), [("s.txt", "gateway: 0 hosts"), ("s.md", "### Network access"), ("s.json", "{")])
    def test_it_holds_the_whole_summary_in_the_format_of_its_name(self, jail, folder, name, begins):
        (folder / name).write_text("of an earlier run")
        os.chmod(folder / name, 0o666)
        done = jail.run(*SUCCEEDING, args=["--summary-file", name])
        assert (done.returncode, done.stderr) == (0, "")
        text = (folder / name).read_text()
        assert text.startswith(begins) and "denied.test" in text and "earlier" not in text

    def test_the_command_can_neither_write_nor_replace_it(self, any_jail, folder):
        folder.chmod(0o777)
        attempts = "for f in s.md; do echo forged > $f; rm -f $f; mv $f away; ln -sf /etc/passwd $f; done; ls -l s.md; exit 1"
        done = any_jail.run("sh", "-c", "curl -sS -o /dev/null http://denied.test/; " + attempts, args=["--summary-file", "s.md"])
        assert done.returncode == 1
        path = folder / "s.md"
        assert stat.S_ISREG(path.lstat().st_mode)
        assert "denied.test" in path.read_text() and "forged" not in path.read_text()
        control = any_jail.run("sh", "-c", "echo forged > other.md; cat other.md")
        assert control.stdout == "forged\n", control.stderr

    @pytest.mark.parametrize("other", ["policy.yaml", "roots.pem", "decisions", "step.md", "ca/own.pem", "secrets/token", "link"])
    def test_a_file_that_is_in_use_is_not_emptied(self, jail_of, folder, lab, other):
        for name in ("ca", "secrets"):
            (folder / name).mkdir()
        texts = {"policy.yaml": "domains: []\n", "roots.pem": Path(lab.ca.certificate).read_text(), "decisions": "{}\n", "step.md": "x\n",
                 "ca/own.pem": "x\n", "secrets/token": "x\n"}  # fmt: skip
        for name, text in texts.items():
            (folder / name).write_text(text)
        (folder / "link").symlink_to("policy.yaml")
        jail = jail_of("root", policy=None)
        args = ["--policy", "policy.yaml", "--trust", "roots.pem", "--decisions", "decisions", "--ca-dir", "ca", "--secrets-dir", "secrets"]
        env = {"GITHUB_STEP_SUMMARY": str(folder / "step.md")}
        done = jail.run("touch", "ran", args=[*args, "--summary-file", other], env=env)
        assert done.returncode == 2 and f"gateway: {other} is already in use" in done.stderr, done.stderr
        assert not (folder / "ran").exists()
        assert {name: (folder / name).read_text() for name in texts} == texts
        control = jail.run("touch", "ran", args=[*args, "--summary-file", "other"], env=env)
        assert control.returncode == 0 and (folder / "other").exists(), control.stderr

    def test_decisions_are_not_appended_to_the_policy(self, jail, folder):
        (folder / "p.yaml").write_text("domains: []\n")
        (folder / "p.yaml").chmod(0o666)
        done = jail.run("true", args=["--policy", "p.yaml", "--decisions", "p.yaml"])
        assert done.returncode == 2 and "gateway: p.yaml is already in use: " in done.stderr
        assert (folder / "p.yaml").read_text() == "domains: []\n"

    def test_a_link_that_the_command_could_exchange_is_refused(self, jail, folder):
        (folder / "real").mkdir(mode=0o777)
        os.symlink("real/s.md", folder / "s.md")
        done = jail.run("touch", "ran", args=["--summary-file", "s.md"])
        assert done.returncode == 2 and "symbolic link" in done.stderr
        assert not (folder / "ran").exists()

    def test_the_job_summary_of_github_is_appended_to_and_out_of_reach(self, jail, folder):
        path = folder / "step.md"
        path.write_text("before\n")
        path.chmod(0o666)
        env = {"GITHUB_STEP_SUMMARY": str(path)}
        script = "curl -sS -o /dev/null http://denied.test/; echo forged >> step.md; echo \"[$GITHUB_STEP_SUMMARY]\""
        done = jail.run("sh", "-c", script, env=env)
        assert "[/dev/null]" in done.stdout
        assert "gateway: GITHUB_STEP_SUMMARY is not writable inside: " in done.stderr
        text = path.read_text()
        assert text.startswith("before\n### Network access: 0 allowed, 1 denied") and "forged" not in text
        left = jail.run("sh", "-c", "echo mine >> $GITHUB_STEP_SUMMARY", env=env, args=["--no-summary"])
        assert left.returncode == 0 and path.read_text().endswith("mine\n"), "the control: left to the command"

    def test_a_job_summary_that_is_no_regular_file_is_left_out(self, jail, folder):
        os.mkfifo(folder / "step.md", 0o666)
        done = jail.run("curl", "-sS", "-o", "/dev/null", "http://denied.test/", env={"GITHUB_STEP_SUMMARY": str(folder / "step.md")})
        assert done.returncode == 0 and "no job summary: " in done.stderr, "no reader will come"
        done = jail.run("true", env={"GITHUB_STEP_SUMMARY": "/dev/null"})
        assert (done.returncode, done.stderr) == (0, "")


class TestRunnerFiles:
    NAMES = ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE")

    def test_the_command_can_set_nothing_for_later_steps(self, any_jail, folder):
        env = {name: str(folder / name) for name in self.NAMES}
        for name in self.NAMES[1:]:  # the first is missing: the command must not make it
            (folder / name).write_text("before\n")
            (folder / name).chmod(0o666)
        attempts = "; ".join(f"for f in {folder}/{name} {name}; do echo BASH_ENV=x >> $f; rm -f $f; mv $f away; ln -sf other $f; done"
                             for name in self.NAMES)  # fmt: skip
        honest = "; ".join(f'echo a=b >> "${name}" || exit 9' for name in self.NAMES)
        done = any_jail.run("sh", "-c", f"{honest}; {attempts}; echo mine > other.md; exit 0", env=env)
        assert done.returncode == 0, done.stderr
        assert "gateway: GITHUB_ENV, GITHUB_OUTPUT, GITHUB_PATH, GITHUB_STATE are not writable inside: " in done.stderr
        for name in self.NAMES:
            assert stat.S_ISREG((folder / name).lstat().st_mode), name
            assert (folder / name).read_text() == ("" if name == "GITHUB_ENV" else "before\n"), name
        assert (folder / "other.md").read_text() == "mine\n", "the control: the folder is writable"

    def test_a_file_that_cannot_be_kept_from_the_command_is_refused(self, jail, folder):
        (folder / "real").mkdir(mode=0o777)
        (folder / "real").chmod(0o777)
        (folder / "env").symlink_to("real/env")
        done = jail.run("touch", "ran", env={"GITHUB_ENV": str(folder / "env")})
        assert done.returncode == 2 and "gateway: GITHUB_ENV: " in done.stderr and "symbolic link" in done.stderr
        assert not (folder / "ran").exists()


class TestAllow:
    @pytest.mark.parametrize(
        ("item", "allowed"),
        [("denied.test", True), ("*.denied.test", True), ("http://denied.test/", True), ("http://denied.test/x", False),
         ("denied.test:80", True), ("denied.test:81", False), ("npm", False)],
    )  # fmt: skip
    def test_it_adds_to_the_policy(self, jail, item, allowed):
        answers = jail.calls(("get", "http://denied.test/"), ("get", "http://allowed.test/"), args=["--allow", item])
        assert (answers[0]["status"] != 403, answers[1]["status"]) == (allowed, 200)

    @pytest.mark.parametrize("prefix", ["GATEWAY", "SOLEROUTE"])
    def test_no_variable_widens_the_policy(self, jail, prefix):
        get = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://denied.test/")
        for name, value in (("ALLOW", "denied.test"), ("MODE", "observe")):
            assert jail.run(*get, env={f"{prefix}_{name}": value}).stdout == "403", name
        assert jail.run(*get, args=["--allow", "denied.test"]).stdout != "403", "the control"

    def test_it_needs_no_file(self, jail_of):
        jail = jail_of(policy=None)
        done = jail.run("curl", "-sS", "http://allowed.test/", args=["--allow", "allowed.test", "--allow", "npm"])
        assert (done.returncode, done.stdout, done.stderr) == (0, "AL\n", "")
        assert jail.run("curl", "-sS", "http://allowed.test/", args=["--allow", "npm"]).stdout.startswith("Blocked")

    @pytest.mark.parametrize("item", ["npn", "10.0.0.1", "ftp://a.test/", "a.test:0", "*.com", ""])
    def test_what_it_does_not_understand_runs_nothing(self, jail, folder, item):
        done = jail.run("touch", "ran", args=["--allow", item])
        assert done.returncode == 2 and f"--allow {item}" in done.stderr
        assert not (folder / "ran").exists()


class TestLearning:
    def test_observe_lets_pass_and_save_writes_the_smallest_policy(self, jail_of, folder):
        jail = jail_of(policy=None)
        fetch = ["curl", "-sS", "http://allowed.test/"]
        learning = jail.run(*fetch, args=["--observe", "--save", "p.yaml", "--allow", "npm"])
        assert (learning.returncode, learning.stdout) == (0, "AL\n")
        assert "saved p.yaml" in learning.stderr
        text = (folder / "p.yaml").read_text()
        assert "- allowed.test" in text and "- npm" in text and "mode" not in text
        assert jail.run(*fetch, args=["--policy", "p.yaml"]).stdout == "AL\n"
        other = jail.run("curl", "-sS", "http://denied.test/", args=["--policy", "p.yaml"])
        assert other.stdout.startswith("Blocked"), "the control"

    def test_a_file_that_exists_is_never_overwritten(self, jail, folder):
        (folder / "p.yaml").write_text("mine")
        done = jail.run("touch", "ran", args=["--observe", "--save", "p.yaml"])
        assert done.returncode == 2 and "p.yaml exists" in done.stderr
        assert (folder / "p.yaml").read_text() == "mine" and not (folder / "ran").exists()

    def test_the_command_cannot_write_what_is_learned(self, jail, folder):
        script = "curl -sS -o /dev/null http://allowed.test/; curl -sS -o /dev/null http://denied.test/; echo 'domains: [evil.test]' > p.yaml; rm -f p.yaml"
        jail.run("sh", "-c", script, args=["--save", "p.yaml"])
        text = (folder / "p.yaml").read_text()
        assert "- denied.test" in text and "evil.test" not in text and "allowed.test" not in text

    def test_a_run_that_did_not_start_leaves_no_file(self, jail_of, folder):
        jail = jail_of(policy="domains: [")
        assert jail.run("true", args=["--save", "p.yaml"]).returncode == 2
        assert not (folder / "p.yaml").exists()

    def test_the_mode_can_be_given_either_way(self, jail_of):
        jail = jail_of(policy="mode: observe\n")
        fetch = ["curl", "-sS", "http://allowed.test/"]
        assert jail.run(*fetch, args=["--mode", "enforce"]).stdout.startswith("Blocked")
        assert jail.run(*fetch).stdout == "AL\n"
        both = jail.run(*fetch, args=["--mode", "enforce", "--observe"])
        assert both.returncode == 2
