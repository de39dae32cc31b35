"""A real Docker Engine of this run alone: own network namespace, data, socket and control group; ended with the run.

It disturbs nothing: its bridges and firewall rules are in the world's `host` namespace, and no other engine is asked.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import fcntl
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from lab import addresses as at
from lab import wait

_engines = itertools.count(1)
START_SECONDS = 60
COMMAND_SECONDS = 300

# The client that comes with the engine knows its builders; a newer one elsewhere on the path may lack them.
DOCKER = next((path for path in ("/usr/bin/docker", shutil.which("docker")) if path and Path(path).exists()), None)
COMPOSE = shutil.which("docker-compose")


def unavailable():
    """Why an engine cannot run here, or an empty string."""
    if os.geteuid() != 0:
        return "a Docker Engine needs root"
    for program in ("dockerd", "containerd", "runc", "nsenter", "iptables"):
        if not shutil.which(program):
            return f"a Docker Engine needs {program}: apt-get install docker.io"
    if not DOCKER or not COMPOSE:
        return "the stack needs docker and docker-compose: apt-get install docker.io docker-compose"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "the kernel has no overlay file system"
    return ""


class Client:
    """Docker's and Compose's commands, sent to the engine at `socket`, without the user's configuration.

    `compose_program` is the version of Compose that its stacks use.
    """

    compose_program = COMPOSE

    def __init__(self, socket, home):
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{socket}", "HOME": str(home)}
        for variable in ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "COMPOSE_FILE", "COMPOSE_PROJECT_NAME"):
            self.environment.pop(variable, None)

    def docker(self, *arguments, check=True, timeout=COMMAND_SECONDS, **options):
        return self._command([DOCKER, *arguments], check, timeout, **options)

    def compose(self, project, *arguments, program=None, check=True, timeout=COMMAND_SECONDS, **options):
        """In the project's folder, with nothing but its files, as a user would. `program`: instead of the client's version."""
        command = [program or self.compose_program, "--ansi", "never", *arguments]
        return self._command(command, check, timeout, cwd=project, **options)

    def _command(self, command, check, timeout, env=None, **options):
        done = subprocess.run([str(part) for part in command], env={**self.environment, **(env or {})}, check=False,
                              timeout=timeout, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **{"stdin": subprocess.DEVNULL, **options})
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command[1:]))}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def nsenter(self, process, *command, **options):
        """Output of a command of this machine in the network namespace of a container's process."""
        return subprocess.run(["nsenter", f"--net=/proc/{process}/ns/net", *command], check=True, text=True,
                              capture_output=True, timeout=COMMAND_SECONDS, **options).stdout

    def inspect(self, *arguments):
        return json.loads(self.docker("inspect", *arguments).stdout)[0]


def _inside(system):
    """Runs a command with the programs and libraries of `system`, a root folder, and everything else of this machine.

    Its /usr is mounted over the machine's in a mount namespace, and goes with that. Unlike in a chroot, paths mean the same to
    the engine and to its clients.
    """
    if system is None:
        return []
    script = 'mount --bind "$0/usr" /usr && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, system]


class Engine(Client):
    """Started at construction. `folder` keeps images from run to run; one engine at a time may use it.

    `system` is the root folder of another Debian whose engine is to run, in place of this machine's.
    """

    def __init__(self, world, folder, system=None):
        self.world, self.folder, self._system = world, folder, system
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.run_folder = Path(tempfile.mkdtemp(prefix="sre-", dir="/tmp"))  # short: paths of sockets are limited
        self.group = f"soleroute-{os.getpid()}-{next(_engines)}"
        self.log = self.run_folder / "log"
        self.socket = self.run_folder / "docker.sock"
        super().__init__(self.socket, self.run_folder)
        data = folder / "data"
        self._reaper = subprocess.Popen(["sh", "-c", _REAPER, "reaper", self.group, self.run_folder, data], stdin=subprocess.PIPE,
                                        start_new_session=True)
        self._process = self._start(data)
        try:
            wait.until(self._answers, "the engine to answer", START_SECONDS, step=0.1)
            self._remove_all()  # a run that was killed left them
        except BaseException:
            self.close()
            raise

    def _start(self, data):
        command = ["nsenter", f"--net=/run/netns/{self.world.host.name}", *_inside(self._system), "dockerd", "--data-root", data,
                   "--exec-root", self.run_folder / "exec", "--pidfile", self.run_folder / "pid", "--host", f"unix://{self.socket}",
                   "--bip", "172.30.0.1/24", "--cgroup-parent", f"/{self.group}", "--dns", at.NS,
                   "--userland-proxy=false", "--config-file", self.run_folder / "no-configuration"]
        (self.run_folder / "no-configuration").write_text("{}")
        # The usual state of a machine with an engine, and the harder one: bridged frames meet the engine's rules.
        with self.world.host.entered(), contextlib.suppress(OSError):
            Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1")
        with self.log.open("wb") as log:
            return subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    env=self.environment, start_new_session=True)

    def _answers(self):
        if self._process.poll() is not None:
            raise AssertionError(f"dockerd ended: {self.log.read_text()[-2000:]}")
        return self.docker("version", check=False).returncode == 0

    def take_images(self, engine, *names):
        """Copies images that another engine has, unless they are here."""
        missing = [name for name in names if self.docker("image", "inspect", "-f", "{{.Id}}", name, check=False).stdout.strip() != engine.inspect(name)["Id"]]
        if missing:
            with subprocess.Popen([DOCKER, "save", *missing], env=engine.environment, stdout=subprocess.PIPE) as archive:
                self.docker("load", stdin=archive.stdout)
            self.docker("image", "prune", "-f")

    def restart(self, how):
        """Ended by the signal `how` and started again until it answers, as a machine's service manager does."""
        self._process.send_signal(how)
        self._process.wait(60)

        def started():
            if self._process.poll() is not None:
                (self.run_folder / "pid").unlink(missing_ok=True)
                self._process = self._start(self.folder / "data")
            return self.docker("version", check=False).returncode == 0
        wait.until(started, "the engine to answer again", START_SECONDS, step=0.1)

    def close(self):
        """Containers are ended and removed; images and the build cache stay for the next run."""
        with contextlib.suppress(subprocess.SubprocessError):
            self._remove_all()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._reaper.stdin.close()
        self._reaper.wait(60)
        shutil.rmtree(self.run_folder, ignore_errors=True)
        self._lock.close()

    def _remove_all(self):
        """Containers, volumes and networks."""
        for listing, removal in (("ps -aq", "rm -f -v"), ("volume ls -q", "volume rm -f"), ("network ls -q --filter type=custom", "network rm")):
            if found := self.docker(*listing.split(), check=False).stdout.split():
                self.docker(*removal.split(), *found, check=False)


# Ends what a killed run left: the processes of its control group, the daemon by its pid, mounts below its folders.
_REAPER = r"""
  set -u
  group=${1:?} run=${2:?} data=${3:?}  # an empty one would mean every mount of the machine
  trap '' INT TERM HUP
  read -r _
  daemon=$(cat "$run/pid" 2>/dev/null) containerd=$(cat "$run/exec/containerd/containerd.pid" 2>/dev/null)
  [ -z "$daemon" ] || kill -TERM "$daemon" 2>/dev/null
  for procs in $(find /sys/fs/cgroup -path "*/$group/*" -name cgroup.procs 2>/dev/null); do
    while read -r pid; do kill -KILL "$pid" 2>/dev/null; done < "$procs"
  done
  tries=0
  while [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
  if [ -s "$run/pid" ]; then kill -KILL $daemon $containerd 2>/dev/null; fi
  for folder in "$run" "$data"; do
    awk -v at="$folder" '$2 == at || index($2, at "/") == 1 { print $2 }' /proc/self/mounts | sort -r |
      while read -r at; do umount -l "$at" 2>/dev/null; done
  done
  find /sys/fs/cgroup -depth -type d \( -path "*/$group" -o -path "*/$group/*" \) -exec rmdir {} + 2>/dev/null
  rm -rf --one-file-system "$run"
  exit 0"""
