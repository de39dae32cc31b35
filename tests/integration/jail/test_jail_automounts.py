"""An automount point makes the kernel ask a process outside for a name of the command's choice: nothing is asked for."""
# SPDX-License-Identifier: GPL-3.0-or-later

import subprocess

import pytest

pytestmark = pytest.mark.threat("T153")

# Mounts autofs at argv[1] in a mount namespace of its own, answers that nothing can be mounted, writes the names that it
# was asked for to argv[2], and runs the rest. "kept" is mounted from the start.
AUTOMOUNTER = """
import ctypes, fcntl, os, select, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
point, log = sys.argv[1:3]
assert libc.unshare(0x20000) == 0
assert libc.mount(None, b"/", None, 0x44000, None) == 0
asked, asks = os.pipe()
ready, told = os.pipe()
ended, alive = os.pipe()  # until the program that is run has ended
os.set_inheritable(alive, True)
if os.fork() == 0:
    os.close(alive)
    for stream in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    os.setpgid(0, 0)  # whoever is in this group may mount there itself
    options = f"fd={asks},pgrp={os.getpid()},minproto=5,maxproto=5,indirect"
    assert libc.mount(b"test", point.encode(), b"autofs", 0, options.encode()) == 0, ctypes.get_errno()
    os.close(asks)
    folder = os.open(point, os.O_RDONLY)
    os.mkdir(point + "/kept")
    assert libc.mount(b"test", (point + "/kept").encode(), b"tmpfs", 0, None) == 0
    open(point + "/kept/file", "w").write("kept")
    os.chmod(point + "/kept/file", 0o644)
    os.write(told, b"x")
    while asked in select.select([asked, ended], [], [])[0]:
        packet = os.read(asked, 304)  # struct autofs_v5_packet
        token, size = struct.unpack_from("I", packet, 8)[0], struct.unpack_from("I", packet, 40)[0]
        with open(log, "a") as file:
            print(packet[44 : 44 + size].decode(), file=file)
        fcntl.ioctl(folder, 0x9361, token)  # AUTOFS_IOC_FAIL
    sys.exit()
os.close(asks)
os.close(told)
os.read(ready, 1)
for end in (ready, asked, ended):
    os.close(end)
os.execvp(sys.argv[3], sys.argv[3:])
"""


@pytest.fixture
def automounts(folder):
    """A prefix for commands, and the file of names that were asked for."""
    (folder / "net").mkdir()
    log = folder / "asked"
    log.touch()
    return ["/usr/bin/python3", "-c", AUTOMOUNTER, str(folder / "net"), str(log)], log


LOOK = "cat net/kept/file; ls net/secret.evil.test net/kept/../other.test 2>&1; touch net/x; ls net; pwd"


def test_no_name_is_asked_for(any_jail, automounts):
    prefix, log = automounts
    done = any_jail.run("sh", "-c", LOOK, prefix=prefix)
    assert log.read_text() == ""
    assert "No such file" in done.stdout, done
    assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr


def test_one_is_asked_for_outside_of_a_jail(automounts, folder):
    """Control: the same look, where nothing stops it."""
    prefix, log = automounts
    subprocess.run([*prefix, "sh", "-c", LOOK], cwd=folder, capture_output=True, timeout=30, check=False)
    assert {"secret.evil.test", "other.test"} <= {name.rstrip("\0") for name in log.read_text().split()}


def test_what_is_mounted_already_stays(any_jail, automounts):
    prefix, _ = automounts
    done = any_jail.run("sh", "-c", LOOK, prefix=prefix)
    assert done.stdout.startswith("kept"), done
    assert done.stdout.splitlines()[-2:] == ["kept", str(any_jail.folder)]


def test_a_working_directory_below_it_stays(any_jail, automounts, folder):
    prefix, log = automounts
    (folder / "policy.yaml").write_text("domains: []\n")
    inner = [*prefix, "sh", "-c", f'cd {folder}/net/kept && exec "$@"', "sh"]
    done = any_jail.run("sh", "-c", "cat file; ls ../secret.evil.test", prefix=inner)
    assert done.stdout == "kept", done.stderr
    assert log.read_text() == ""
