"""`gateway run` as a test uses it: who runs it, in which directory, and what is asked inside."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import subprocess

from lab import addresses as at
from lab import agent
from lab import wait

# "user" is rootless; "root" has every capability; "sudo" is root on behalf of a user; "docker-root" is root with what
# Docker gives a container, and rootless too.
KINDS = ("user", "root", "sudo", "docker-root")
NOBODY = 65534
GROUP = 65533  # a supplementary group of the user

_PREFIX = {
    "user": ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", f"--groups={NOBODY},{GROUP}"],
    "root": [],
    "sudo": [],
    "docker-root": agent.privileges("RD"),
}


def environment_of(kind):
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    env.update({k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_", "TSAN_", "LSAN_"))})
    if kind == "sudo":
        env.update(SUDO_UID=str(NOBODY), SUDO_GID=str(NOBODY), SUDO_USER="nobody", USER="root", LOGNAME="root")
    return env


def mounted(*lines):
    """A prefix that runs the program in a mount namespace of its own after these shell commands."""
    return ["unshare", "--mount", "sh", "-ec", "\n".join([*lines, 'exec "$@"']), "sh"]


class Jail:
    """Starts commands in jails of one kind. `policy` None: no policy file anywhere."""

    def __init__(self, namespace, program, folder, kind="user", policy=at.POLICY):
        self.namespace = namespace
        self.program = str(program)
        self.folder = folder
        self.kind = kind
        self.uid = 0 if kind in ("root", "docker-root") else NOBODY
        self.inside = str(program.with_name("inside.py"))
        self.started = []
        if policy is not None:
            (folder / "policy.yaml").write_text(policy)

    def command_line(self, *command, args=(), prefix=()):
        # The laboratory's `ip netns exec` stays out of the way of signals: it executes what it is given.
        run = [self.program, "run", "--resolver", at.NS, *args, "--", *command]
        return self.namespace.command(*prefix, *_PREFIX[self.kind], *run)

    def start(self, *command, args=(), prefix=(), env=None, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(
            self.command_line(*command, args=args, prefix=prefix),
            cwd=self.folder,
            env={**environment_of(self.kind), **(env or {})},
            **options,
        )
        self.started.append(process)
        return process

    def run(self, *command, input=None, timeout=60, **options):  # noqa: A002
        """The finished process, with text output."""
        if input is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(*command, **options)
        try:
            out, err = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"{command} did not end: {process.communicate()}") from None
        text = [b"" if stream is None else stream for stream in (out, err)]
        return subprocess.CompletedProcess(command, process.returncode, *[t.decode(errors="replace") for t in text])

    def python(self, action, *args):
        return ["/usr/bin/python3", "-B", self.inside, action, json.dumps(args)]

    def call(self, action, *args, **options):
        """What inside.py's function says, run in a jail of its own."""
        done = self.run(*self.python(action, *args), **options)
        assert done.returncode == 0, (done.returncode, done.stderr[-300:])
        return json.loads(done.stdout)

    def calls(self, *calls, **options):
        """The same for several, (name, argument…) each, in one jail."""
        return self.call("batch", *calls, **options)

    def ready(self, *command, **options):
        """A started command that has printed its first line; returns the process and the line."""
        process = self.start(*command, **options)
        line = process.stdout.readline().decode().strip()
        assert line, (process.wait(), process.stderr.read())
        return process, line

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()


def children(pid):
    """Process ids of the direct children, as seen from outside."""
    return [int(p) for p in open(f"/proc/{pid}/task/{pid}/children").read().split()]


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def gone(pid):
    """No such process, or a zombie that nobody has waited for yet."""
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_gone(pids):
    wait.until(lambda: all(gone(pid) for pid in pids), f"processes {pids} to be gone")


def network_namespace(pid):
    return os.readlink(f"/proc/{pid}/ns/net")
