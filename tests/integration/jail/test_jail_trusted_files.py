"""What the gateway reads or writes by a name is out of the command's reach: log, policy, root certificates, secrets, CA.

Each attempt has its control: the same on a file beside it works."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jail import mounted, NOBODY

threat = pytest.mark.threat
pytestmark = threat("T151")

POLICY = "domains: [allowed.test]\n"

# Prints the name of each attempt that succeeded in changing what is at a path, for argv[1:], absolute paths.
ATTEMPTS = """
import os, sys

def replaced(path):
    open(path + '.new', 'w').write('forged')
    os.rename(path + '.new', path)

def renamed_folder(depth):
    def attempt(path):
        folder = path
        for _ in range(depth):
            folder = os.path.dirname(folder)
        os.rename(folder, folder + '.away')
        try:
            os.makedirs(os.path.dirname(path))
            open(path, 'w').write('forged')
        finally:
            import shutil
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(folder + '.away', folder)
    return attempt

def linked(path):
    os.link(path, path + '.link')
    open(path + '.link', 'a').write('forged')

def by_descriptor(path):
    fd = os.open(path, os.O_RDONLY)
    open(f'/proc/self/fd/{fd}', 'a').write('forged')

def from_the_working_directory(path):
    open(os.path.relpath(path), 'a').write('forged')

ATTEMPTS = {
    'append': lambda path: open(path, 'a').write('forged'),
    'truncate': lambda path: os.truncate(path, 0),
    'chmod': lambda path: os.chmod(path, 0o666),
    'link': linked, 'descriptor': by_descriptor, 'relative': from_the_working_directory,
    'replace': replaced, 'rename': lambda path: (os.rename(path, path + '.away'), os.rename(path + '.away', path)),
    'folder': renamed_folder(1), 'folder above': renamed_folder(2),
    'remove': lambda path: os.unlink(path),
}
for path in sys.argv[1:]:
    done = []
    for name, attempt in ATTEMPTS.items():
        try:
            attempt(path)
            done.append(name)
        except OSError as error:
            pass
    print(' '.join(done) or '-', flush=True)
"""
EVERYTHING = {"append", "truncate", "chmod", "link", "descriptor", "relative", "replace", "rename", "folder", "folder above", "remove"}


@pytest.fixture(params=["user", "sudo", "docker-root"])
def owned(request, jail_of, folder):
    """A jail and a tree of folders of its user's: the tree's file(name) makes a file deep in it."""
    jail = jail_of(request.param, policy=None)
    os.chown(folder, jail.uid, jail.uid)
    (folder / "a/b").mkdir(parents=True)

    def file(name, text):
        path = folder / "a/b" / name
        path.write_text(text)
        for each in (path, path.parent, path.parent.parent):
            os.chown(each, jail.uid, jail.uid)
        return path

    jail.file = file
    return jail


def attempts(jail, *paths, **options):
    """What succeeded on each of the paths, and the whole run."""
    done = jail.run("/usr/bin/python3", "-c", ATTEMPTS, *[str(path) for path in paths], **options)
    assert done.returncode == 0, done.stderr
    lines = [line.replace("folder above", "folder_above").split() for line in done.stdout.splitlines()]
    return [{word.replace("_", " ") for word in line} - {"-"} for line in lines], done


class TestOfTheCommandLine:
    def test_the_decisions_cannot_be_forged(self, owned):
        log = owned.file("decisions.jsonl", "")
        beside = owned.file("beside.jsonl", "")
        (on_log, on_other), _ = attempts(owned, log, beside, args=["--decisions", str(log)])
        assert on_log == set()
        assert on_other >= EVERYTHING - {"folder", "folder above"}, "control"
        assert owned.run("curl", "-sS", "http://denied.test/", args=["--decisions", str(log)]).returncode == 0
        records = [json.loads(line) for line in log.read_text().splitlines()]
        assert records and all(record.get("action") != "allowed" for record in records)

    def test_folders_can_be_renamed_where_nothing_is_named(self, owned):
        beside = owned.file("beside.jsonl", "")
        (found,), _ = attempts(owned, beside)
        assert found == EVERYTHING, "control"

    def test_one_that_is_made_by_the_run_is_held_too(self, owned):
        log = owned.file("beside", "").with_name("new.jsonl")
        (found,), _ = attempts(owned, log, args=["--decisions", "a/b/new.jsonl"])
        assert found == set()
        assert log.exists()

    def test_policy_and_roots_cannot_be_changed(self, owned, lab):
        policy, roots = owned.file("p.yaml", POLICY), owned.file("roots.pem", open(lab.ca.certificate).read())
        found, done = attempts(owned, policy, roots, args=["--policy", str(policy), "--trust", str(roots)])
        assert found == [set(), set()]
        assert "was changed" not in done.stderr
        assert policy.read_text() == POLICY

    def test_the_hosts_file_of_the_machine_cannot_be_changed(self, owned):
        beside = owned.file("beside", "")
        changes = "for f in /etc/hosts \"$1\"; do { echo '203.0.113.9 pypi.org' >> $f; } 2>/dev/null && echo $f; done; true"
        before = Path("/etc/hosts").read_bytes()
        try:
            done = owned.run("sh", "-c", changes, "sh", str(beside))
            assert done.stdout.split() == [str(beside)], "the second is the control"
        finally:
            assert Path("/etc/hosts").read_bytes() == before

    def test_of_several_policies_each(self, owned):
        first, second = owned.file("1.yaml", POLICY), owned.file("2.yaml", "domains: [x.wild.test]\n")
        found, _ = attempts(owned, first, second, args=["--policy", "a/b/1.yaml", "--policy", str(second)])
        assert found == [set(), set()]

    @pytest.mark.parametrize("option", ["--secrets-dir", "--ca-dir"])
    def test_folders_stay_at_their_names_and_show_nothing(self, owned, option):
        held = owned.folder / "a/b/held"
        owned.file("beside", "")
        held.mkdir(mode=0o700)
        # A CA of another user is refused; under sudo that user is root.
        owner = 0 if option == "--ca-dir" and owned.kind == "sudo" else owned.uid
        os.chown(held, owner, owner)
        script = (
            f"touch {held}/planted; ls -A {held}/../held; mv {held} {held}.away; mv {held.parent} {held.parent}.away;"
            f"mv {held.parent.parent} {held.parent.parent}.away; rmdir {held}; true"
        )
        done = owned.run("sh", "-c", script, args=[option, str(held)])
        assert done.stderr.count("busy") >= 4, done.stderr
        assert held.is_dir()
        assert not (held / "planted").exists()
        control = owned.run("sh", "-c", script)
        assert "busy" not in control.stderr

    @pytest.mark.parametrize("option", ["--secrets-dir", "--ca-dir"])
    def test_a_folder_that_is_the_working_directory_is_hidden_there_too(self, owned, option):
        held = owned.folder / "held"
        held.mkdir(mode=0o700)
        (held / "token").write_text("s3cr3t")
        owner = 0 if option == "--ca-dir" and owned.kind == "sudo" else owned.uid
        for each in (held, held / "token"):
            os.chown(each, owner, owner)
            each.chmod(0o755 if owner != owned.uid else 0o700)
        owned.folder = held
        assert "token" in owned.run("ls").stdout, "control"
        assert "token" not in owned.run("ls", args=[option, str(held)]).stdout
        below = held / "below"
        below.mkdir()
        os.chown(below, owned.uid, owned.uid)
        owned.folder = below
        done = owned.run("touch", "ran", args=[option, str(held)])
        assert done.returncode == 3
        assert "start gateway in another folder" in done.stderr
        assert not (below / "ran").exists()


class TestByOtherPaths:
    def test_a_second_mount_of_the_folder_is_held_as_well(self, owned):
        log, policy = owned.file("log.jsonl", ""), owned.file("p.yaml", POLICY)
        second = owned.folder / "second"
        second.mkdir()
        os.chown(second, owned.uid, owned.uid)
        prefix = ["unshare", "--mount", "sh", "-ec", f'mount --bind {owned.folder}/a {second}; exec "$@"', "sh"]
        found, _ = attempts(owned, second / "b/log.jsonl", second / "b/p.yaml", prefix=prefix,
                            args=["--decisions", str(log), "--policy", str(policy)])  # fmt: skip
        assert found == [set(), set()]
        assert (log.read_text(), policy.read_text()) == ("", POLICY)

    @pytest.mark.parametrize("owned", ["user", "sudo"], indirect=True)
    @pytest.mark.parametrize("option", ["--decisions", "--policy", "--trust"])
    def test_a_second_name_is_refused(self, owned, option):
        path = owned.file("one", POLICY)
        os.link(path, path.with_name("other"))
        done = owned.run("touch", "ran", args=[option, str(path)])
        assert done.returncode == 2
        assert f"{path}: has 2 hard links" in done.stderr
        assert not (owned.folder / "ran").exists()

    @pytest.mark.parametrize("owned", ["user", "sudo"], indirect=True)
    @pytest.mark.parametrize("option", ["--decisions", "--policy", "--secrets-dir"])
    @pytest.mark.parametrize("link", ["a/b/link", "a/link/inner"])
    def test_a_link_that_the_command_could_replace_is_refused(self, owned, option, link):
        owned.file("inner", POLICY)
        target = owned.folder / "a/b/inner"
        if link == "a/b/link":
            (owned.folder / link).symlink_to(target)
        else:
            (owned.folder / "a/link").symlink_to(target.parent)
        done = owned.run("touch", "ran", args=[option, link])
        assert done.returncode == 2
        assert "the command could replace the symbolic link" in done.stderr
        assert not (owned.folder / "ran").exists()

    def test_a_link_that_it_could_not_replace_is_followed(self, jail_of, folder):
        """In a folder that only another user may write to."""
        jail = jail_of("user", policy=None)
        (folder / "config").mkdir(mode=0o755)
        (folder / "config/p.yaml").write_text(POLICY)
        (folder / "config/link.yaml").symlink_to("p.yaml")
        os.chmod(folder, 0o755)
        assert jail.call("get", "http://allowed.test/", args=["--policy", "config/link.yaml"])["status"] == 200

    @pytest.mark.parametrize("owner", [0, NOBODY])
    @pytest.mark.parametrize("kind", ["user", "sudo"])
    def test_a_link_in_a_read_only_mount_is_followed(self, jail_of, folder, kind, owner):
        """As a mounted ConfigMap has them: a folder of mode 0777 that the mount keeps from everybody, its owner too."""
        jail = jail_of(kind, policy=None)
        for name in ("config", "config/..data", "view"):
            (folder / name).mkdir()
            (folder / name).chmod(0o777)
        (folder / "config/..data/p.yaml").write_text(POLICY)
        (folder / "config/p.yaml").symlink_to("..data/p.yaml")
        for each in ("config", "config/..data", "config/..data/p.yaml", "config/p.yaml"):
            os.chown(folder / each, owner, owner, follow_symlinks=False)

        def read_only(point):
            return mounted(f"mount --bind {folder}/config {folder}/{point}", f"mount -o remount,bind,ro {folder}/{point}")

        args = ["--policy", "config/p.yaml"]
        assert jail.call("get", "http://allowed.test/", args=args, prefix=read_only("config"))["status"] == 200
        refused = "the command could replace the symbolic link"
        assert refused in jail.run("true", args=args).stderr, "control: without the mount"
        done = jail.run("true", args=["--policy", "view/p.yaml"], prefix=read_only("view"))
        assert (done.returncode, refused in done.stderr) == (2, True), "another mount lets change the same folder"

    @pytest.mark.parametrize(("stream", "option"), [("stdout", "--decisions"), ("stderr", "--decisions"), ("stdin", "--policy")])
    def test_a_file_that_is_a_standard_stream_is_refused(self, owned, stream, option):
        path = owned.file("one", POLICY)
        with open(path, "r" if stream == "stdin" else "a") as file:
            done = owned.run("touch", "ran", args=[option, str(path)], **{stream: file})
        assert done.returncode == 3
        said = path.read_text() if stream == "stderr" else done.stderr
        assert "which the command could change: pass it through a pipe" in said
        assert not (owned.folder / "ran").exists()

    def test_a_pipe_that_is_a_standard_stream_is_refused_and_another_is_not(self, owned):
        owned.file("p.yaml", POLICY)
        done = owned.run("true", args=["--decisions", "/dev/stderr"])
        assert done.returncode == 3, done
        reader, writer = os.pipe()
        os.fchown(writer, owned.uid, owned.uid)
        done = owned.run("curl", "-sS", "http://denied.test/", args=["--decisions", f"/dev/fd/{writer}"], pass_fds=[writer])
        os.close(writer)
        with open(reader) as log:
            assert '"denied.test' in log.read(), done.stderr

    def test_a_named_pipe_cannot_be_written_to(self, owned):
        fifo = owned.file("beside", "").with_name("fifo")
        os.mkfifo(fifo)
        fifo.chmod(0o666)
        os.chown(fifo, owned.uid, owned.uid)
        with open(os.open(fifo, os.O_RDWR | os.O_NONBLOCK)) as log:
            owned.run("sh", "-c", f"echo forged > {fifo}; curl -sS http://denied.test/", args=["--decisions", str(fifo)])
            text = log.read()
        assert "denied.test" in text
        assert "forged" not in text


class TestFoundPolicy:
    """Without --policy: what is found in the working directory."""

    @pytest.mark.parametrize("name", ["policy.yaml", ".devcontainer/policy.yaml"])
    def test_it_cannot_be_changed(self, any_jail, folder, name):
        (folder / "policy.yaml").unlink()
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(POLICY)
        for each in (path, path.parent, folder):
            os.chown(each, any_jail.uid, any_jail.uid)
        (found,), done = attempts(any_jail, path)
        if name == "policy.yaml":
            # The next run from the same shell is in the same folder, wherever it was moved.
            assert found <= {"folder", "folder above"}
        else:
            assert found <= {"folder above"}
        assert path.read_text() == POLICY
        assert any_jail.call("get", "http://allowed.test/")["status"] == 200

    def test_one_that_an_editor_outside_replaces_is_told_on(self, jail, folder):
        process, _ = jail.ready("sh", "-c", "echo up; read line", stdin=subprocess.PIPE)
        (folder / "new").write_text("domains: [x.wild.test]\n")
        os.rename(folder / "new", folder / "policy.yaml")
        _, said = process.communicate(b"\n", timeout=10)
        assert b"policy.yaml: changed while the command ran" in said

    def test_a_folder_that_is_moved_is_told_on(self, jail_of, folder):
        jail = jail_of(policy=None)
        jail.folder = folder / "project"
        jail.folder.mkdir()
        (jail.folder / "policy.yaml").write_text(POLICY)
        done = jail.run("sh", "-c", "cd / && mv $1 $1.away && mkdir $1", "sh", str(jail.folder))
        assert f"{jail.folder}: moved while the command ran" in done.stderr
        shutil.rmtree(jail.folder)

    def test_the_one_that_is_not_used_is_named(self, jail, folder):
        assert "is not used" not in jail.run("true").stderr
        (folder / ".devcontainer").mkdir()
        (folder / ".devcontainer/policy.yaml").write_text(POLICY)
        assert "warning: policy.yaml is not used because .devcontainer/policy.yaml exists" in jail.run("true").stderr


class TestStillWorks:
    @pytest.mark.parametrize("named", [True, False])
    def test_the_rest_of_the_project_is_the_commands(self, owned, named):
        owned.file("p.yaml", POLICY)
        (owned.folder / "policy.yaml").write_text(POLICY)
        script = "cd a/b && echo x > new && mv new newer && ln newer linked && mkdir d && mv newer d && rm -r d linked && cat p.yaml && echo $(pwd)"
        done = owned.run("sh", "-ec", script, args=["--policy", "a/b/p.yaml"] if named else [])
        assert done.stdout.splitlines() == [POLICY.strip(), f"{owned.folder}/a/b"], done.stderr

    def test_sockets_and_listeners_in_a_held_folder(self, owned):
        owned.file("p.yaml", POLICY)
        script = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('a/b/s'); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect('a/b/s'); print('ok')"
        assert owned.run("/usr/bin/python3", "-c", script, args=["--policy", "a/b/p.yaml"]).stdout == "ok\n"
