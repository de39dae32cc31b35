"""What a command finds when it starts in a jail: as if the shell had started it, but for the network."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import resource
import signal
import subprocess

import pytest

from jail import GROUP, NOBODY, children, environment_of, network_namespace
from lab import addresses as at
from lab import wait

STATE = "import json, inside; print(json.dumps(inside.state()))"


def test_the_exit_status_is_the_commands(any_jail):
    for script, status in (
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 255", 255),
        ("kill -TERM $$", 128 + signal.SIGTERM),
        ("kill -KILL $$", 128 + signal.SIGKILL),
        ("kill -SEGV $$", 128 + signal.SIGSEGV),
    ):
        assert any_jail.run("sh", "-c", script).returncode == status, script


def test_a_command_that_cannot_be_executed_is_said_as_shells_say_it(jail, folder):
    plain = folder / "plain"
    plain.write_text("text")
    for command, status in (("/no/such/program", 127), (str(plain), 126), ("no-such-program", 127), ("/", 126)):
        done = jail.run(command)
        assert done.returncode == status, command
        assert command in done.stderr
    assert jail.run("true").returncode == 0


def test_arguments_arrive_untouched(jail):
    arguments = ["", " ", "a b", "two\nlines", "--help", "-c", "[x]", "{}", "*", "--", "$HOME", "\u00fc", "'", '"']
    done = jail.run("/usr/bin/python3", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *arguments)
    assert json.loads(done.stdout) == arguments


def test_the_command_is_the_invoker_without_privilege(any_jail):
    state = any_jail.call("state")
    assert state["ids"] == [[any_jail.uid] * 3] * 2
    assert state["no_new_privs"] == 1
    assert state["seccomp"] == 2
    assert set(state["interfaces"]) == {"lo", "eth0", "nowhere"}
    if any_jail.kind == "user":
        # A supplementary group is kept; without a number in the namespace it shows as the overflow group, 65534.
        assert state["groups"] == [NOBODY, NOBODY]
    if any_jail.kind == "sudo":
        assert state["groups"] == [NOBODY]


@pytest.mark.parametrize("kind", ["user", "sudo", "docker-root"])
def test_no_capability_is_left_in_any_set(jail_of, kind):
    assert set(jail_of(kind).call("state")["capabilities"].values()) == {0}


def test_root_of_the_machine_keeps_power_over_files_and_identities_alone(jail_of, folder):
    jail = jail_of("root")
    kept = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_FSETID": 4, "CAP_KILL": 5, "CAP_SETGID": 6,
            "CAP_SETUID": 7}  # fmt: skip
    mask = sum(1 << number for number in kept.values())
    found = jail.call("state")["capabilities"]
    assert found == {"CapInh": 0, "CapPrm": mask, "CapEff": mask, "CapBnd": mask, "CapAmb": 0}
    script = "touch f && chown 1234:1235 f && setpriv --reuid=1234 --regid=1235 --clear-groups sh -c 'echo x > f; id -u'"
    done = jail.run("sh", "-c", script)
    assert (done.returncode, done.stdout) == (0, "1234\n"), done.stderr
    assert ((folder / "f").stat().st_uid, (folder / "f").stat().st_gid) == (1234, 1235)
    mounting = jail.run("mount", "-t", "tmpfs", "none", str(folder))
    assert mounting.returncode != 0


def test_a_supplementary_group_still_opens_its_files(jail, folder):
    secret = folder / "secret"
    secret.write_text("for the group")
    os.chown(secret, 0, GROUP)
    secret.chmod(0o640)
    other = folder / "other"
    other.write_text("for another group")
    os.chown(other, 0, GROUP - 1)
    other.chmod(0o640)
    assert jail.call("read", str(secret)) == "for the group"
    assert jail.call("read", str(other)) == "EACCES"


def test_under_sudo_the_command_gets_its_users_environment_back(jail_of):
    environment = jail_of("sudo").call("state")["environment"]
    assert (environment["USER"], environment["LOGNAME"], environment["HOME"]) == ("nobody", "nobody", "/nonexistent")
    untouched = jail_of("root").call("state", env={"SUDO_UID": "0", "SUDO_GID": "0"})["environment"]
    assert untouched["HOME"] == "/root"


@pytest.mark.parametrize(
    "variables",
    [{"SUDO_UID": "x"}, {"SUDO_UID": "-1"}, {"SUDO_UID": "4294967295"}, {"SUDO_UID": "1 "}, {"SUDO_GID": "abc"}],
    ids=str,
)
def test_a_forged_sudo_variable_is_refused(jail_of, variables):
    jail = jail_of("sudo")
    done = jail.run("true", env=variables)
    assert done.returncode == 2
    assert "SUDO_" in done.stderr
    assert jail.run("true").returncode == 0


def test_sudo_variables_give_an_ordinary_user_nothing(jail):
    state = jail.call("state", env={"SUDO_UID": "0", "SUDO_GID": "0"})
    assert state["ids"][0] == [NOBODY] * 3


def test_directory_environment_umask_and_limits_pass_through(any_jail, folder):
    previous = os.umask(0o027)
    try:
        state = any_jail.call(
            "state",
            env={"ODD": "a=b\nc", "EMPTY": ""},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (400, 5000)),
        )
    finally:
        os.umask(previous)
    assert state["cwd"] == str(folder)
    assert state["environment"]["ODD"] == "a=b\nc"
    assert state["environment"]["EMPTY"] == ""
    assert state["umask"] == 0o027
    assert state["nofile"] == [400, 5000], "the gateway raises its own limit, not the command's"


def test_signal_mask_and_dispositions_pass_through(jail):
    def prepare():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1})

    state = jail.call("state", preexec_fn=prepare, restore_signals=True)
    assert state["blocked"] == [signal.SIGUSR1]
    assert state["ignored"] & 1 << (signal.SIGHUP - 1)
    assert state["ignored"] & 1 << (signal.SIGCHLD - 1)
    plain = jail.call("state")
    assert plain["blocked"] == []
    # Python itself ignores SIGPIPE and SIGXFSZ.
    assert plain["ignored"] == 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)


def test_a_broken_pipe_ends_the_command_as_it_would_outside(jail):
    done = jail.run("sh", "-c", "(yes; echo $? >&2) | head -1")
    assert done.stdout == "y\n"
    assert done.stderr.splitlines()[-1] == str(128 + signal.SIGPIPE)


def test_no_descriptor_but_the_standard_ones_is_inherited(any_jail):
    with subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE) as holder:
        fd = os.dup2(holder.stdin.fileno(), 77)
        try:
            assert any_jail.call("state", pass_fds=[fd])["fds"] == [0, 1, 2]
        finally:
            os.close(fd)
            holder.kill()


def test_closed_standard_descriptors_are_filled_and_not_with_sockets(jail):
    script = 'exec 0<&- 1>&- 2>&-; exec "$@"'
    line = jail.command_line("sh", "-c", f"readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 > {jail.folder}/out")
    done = subprocess.run(["sh", "-c", script, "sh", *line], cwd=jail.folder, env={"PATH": os.environ["PATH"]}, check=False)
    assert done.returncode == 0
    assert (jail.folder / "out").read_text().splitlines()[0] == "/dev/null"
    assert (jail.folder / "out").read_text().splitlines()[2] == "/dev/null"


def test_standard_input_passes_through(any_jail):
    data = os.urandom(1 << 20)
    process = any_jail.start("cat", stdin=subprocess.PIPE)
    out, _ = process.communicate(data, 60)
    assert out == data


def test_who_waits_for_the_end_of_a_stream_waits_for_the_command_alone(jail):
    """The command closes its output and goes on: the reader sees the end although gateway and command live."""
    process = jail.start("sh", "-c", "exec 1>&- 0<&-; sleep 60", stdin=subprocess.PIPE)
    assert process.stdout.read() == b""
    assert process.poll() is None

    def broken():
        try:
            os.write(process.stdin.fileno(), b"x" * 4096)
        except BrokenPipeError:
            return True
        return False

    wait.until(broken, "the writer to be told that nobody reads")
    process.terminate()


def test_the_command_is_alone_among_processes_and_sees_a_fresh_proc(any_jail):
    state = any_jail.call("state")
    assert state["pid"] == 2
    assert state["pids"] == [1, 2]


def test_options_before_the_dashes_are_the_gateways(jail):
    done = jail.run("printf", "%s\\n", "--version", args=["--no-summary"])
    assert done.stdout == "--version\n"


def test_without_a_command_it_says_how_to_give_one(jail):
    done = jail.run()
    assert done.returncode == 2
    assert "gateway run CMD" in done.stderr


@pytest.mark.parametrize("options", [[], ["--no-summary"], ["--workers", "1"], ["--log=quiet", "--resolver", at.NS]])
def test_the_first_argument_that_is_no_option_begins_the_command(jail, options):
    line = jail.command_line("printf", "%s\\n", "--policy", "--", "[x]", args=options)
    line.remove("--")
    done = subprocess.run(line, cwd=jail.folder, env=environment_of(jail.kind), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "--policy\n--\n[x]\n"), done.stderr


class TestPolicyFile:
    """Which policy a jail takes, and that nothing runs without a good one."""

    ALLOW = "domains: [allowed.test]\n"

    def fetched(self, jail, **options):
        return jail.call("get", "http://allowed.test/", **options)["status"]

    def test_a_named_file_is_taken(self, jail_of, folder):
        jail = jail_of(policy=None)
        (folder / "p.yaml").write_text(self.ALLOW)
        assert self.fetched(jail, args=["--policy", "p.yaml"]) == 200
        assert self.fetched(jail) == 403

    def test_by_default_the_devcontainers_comes_before_the_directorys(self, jail_of, folder):
        jail = jail_of(policy=self.ALLOW)
        assert self.fetched(jail) == 200
        (folder / ".devcontainer").mkdir()
        (folder / ".devcontainer/policy.yaml").write_text("domains: [x.wild.test]\n")
        assert self.fetched(jail) == 403

    def test_without_any_everything_is_denied_and_it_says_so(self, jail_of):
        jail = jail_of(policy=None)
        done = jail.run("true")
        assert done.returncode == 0
        assert "warning: no policy file found (.devcontainer/policy.yaml, policy.yaml): all network access is blocked\n" in done.stderr
        assert self.fetched(jail) == 403

    @pytest.mark.parametrize("text", ["mode: observe\n", "mode: observe\ndomains: [x.wild.test]\n"])
    def test_one_that_only_observes_is_never_called_a_denial(self, jail_of, text):
        jail = jail_of(policy=text)
        done = jail.run("curl", "-sS", "http://allowed.test/", args=["--summary"])
        assert done.stdout == "AL\n", "it passes"
        assert "observe mode: nothing public is blocked" in done.stderr
        assert "all network access is blocked" not in done.stderr
        assert "0 hosts allowed, 1 would be denied" in done.stderr
        assert "observe" not in jail_of(policy=self.ALLOW).run("true").stderr, "the control: an ordinary one says nothing"

    @pytest.mark.parametrize("text", ["domains: [", "domain: [a.test]\n", "domains: [a.test]\ndomains: [b.test]\n"])
    def test_a_broken_one_runs_nothing(self, jail_of, folder, text):
        jail = jail_of(policy=text)
        done = jail.run("touch", "ran")
        assert done.returncode == 2
        assert "policy.yaml:" in done.stderr
        assert not (folder / "ran").exists()

    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda p: os.symlink("/dev/zero", p), lambda p: None])
    def test_one_that_cannot_be_read_runs_nothing_and_waits_for_nothing(self, jail_of, folder, make):
        jail = jail_of(policy=None)
        make(folder / "odd.yaml")
        done = jail.run("touch", "ran", args=["--policy", "odd.yaml"], timeout=10)
        assert done.returncode == 2
        assert "odd.yaml" in done.stderr
        assert not (folder / "ran").exists()

    def test_a_command_cannot_change_it(self, jail, folder):
        script = "echo 'domains: [\"*.evil.test\"]' > policy.yaml; curl -sS -o /dev/null -w '%{http_code}' http://evil.test/"
        os.chmod(folder / "policy.yaml", 0o666)
        done = jail.run("sh", "-c", script)
        assert done.stdout == "403"
        assert "Read-only file system" in done.stderr
        assert "evil" not in (folder / "policy.yaml").read_text()

    def test_one_that_appears_is_told_on(self, jail_of):
        done = jail_of(policy=None).run("sh", "-c", "echo 'domains: []' > policy.yaml")
        assert "policy.yaml: appeared while the command ran" in done.stderr


@pytest.mark.parametrize("descriptors", range(14, 24, 2))
def test_too_few_descriptors_are_an_error_that_says_so(jail, descriptors):
    done = jail.run("true", prefix=["prlimit", f"--nofile={descriptors}"])
    assert done.returncode in (0, 3), (done.returncode, done.stderr)
    assert "terminate" not in done.stderr


def test_any_number_of_jails_run_at_once(jail):
    running = [jail.ready("sh", "-c", "echo up; exec sleep 60") for _ in range(8)]
    namespaces = {network_namespace(children(children(p.pid)[0])[0]) for p, _ in running}
    assert len(namespaces) == 8
    assert jail.call("get", "http://allowed.test/")["status"] == 200
    for process, _ in running:
        process.terminate()
    assert {p.wait(10) for p, _ in running} == {128 + signal.SIGTERM}


def test_jails_nest(jail):
    """What the outer denies the inner cannot allow."""
    inner = [jail.program, "run", "--no-summary", "--policy", f"{jail.folder}/inner.yaml", "--"]
    (jail.folder / "inner.yaml").write_text("domains: [allowed.test, evil.test]\n")
    assert jail.call("get", "http://allowed.test/")["status"] == 200
    fetch = "curl -sS -o /dev/null -w '%{http_code} ' http://allowed.test/ http://evil.test/"
    done = jail.run(*inner, "sh", "-c", fetch)
    # The outer answers the inner's lookup of evil.test with its own address, which no name may lead to.
    assert done.stdout.split() == ["200", "000"], done.stderr
    assert jail.run(*inner, "curl", "-sS", "http://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")
