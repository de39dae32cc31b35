"""npm's @devcontainers/cli, the reference of what an IDE does with a devcontainer.json."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import shutil
import subprocess

from lab import agent_packages

# The last version that runs on Debian 12's Node.
VERSION = "0.83.0"
SECONDS = 300


def unavailable():
    """Why it cannot run here, or an empty string."""
    return agent_packages.unavailable() or ("" if shutil.which("node") else "needs node")


class Client:
    """Asks `engine`, with the `docker` and the Compose of `clients` as `docker compose`."""

    def __init__(self, engine, clients, folder):
        self._program = agent_packages.installed(f"devcontainers-cli-{VERSION}", f"@devcontainers/cli@{VERSION}") / "bin/devcontainer"
        self._docker = clients.docker
        plugins = folder / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(clients.compose)
        self.environment = {**engine.environment, "DOCKER_CONFIG": str(folder), "DOCKER_BUILDKIT": "0"}

    def _run(self, command, folder, *arguments, check=True):
        done = subprocess.run([self._program, command, "--workspace-folder", folder, "--docker-path", self._docker, *arguments],
                              env=self.environment, check=False, text=True, capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL)  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"devcontainer {command}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done

    def up(self, folder, *options):
        """What it says of the container, and what it wrote meanwhile."""
        done = self._run("up", folder, "--buildkit", "never", *options)
        return json.loads(done.stdout.splitlines()[-1]), done.stderr

    def run(self, folder, *command):
        """Output of a command, started as an IDE's terminal starts one."""
        return self._run("exec", folder, *command).stdout

    def read_configuration(self, folder, *options):
        """`--include-merged-configuration` among the options needs the image."""
        done = self._run("read-configuration", folder, *options)
        return json.loads(done.stdout.splitlines()[-1])

    def docker(self, folder, *arguments):
        """`docker` in a terminal of the folder."""
        return subprocess.run([self._docker, *arguments], cwd=folder, env=self.environment, check=True, text=True, capture_output=True,
                              timeout=SECONDS, stdin=subprocess.DEVNULL)  # fmt: skip
