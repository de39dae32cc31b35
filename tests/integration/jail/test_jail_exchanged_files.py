"""`sudo gateway run` opens by name what its user's processes may exchange meanwhile: it opens what it looked at before, or
what that user may open."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import shutil
import signal

import pytest

from lab import wait

from jail import NOBODY

threat = pytest.mark.threat
pytestmark = threat("T229")

POLICY = "domains: [allowed.test]\n"
ASK = ["curl", "-sS", "http://denied.test/"]
CLOCK_NANOSLEEP = {"230", "115"}  # x86-64, ARM


def sleeps(pid):
    with open(f"/proc/{pid}/syscall") as file:
        return file.read().split()[0] in CLOCK_NANOSLEEP


def is_stopped(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "T"


class Sudo:
    """A jail of `sudo gateway run` in a folder of its user's, and a folder beside it that only root may enter."""

    def __init__(self, jail, folder):
        self.jail = jail
        folder.chmod(0o755)
        self.own, self.roots = folder / "own", folder / "roots"
        self.own.mkdir()
        os.chown(self.own, NOBODY, NOBODY)
        self.roots.mkdir(mode=0o700)
        self.settling = folder / "settling.yaml"
        self.settling.write_text(POLICY)
        jail.folder = self.own

    def write(self, name, text, owner=NOBODY):
        path = self.own / name
        path.write_text(text)
        os.chown(path, owner, owner)
        return path

    def run(self, *args):
        return self.jail.run(*ASK, args=["--policy", str(self.settling), *args])

    def held(self, *args):
        """A gateway that waits for a policy file which was written a moment ago: it has judged every path and opened none.
        It is stopped there."""
        before = set(self.own.iterdir())
        for _ in range(5):
            process = self.jail.start(*ASK, args=["--policy", str(self.settling), *args])

            def waits(pid=process.pid):
                os.utime(self.settling)
                return sleeps(pid)

            wait.until(waits, "the gateway to wait for the policy file")
            process.send_signal(signal.SIGSTOP)
            wait.until(lambda pid=process.pid: is_stopped(pid), "the gateway to be stopped")
            if sleeps(process.pid):
                return process
            process.send_signal(signal.SIGCONT)  # it went on in between
            process.communicate(timeout=20)
            for made in set(self.own.iterdir()) - before:
                made.unlink()
        raise AssertionError("the gateway never waits for long enough")

    def exchanged(self, path, target, *args):
        """Meanwhile `path` becomes a link to `target`."""
        link = self.own / "link"
        link.symlink_to(target)
        process = self.held(*args)
        os.rename(link, path)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=20)
        return process.returncode, said.decode()


@pytest.fixture
def sudo(jail_of, folder):
    return Sudo(jail_of("sudo", policy=None), folder)


class TestOfTheDecisions:
    def test_a_log_that_becomes_a_link(self, sudo):
        log = sudo.write("log", "")
        (sudo.roots / "target").touch(mode=0o600)
        status, said = sudo.exchanged(log, sudo.roots / "target", "--decisions", str(log))
        assert (sudo.roots / "target").read_text() == ""
        assert (status, "replaced while gateway started" in said) == (2, True), said

    def test_a_new_log_that_becomes_a_link(self, sudo):
        log = sudo.own / "log"
        status, said = sudo.exchanged(log, sudo.roots / "made", "--decisions", str(log))
        assert not (sudo.roots / "made").exists()
        assert (status, f"cannot open {log}" in said) == (2, True), said

    @pytest.mark.parametrize("owner", [NOBODY, 0, None])
    def test_one_that_stays_is_written_to(self, sudo, owner):
        """The user's, one that a former run as root made, and none."""
        log = sudo.own / "log" if owner is None else sudo.write("log", "", owner)
        done = sudo.run("--decisions", str(log))
        assert done.returncode == 0, done.stderr
        assert any(json.loads(line).get("host") == "denied.test" for line in log.read_text().splitlines())
        assert log.stat().st_uid == (NOBODY if owner is None else owner)

    def test_one_in_a_folder_of_roots_is_made(self, sudo):
        assert sudo.run("--decisions", str(sudo.roots / "log")).returncode == 0
        assert "denied.test" in (sudo.roots / "log").read_text()


class TestOfWhatIsRead:
    @pytest.mark.parametrize("option", ["--policy", "--trust"])
    def test_a_file_that_becomes_a_link(self, sudo, lab, option):
        text = POLICY if option == "--policy" else lab.ca.certificate.read_text()
        file = sudo.write("read", text)
        shutil.copy(file, sudo.roots / "target")
        (sudo.roots / "target").chmod(0o600)
        status, said = sudo.exchanged(file, sudo.roots / "target", option, str(file))
        assert (status, f"cannot open {file}:" in said) == (2, True), said

    @pytest.mark.parametrize("option", ["--policy", "--trust"])
    def test_one_that_stays_is_read_and_so_is_roots(self, sudo, lab, option):
        text = POLICY if option == "--policy" else lab.ca.certificate.read_text()
        file = sudo.write("read", text)
        shutil.copy(file, sudo.roots / "target")
        for path in (file, sudo.roots / "target"):
            path.chmod(0o600)
            done = sudo.run(option, str(path))
            assert done.returncode == 0, done.stderr
