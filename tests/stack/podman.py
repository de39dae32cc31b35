"""Podman of this run alone: own storage, state, networks and configuration, in the world's `host` namespace.

Podman has no daemon: each command is a process, and what it leaves is ended with the run.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from engine import DOCKER, Client
from lab import addresses as at
from lab import wait

COMMAND_SECONDS = 120
PODMAN = shutil.which("podman")
_CNI_PLUGINS = Path("/usr/lib/cni")

_CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
dns_servers = ["{resolver}"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_config_dir = "{networks}"
"""


def unavailable():
    """Why Podman cannot run here, or an empty string."""
    if not PODMAN:
        return "the pods need Podman: apt-get install podman catatonit"
    if not (shutil.which("catatonit") or Path("/usr/libexec/podman/catatonit").exists()):
        return "Podman's pods need catatonit: apt-get install catatonit"
    return ""


# Containers in a place of this run, above images that are kept.
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{run}/root"
runroot = "{run}/run"
[storage.options]
additionalimagestores = ["{images}"]
"""


class Podman:
    """`folder` keeps images from run to run; one run at a time may use it, as the engine of the same folder sees to."""

    def __init__(self, world, folder):
        self.world = world
        self.run_folder = Path(tempfile.mkdtemp(prefix="srp-", dir="/tmp"))
        self._images = folder / "podman"
        self._images.mkdir(exist_ok=True)
        networks = self.run_folder / "networks"
        networks.mkdir()
        configuration = self.run_folder / "containers.conf"
        configuration.write_text(_CONFIGURATION.format(resolver=at.NS, networks=networks))
        storage = self.run_folder / "storage.conf"
        storage.write_text(_STORAGE.format(run=self.run_folder, images=self._images))
        self.environment = {**os.environ, "CONTAINERS_CONF": str(configuration), "CONTAINERS_STORAGE_CONF": str(storage),
                            "HOME": str(self.run_folder)}
        self.environment.pop("CONTAINER_HOST", None)
        self._reaper = subprocess.Popen(["sh", "-c", _REAPER, "reaper", str(self.run_folder)], stdin=subprocess.PIPE, start_new_session=True)

    def close(self):
        with contextlib.suppress(subprocess.SubprocessError):
            self.podman("pod", "rm", "-fa", "-t", "0", check=False)
            self.podman("rm", "-fa", "-t", "0", check=False)
            self.podman("volume", "prune", "-f", check=False)
            self.podman("network", "prune", "-f", check=False)
        self._reaper.stdin.close()
        self._reaper.wait(60)
        shutil.rmtree(self.run_folder, ignore_errors=True)

    def podman(self, *arguments, check=True, timeout=COMMAND_SECONDS, **options):
        done = subprocess.run(self.command(*arguments), env=self.environment, check=False, timeout=timeout, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"podman {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done

    def command(self, *arguments):
        # Not `ip netns exec`: that would hide the control groups.
        return ["nsenter", f"--net=/run/netns/{self.world.host.name}", PODMAN, "--tmpdir", str(self.run_folder / "tmp"), *map(str, arguments)]

    def inspect(self, name):
        return json.loads(self.podman("inspect", name).stdout)[0]

    def take_images(self, engine, *names):
        """Copies images that the Docker Engine built, unless they are here."""
        wanted = {name: engine.inspect(name)["Id"].removeprefix("sha256:") for name in names}
        missing = [name for name, identity in wanted.items()
                   if self.podman("image", "inspect", "-f", "{{.Id}}", name, check=False).stdout.strip() != identity]
        if missing:
            shutil.rmtree(self._images / "libpod", ignore_errors=True)  # remembers the folders of the run that made it
            with subprocess.Popen([DOCKER, "save", *missing], env=engine.environment, stdout=subprocess.PIPE) as archive:
                self.podman("--root", self._images, "--runroot", self.run_folder / "load", "load", stdin=archive.stdout)


class Service(Client):
    """`podman system service`: the socket at which Podman speaks Docker's language, for Compose."""

    def __init__(self, podman):
        self.world, self._podman = podman.world, podman
        socket = podman.run_folder / "api.sock"
        super().__init__(socket, podman.run_folder)
        command = podman.command("system", "service", "--time=0", f"unix://{socket}")
        self._process = subprocess.Popen(command, env=podman.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait.until(lambda: self.docker("version", check=False).returncode == 0, "Podman's service to answer", 30)

    def close(self):
        self._process.terminate()
        self._process.wait(30)

    @contextlib.contextmanager
    def health_checks(self, seconds=1):
        """What systemd's timers do on a machine that has it: `podman healthcheck run`, of all that have not answered yet."""
        done = threading.Event()

        def check():
            while not done.wait(seconds):
                for container in self._podman.podman("ps", "-q", "--filter", "health=starting", check=False).stdout.split():
                    self._podman.podman("healthcheck", "run", container, check=False)

        timer = threading.Thread(target=check, daemon=True)
        timer.start()
        try:
            yield
        finally:
            done.set()
            timer.join(60)


# Ends what a killed run left: containers and their monitors, known by the folder of their state.
_REAPER = r"""
  : "${1:?}"  # an empty one would mean every process and mount of the machine
  trap '' INT TERM HUP
  read -r _
  for pid in $(grep -lsF "$1/" /proc/[0-9]*/cmdline | cut -d/ -f3); do
    [ "$pid" = $$ ] || kill -KILL "$pid" 2>/dev/null
  done
  grep -o " $1/[^ ]*" /proc/self/mounts | sort -r | while read -r at; do umount -l "$at" 2>/dev/null; done
  exit 0"""
