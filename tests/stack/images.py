"""Builds the images of docker/ on the base that the tests have, with the program that they were given."""
# SPDX-License-Identifier: GPL-3.0-or-later

import shutil
from dataclasses import dataclass
from pathlib import Path

import base_image
from build_relay import BuildRelay

_ROOT = Path(__file__).resolve().parents[2]
GATEWAY = "soleroute/gateway:0.1.0"
BASE = "soleroute/base:0.1.0"

# What the tests run as the agent; also the build argument at work.
_EXTRA = "python3 python3-pip iproute2 nftables nodejs"


@dataclass(frozen=True)
class Images:
    debian: str
    context: Path


def context(folder, program):
    """What a build sees: the image recipes and the program. Compiling it again in there would take minutes."""
    path = folder / "context"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(_ROOT / "docker", path / "docker")
    (path / "dist").mkdir()
    shutil.copy(program, path / "dist" / "gateway")
    return path


def build_gateway(engine, path, debian, tag=GATEWAY, buildkit=False):
    engine.docker("build", "-q", "-f", path / "docker/gateway/Dockerfile", "--build-arg", f"BASE_IMAGE={debian}",
                  "--build-arg", "PREBUILT=dist/gateway", "-t", tag, path, env={"DOCKER_BUILDKIT": str(int(buildkit))})


def build_base(engine, path, debian, tag=BASE, **arguments):
    """Without the tools and Node, which take minutes to install, unless `arguments` of the build say otherwise."""
    given = {"BASE_IMAGE": debian, "TOOLS": "", "NODE": "no", "NODE_IMAGE": debian, "EXTRA_PACKAGES": _EXTRA, **arguments}
    return engine.docker("build", "-f", path / "docker/base/Dockerfile", *(f"--build-arg={name}={value}" for name, value in given.items()),
                         "-t", tag, path)  # fmt: skip


def build(engine, folder, program):
    debian = base_image.provide(engine, folder)
    path = context(folder, program)
    build_gateway(engine, path, debian)
    build_base(engine, path, debian)
    return Images(debian, path)


def build_agents(engine, images, folder, *agents, own=None):
    """One image with these agents, their packages from the npm registry through a relay that only this build has.

    `own`: a folder with further agents' files. Returns the image's name.
    """
    name = f"soleroute/{'-'.join(sorted(agents))}:0.1.0"
    node = base_image.provide_node(engine, images.debian, folder)
    for file in own.glob("*.yaml") if own else ():
        shutil.copy(file, images.context / "docker/agents")
    relay = BuildRelay(engine.world.host)
    try:
        arguments = [f"--build-arg={variable}={relay.url}" for variable in ("http_proxy", "https_proxy")]
        engine.docker("build", "-q", "--network", "host", "-f", images.context / "docker/agents/Dockerfile", "--build-arg", f"NODE_IMAGE={node}",
                      "--build-arg", f"AGENTS={' '.join(agents)}", *arguments, "-t", name, images.context, timeout=900)
    finally:
        relay.close()
    return name
