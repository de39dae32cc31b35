"""Where user namespaces are forbidden: exit status 3, why, and what to do; and that the command has not run."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import subprocess

import pytest

from jail import NOBODY, environment_of

# Runs argv as nobody in a user namespace whose limit on further ones is 0, as user.max_user_namespaces=0 makes it.
LIMITED = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
made, mapped = os.pipe(), os.pipe()
child = os.fork()
if child:
    os.read(made[0], 1)
    for kind in ("uid", "gid"):
        open(f"/proc/{child}/{kind}_map", "w").write("0 0 65536")
    os.write(mapped[1], b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert libc.unshare(0x10000000) == 0
os.write(made[1], b"x")
os.read(mapped[0], 1)
open("/proc/sys/user/max_user_namespaces", "w").write(sys.argv[1])
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
os.execvp(sys.argv[2], sys.argv[2:])
"""

# Under chroot(2) the kernel refuses with EPERM, as a seccomp filter of a container engine does.
CHROOTED = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x00020000) == 0
assert libc.mount(None, b"/", None, 0x44000, None) == 0
assert libc.mount(b"/", b"/mnt", None, 0x5000, None) == 0
directory = os.getcwd()
os.chroot("/mnt"); os.chdir(directory)
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
os.execvp(sys.argv[1], sys.argv[1:])
"""



def run(script, *argv, folder):
    return subprocess.run(["/usr/bin/python3", "-c", script, *argv], cwd=folder, env=environment_of("user"),
                          capture_output=True, text=True, timeout=30, check=False)  # fmt: skip


@pytest.fixture
def gateway(program, folder):
    (folder / "policy.yaml").write_text("domains: [allowed.test]\n")
    return [str(program), "run", "--resolver", "127.0.0.1", "--", "sh", "-c", "touch ran; echo ran"]


def test_a_limit_of_none_is_named_with_the_command_that_lifts_it(gateway, folder):
    done = run(LIMITED, "0", *gateway, folder=folder)
    assert done.returncode == 3, done.stderr
    assert "user.max_user_namespaces is 0" in done.stderr
    assert "sysctl -w user.max_user_namespaces=" in done.stderr
    assert "sudo gateway run" in done.stderr
    assert not (folder / "ran").exists()
    control = run(LIMITED, "1000", *gateway, folder=folder)
    assert (control.returncode, control.stdout) == (0, "ran\n"), control.stderr


def test_a_sandbox_that_forbids_them_is_suspected_where_no_switch_does(gateway, folder):
    done = run(CHROOTED, *gateway, folder=folder)
    assert done.returncode == 3, done.stderr
    assert "Operation not permitted" in done.stderr
    assert "seccomp profile" in done.stderr
    assert not (folder / "ran").exists()


def test_root_needs_no_user_namespace(program, folder, lab):
    """Control: with privilege the same machine makes the jail, and the command is the user of sudo, in a namespace of root's."""
    (folder / "policy.yaml").write_text("domains: [allowed.test]\n")
    env = {**environment_of("sudo")}
    done = subprocess.run(
        [str(program), "run", "--resolver", "127.0.0.1", "--", "sh", "-c", "id -u; readlink /proc/self/ns/user"],
        cwd=folder, env=env, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    uid, namespace = done.stdout.split()
    assert uid == str(NOBODY), done.stderr
    assert namespace != os.readlink("/proc/self/ns/user")


def test_root_without_the_capability_to_map_itself_is_told_so(gateway, folder):
    done = subprocess.run(
        ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *gateway],
        cwd=folder, env=environment_of("root"), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "CAP_SETFCAP" in done.stderr
    assert not (folder / "ran").exists()
