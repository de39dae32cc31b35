"""The agents of docker/agents and their programs from the npm registry, fetched once for all runs into build/npm."""
# SPDX-License-Identifier: GPL-3.0-or-later

import fcntl
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import yaml

_ROOT = Path(__file__).resolve().parents[3]
_KEPT = _ROOT / "build" / "npm"
_INSTALL_SECONDS = 300
_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}


class NotFetched(Exception):
    """npm's reason why a package cannot be installed here."""


def described():
    """{name: contents of its file}."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((_ROOT / "docker/agents").glob("*.yaml"))}


def unavailable():
    """Why packages cannot be fetched here, or an empty string."""
    return "" if shutil.which("npm") else "needs npm"


def install(name):
    """The command line that starts this agent's program."""
    agent = described()[name]
    package, version = agent["package"]["npm"], agent["package"]["version"]
    program = installed(f"{name}-{version}", f"{package}@{version}") / "bin" / agent["command"]
    with program.open("rb") as file:
        first_line = file.readline(128)
    script = first_line.startswith(b"#!") and b"node" in first_line
    return [str(part) for part in ([node()] if script else []) + [program]]


def node():
    """The Node that the agents' images have; Debian's is older than what some agents need."""
    version = re.search(r"^ARG NODE_VERSION=(\S+)$", (_ROOT / "docker/agents/Dockerfile").read_text(), re.MULTILINE)[1]
    package = f"node-linux-{_ARCHITECTURES[platform.machine()]}"
    return installed(f"node-{version}", f"{package}@{version}") / "lib/node_modules" / package / "bin/node"


def installed(folder, package):
    """The place of an npm package, fetched once into build/npm/`folder`: programs are in its bin."""
    place = _KEPT / folder
    _KEPT.mkdir(parents=True, exist_ok=True)
    with (_KEPT / f"{folder}.lock").open("w") as lock:  # tests of two programs may want the same one
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            part = place.with_name(place.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            fetch = ["npm", "install", "--global", "--prefix", part, "--no-audit", "--no-fund", package]
            # Where an optional package is compiled, node-gyp would fetch Node's headers from a host that is no mirror.
            environment = {**os.environ, "npm_config_nodedir": str(Path(shutil.which("node")).resolve().parents[1])}
            done = subprocess.run([str(word) for word in fetch], env=environment, check=False, capture_output=True, text=True,
                                  timeout=_INSTALL_SECONDS)  # fmt: skip
            if done.returncode != 0:
                raise NotFetched(f"npm cannot install {package}: {done.stderr[-1000:]}")
            part.rename(place)
    return place
