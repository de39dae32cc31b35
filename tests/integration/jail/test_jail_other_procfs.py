"""A second procfs in the jail's mounts, as a chroot has one, shows processes outside by their numbers: it is no way to them."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import os
import subprocess

import pytest

from jail import environment_of
from lab import wait

pytestmark = pytest.mark.threat("T152")

# What a process can be read or entered by; argv[1] is a folder of it in some procfs. Prints what succeeded.
INTRUDE = """
import os, sys
process = sys.argv[1]
attempts = {
    'mem': lambda: os.close(os.open(process + '/mem', os.O_RDWR)),
    'environ': lambda: open(process + '/environ', 'rb').read(),
    'maps': lambda: open(process + '/maps').read(),
    'fd': lambda: os.readlink(process + '/fd/0'),
    'root': lambda: os.listdir(process + '/root/'),
    'cwd': lambda: os.listdir(process + '/cwd/'),
    'net': lambda: os.close(os.open(process + '/ns/net', os.O_RDONLY)),
}
for name, attempt in attempts.items():
    try:
        attempt()
        print(name)
    except OSError:
        pass
print('end')
"""
EVERY_WAY = {"mem", "environ", "maps", "fd", "root", "cwd", "net"}
# Runs a shell script as root of a user namespace with everybody in it, and of network and mounts of its own.
MACHINE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
made, mapped = os.pipe(), os.pipe()
assert libc.unshare(0x20000) == 0 and libc.mount(None, b"/", None, 0x44000, None) == 0
if sys.argv[1] == "masked":  # as engines do it: out of the container's reach
    assert libc.mount(b"/dev/null", b"/proc/version", None, 0x1000, None) == 0
child = os.fork()
if child:
    os.read(made[0], 1)
    for kind in ("uid", "gid"):
        open(f"/proc/{child}/{kind}_map", "w").write("0 0 65536")
    os.write(mapped[1], b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert libc.unshare(0x10000000 | 0x40000000 | 0x20000) == 0  # user, network, mounts
os.write(made[1], b"x")
os.read(mapped[0], 1)
os.execvp("sh", ["sh", "-ec", sys.argv[2], "sh", *sys.argv[3:]])
"""


def in_a_machine(proc, script, *arguments, folder, kind):
    return subprocess.run(["/usr/bin/python3", "-c", MACHINE, proc, script, *arguments], cwd=folder, env=environment_of(kind),
                          capture_output=True, text=True, timeout=30, check=False)  # fmt: skip


@contextlib.contextmanager
def process_of(uid):
    """A process outside of the same user as the command, without capabilities."""
    drop = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    process = subprocess.Popen([*drop, "sleep", "600"])
    try:
        wait.until(lambda: open(f"/proc/{process.pid}/comm").read() == "sleep\n", "the process outside")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def shown(folder, then='exec "$@"'):
    (folder / "proc").mkdir(exist_ok=True)
    return ["unshare", "--mount", "sh", "-ec", f"mount -t proc proc {folder}/proc; {then}", "sh"]


def test_processes_of_the_same_user_cannot_be_entered(any_jail, folder):
    with process_of(any_jail.uid) as pid:
        look = ["/usr/bin/python3", "-c", INTRUDE, f"{folder}/proc/{pid}"]
        done = any_jail.run(*look, prefix=shown(folder))
        assert done.stdout.split() == ["end"], done.stderr
        if any_jail.uid:
            plain = [*shown(folder), "setpriv", f"--reuid={any_jail.uid}", f"--regid={any_jail.uid}", "--clear-groups", *look]
            control = subprocess.run(plain, capture_output=True, text=True, check=True)
            assert set(control.stdout.split()) == EVERY_WAY | {"end"}, "control: outside, the same user may"


def test_root_cannot_set_what_the_kernel_runs_by_it(jail_of, folder):
    for kind in ("root", "docker-root"):
        jail = jail_of(kind)
        look = "echo '|/bin/false' > proc/sys/kernel/core_pattern || echo refused; cat proc/sys/kernel/core_pattern"
        done = jail.run("sh", "-c", look, prefix=shown(folder))
        assert done.stdout.splitlines()[0] == "refused", done
        assert len(done.stdout.splitlines()) == 2, "control: the file is there"


def test_under_sudo_the_command_has_a_user_namespace_where_everybody_keeps_a_number(jail_of, folder):
    jail = jail_of("sudo")
    done = jail.run("sh", "-c", "readlink /proc/self/ns/user; stat -c %u / /proc/1; id -u; cat /proc/self/uid_map")
    namespace, root, first, uid, *uid_map = done.stdout.split()
    assert namespace != os.readlink("/proc/self/ns/user")
    assert (root, uid) == ("0", str(jail.uid))
    assert uid_map == open("/proc/self/uid_map").read().split()
    assert first in ("0", str(jail.uid))


@pytest.mark.parametrize("kind", ["sudo", "root"])
def test_where_none_can_be_made_every_other_procfs_is_empty(program, folder, kind):
    """The jail is made in a user namespace that may hold no further one."""
    (folder / "policy.yaml").write_text("domains: []\n")
    (folder / "proc").mkdir()
    look = f"readlink /proc/self/ns/user; ls -A {folder}/proc | wc -l; (echo x > {folder}/proc/x) 2> /dev/null || echo refused"
    script = f"""
        mount --bind /proc {folder}/proc; ls {folder}/proc | grep -c '^[0-9]'
        echo 0 > /proc/sys/user/max_user_namespaces
        "$1" run --resolver 127.0.0.1 -- sh -c '{look}'
        readlink /proc/self/ns/user
    """
    done = in_a_machine("whole", script, str(program), folder=folder, kind=kind)
    assert done.returncode == 0, done.stderr
    control, inside, entries, written, outside = done.stdout.split()
    assert int(control) > 1
    assert inside == outside, "this test would prove nothing"
    assert (entries, written) == ("0", "refused"), done.stderr


@pytest.mark.parametrize(("limit", "status"), [("0", 3), ("100", 0)])
def test_where_neither_a_user_nor_a_pid_namespace_can_be_made_nothing_runs(program, folder, limit, status):
    """As root of a container in a user namespace, whose engine hides parts of /proc."""
    (folder / "policy.yaml").write_text("domains: []\n")
    script = """
        echo $2 > /proc/sys/user/max_user_namespaces
        "$1" run --resolver 127.0.0.1 -- touch ran
    """
    folder.chmod(0o777)
    done = in_a_machine("masked", script, str(program), limit, folder=folder, kind="sudo")
    assert done.returncode == status, done.stderr
    assert (folder / "ran").exists() == (status == 0)
    assert ("nothing isolates the command from other processes" in done.stderr) == (status == 3)
