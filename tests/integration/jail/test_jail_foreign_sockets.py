"""Unix sockets bound in another network namespace, as a container finds them when it gets docker.sock: they are not in
the kernel's table of this one, and are hidden all the same."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import os
import socket
import tempfile
from pathlib import Path

import pytest

from jail import mounted, NOBODY

threat = pytest.mark.threat


class Foreign:
    """Listening sockets of another network namespace; `at(path)` makes one."""

    def __init__(self, namespace, stack):
        self.namespace = namespace
        self.stack = stack

    def at(self, path, kind=socket.SOCK_STREAM):
        with self.namespace.entered():
            made = self.stack.enter_context(socket.socket(socket.AF_UNIX, kind))
        made.bind(str(path))
        if kind != socket.SOCK_DGRAM:
            made.listen()
        os.chmod(path, 0o777)
        return str(path)


@pytest.fixture
def foreign(lab):
    with contextlib.ExitStack() as stack:
        yield Foreign(lab.up, stack)


@pytest.fixture
def own(lab):
    """Likewise, in the network namespace that the jail is made in: the control."""
    with contextlib.ExitStack() as stack:
        yield Foreign(lab.gw, stack)


@threat("T150")
class TestHidden:
    @pytest.mark.parametrize(
        "variable",
        ["DOCKER_HOST=unix://{}", "CONTAINER_HOST=unix://{}", "SSH_AUTH_SOCK={}", "GPG_AGENT_INFO={}:123:1", "TMUX={},123,0",
         "DBUS_SESSION_BUS_ADDRESS=unix:abstract=/none;unix:path={},guid=0123", "PULSE_SERVER=unix:{}", "WAYLAND_DISPLAY={}",
         'A_NAME_OF_ITS_OWN=["/none", "{}"]'],
    )  # fmt: skip
    def test_what_a_variable_names(self, jail, folder, foreign, variable):
        path = foreign.at(folder / "foreign.sock")
        name, _, value = variable.format(path).partition("=")
        assert jail.call("unix_connect", path) == "ok", "control: nothing else tells of it"
        assert jail.call("unix_connect", path, env={name: value}) == "ECONNREFUSED"

    def test_as_every_kind_of_user_and_it_is_said(self, any_jail, folder, foreign):
        path = foreign.at(folder / "foreign.sock")
        done = any_jail.run(*any_jail.python("unix_connect", path), env={"SSH_AUTH_SOCK": path})
        assert done.stdout.strip() == '"ECONNREFUSED"'
        assert f"hidden Unix sockets: {path} (to allow one: --unix-socket PATH)" in done.stderr
        assert "hidden Unix sockets" not in any_jail.run("true").stderr

    @pytest.mark.parametrize("kind", ["user", "sudo"])
    def test_a_socket_that_is_a_mount_of_its_own(self, jail_of, folder, foreign, kind):
        """`-v /run/docker.sock:/anywhere/docker.sock`."""
        jail = jail_of(kind)
        path, point = foreign.at(folder / "foreign.sock"), folder / "mounted.sock"
        point.touch()
        found = jail.call("unix_connects", [path, str(point)], prefix=mounted(f"mount --bind {path} {point}"))
        assert found == {path: "ECONNREFUSED", str(point): "ECONNREFUSED"}, "at its own path as well"

    @pytest.mark.parametrize("below", [".", "sub", "run/a/b/c", "var/run/a", "tmp/ssh-x"])
    def test_those_in_a_mounted_folder(self, jail, folder, foreign, below):
        """`-v /run/host-services:/…`, `-v /:/host`."""
        (folder / "outside" / below).mkdir(parents=True, exist_ok=True)
        (folder / "inside").mkdir()
        foreign.at(folder / "outside" / below / "agent.sock")
        point = str(folder / "inside" / below / "agent.sock")
        bind = f"mount --bind {folder}/outside {folder}/inside"
        assert jail.call("unix_connect", point, prefix=mounted(bind)) == "ECONNREFUSED"

    def test_one_of_the_machines_by_a_second_path(self, any_jail, folder, own):
        """It is in the kernel's table, which knows one path."""
        (folder / "outside").mkdir()
        (folder / "second").mkdir()
        own.at(folder / "outside/own.sock")
        point = str(folder / "second/own.sock")
        bind = f"mount --bind {folder}/outside {folder}/second"
        assert any_jail.call("unix_connect", point, prefix=mounted(bind)) == "ECONNREFUSED"

    @pytest.mark.parametrize("path", ["docker.sock", "user/65534/bus", "containerd/containerd.sock", "user/1000/podman/podman.sock"])
    def test_those_in_the_runtime_folder(self, jail, folder, foreign, path):
        made = folder / "run" / path
        made.parent.mkdir(parents=True)
        foreign.at(made)
        prefix = mounted(f"mount --bind {folder}/run /run")
        assert jail.call("unix_connect", f"/run/{path}", prefix=prefix) in ("ECONNREFUSED", "ENOENT")
        assert jail.call("unix_connect", str(made)) == "ok", "control: the socket is live, and its folder no usual place"

    @pytest.mark.parametrize("path", [".gnupg/S.gpg-agent", ".docker/run/docker.sock", ".ssh/agent/s.1", ".colima/default/docker.sock"])
    def test_those_in_the_home_folder(self, jail, folder, foreign, path):
        (folder / path).parent.mkdir(parents=True)
        made = foreign.at(folder / path)
        assert jail.call("unix_connect", made, env={"HOME": str(folder)}) == "ECONNREFUSED"
        assert jail.call("unix_connect", made) == "ok", "control"

    def test_a_new_name_does_not_bring_it_back(self, any_jail, folder, foreign):
        """The command renames a folder above it, and tries a hard link."""
        (folder / "above/sub").mkdir(parents=True)
        path = foreign.at(folder / "above/sub/agent.sock")
        for each in (folder / "above", folder / "above/sub"):
            each.chmod(0o777)
        script = (
            f"import os, sys; sys.path.insert(0, {str(Path(any_jail.inside).parent)!r}); import inside\n"
            "print(inside._tried(lambda: os.rename('above/sub/agent.sock', 'above/sub/b')))\n"
            "print(inside._tried(lambda: os.link('above/sub/agent.sock', 'above/sub/b')))\n"
            "os.rename('above', 'renamed'); print(inside.unix_connect('renamed/sub/agent.sock'))"
        )
        done = any_jail.run("/usr/bin/python3", "-B", "-c", script, env={"SSH_AUTH_SOCK": path})
        assert done.stdout.split() == ["EBUSY", "EXDEV", "ECONNREFUSED"], done.stderr

    def test_a_long_path(self, jail, folder, foreign):
        deep = folder / ("d" * 60) / ("e" * 60)
        deep.mkdir(parents=True)
        before = os.getcwd()
        os.chdir(deep)
        try:
            foreign.at("long.sock")
        finally:
            os.chdir(before)
        script = f"import os, sys; sys.path.insert(0, {str(Path(jail.inside).parent)!r}); import inside; os.chdir({str(deep)!r}); print(inside.unix_connect('long.sock'))"
        done = jail.run("/usr/bin/python3", "-B", "-c", script, env={"SSH_AUTH_SOCK": str(deep / "long.sock")})
        assert done.stdout.strip() == "ECONNREFUSED", done.stderr


# What a command may leave for the next run: argv is the kind and the folder.
LEAVE = """
import os, socket, sys
kind, folder = sys.argv[1:]
os.chdir(folder)
for i in range(8300):
    if kind == 'files':
        open(f'f{i}', 'w').close()
    elif kind == 'folders':
        os.mkdir(f'd{i}')
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f's{i}')
"""
# Gives its user every right over a folder and connects to a socket in it.
REOPEN = """
import os, socket, sys
try:
    os.chmod(os.path.dirname(sys.argv[1]), 0o700)
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(sys.argv[1])
    print('ok')
except OSError as error:
    print(type(error).__name__)
"""


@threat("T228")
class TestAfterAFormerRun:
    """The command of one run does not keep the next one's search from a socket. /var/tmp is a folder of the test's own."""

    @pytest.fixture
    def shared(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as parent:
            os.chmod(parent, 0o755)
            made = Path(parent) / "a/shared"
            made.mkdir(parents=True)
            made.chmod(0o1777)
            yield made

    @pytest.mark.parametrize(("kind", "owner"), [("files", 0), ("folders", 0), ("folders", NOBODY), ("sockets", NOBODY)])
    def test_great_numbers_of_its_own_do_not_exhaust_the_search(self, jail, shared, foreign, kind, owner):
        prefix = mounted(f"mount --bind {shared} /var/tmp")
        done = jail.run("/usr/bin/python3", "-c", LEAVE, kind, "/var/tmp", prefix=prefix)
        assert done.returncode == 0, done.stderr
        (shared / "agent").mkdir()
        path = foreign.at(shared / "agent/s")
        for each in (shared / "agent", shared / "agent/s"):
            os.chown(each, owner, owner)
        done = jail.run(*jail.python("unix_connect", "/var/tmp/agent/s"), prefix=prefix)
        assert done.stdout.strip() == '"ECONNREFUSED"', done.stderr
        assert "/var/tmp/agent/s" in done.stderr
        assert "too many" not in done.stderr
        assert jail.call("unix_connect", path) == "ok", "control: the socket is live, and its folder no usual place"

    @pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
    def test_a_folder_that_it_closed_is_not_overlooked(self, jail, shared, foreign, mode):
        prefix = mounted(f"mount --bind {shared} /var/tmp")
        (shared / "agent").mkdir()
        path = foreign.at(shared / "agent/s")
        os.chown(shared / "agent", NOBODY, NOBODY)
        assert jail.run("chmod", f"{mode:o}", "/var/tmp/agent", prefix=prefix).returncode == 0
        done = jail.run("/usr/bin/python3", "-c", REOPEN, "/var/tmp/agent/s", prefix=prefix)
        assert done.stdout.strip() in ("FileNotFoundError", "ConnectionRefusedError"), done.stderr
        done = jail.run("/usr/bin/python3", "-c", REOPEN, path)
        assert done.stdout.strip() == "ok", "control: the same folder by a path that is not searched"


@threat("T150")
class TestStillWorks:
    def test_one_that_is_named_stays_reachable(self, any_jail, folder, foreign):
        path = foreign.at(folder / "foreign.sock")
        other = foreign.at(folder / "other.sock")
        env = {"SSH_AUTH_SOCK": path, "DOCKER_HOST": f"unix://{other}"}
        found = any_jail.call("unix_connects", [path, other], env=env, args=["--unix-socket", path])
        assert found == {path: "ok", other: "ECONNREFUSED"}

    def test_a_file_that_no_process_has_bound_can_be_replaced(self, any_jail, folder, foreign):
        """As servers do that find what they left."""
        path = foreign.at(folder / "left.sock")
        foreign.stack.close()
        os.chown(path, any_jail.uid, any_jail.uid)
        script = f"import os, socket; os.unlink({path!r}); s = socket.socket(socket.AF_UNIX); s.bind({path!r}); s.listen();" \
                 f"c = socket.socket(socket.AF_UNIX); c.connect({path!r}); print('ok')"  # fmt: skip
        done = any_jail.run("/usr/bin/python3", "-c", script, env={"SSH_AUTH_SOCK": path})
        assert done.stdout == "ok\n", done.stderr
        assert "hidden" not in done.stderr

    def test_files_and_folders_that_variables_name_are_left_alone(self, jail, folder):
        (folder / "file").write_text("text")
        (folder / "file").chmod(0o644)
        assert jail.run("cat", "file", env={"SSH_AUTH_SOCK": str(folder / "file"), "XDG_RUNTIME_DIR": str(folder)}).stdout == "text"

    def test_whoever_serves_a_socket_is_not_disturbed(self, jail, folder, lab):
        """The search finds out whether a socket is live without a connection."""
        with lab.up.entered(), socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            server.bind(str(folder / "stream.sock"))
            server.listen()
            log.bind(str(folder / "log.sock"))
            for name in ("stream.sock", "log.sock"):
                os.chown(folder / name, NOBODY, NOBODY)
            assert jail.run("true", env={"A": f"{folder}/stream.sock", "B": f"{folder}/log.sock"}).returncode == 0
            for one in (server, log):
                one.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.accept()
            with pytest.raises(BlockingIOError):
                log.recv(1)
