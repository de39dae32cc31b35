"""The images as a release makes them: tools/images, from the tarball of tools/dist."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import subprocess
from pathlib import Path

import pytest

import engine as engines
from lab import gateway as gateways

_ROOT = Path(__file__).resolve().parents[2]
_PREFIX = "soleroute-test/release"


@pytest.fixture(scope="module")
def tarball(images, tmp_path_factory):
    del images
    build = Path(gateways.binary()).parents[1]
    if "SOLEROUTE_STATIC_LIBS:BOOL=ON" not in (build / "CMakeCache.txt").read_text():
        pytest.skip(f"{build} is not a release build: SOLEROUTE_STATIC_LIBS is off")
    subprocess.run(["cmake", "--build", build, "--target", "man"], check=True, capture_output=True, timeout=300)
    done = subprocess.run([_ROOT / "tools/dist", "--build", build, "--output", tmp_path_factory.mktemp("dist")], check=True,
                          capture_output=True, text=True, timeout=120)
    return Path(done.stdout.strip())


def make(engine, images, *arguments):
    path = f"{Path(engines.DOCKER).parent}:{os.environ['PATH']}"
    given = (f"BASE_IMAGE={images.debian}", f"NODE_IMAGE={images.debian}", "NODE=no", "TOOLS=")  # those take minutes to install
    options = " ".join(f"--build-arg {value}" for value in given)
    environment = {**engine.environment, "PATH": path, "BUILD_OPTIONS": options, "DOCKER_BUILDKIT": "0"}
    return subprocess.run([_ROOT / "tools/images", *arguments], capture_output=True, text=True, check=False, timeout=600, env=environment)


def test_a_tarball_becomes_the_gateways_and_the_base_image(engine, images, tarball):
    done = make(engine, images, "--tarball", tarball, "--prefix", _PREFIX, "gateway", "base")
    assert done.returncode == 0, done.stderr
    version = tarball.name.split("-")[1]
    assert done.stdout.split() == [f"{_PREFIX}/{name}:{version}" for name in ("gateway", "base")]
    try:
        run = ["run", "--rm", "--network", "none", "--cap-drop", "ALL"]
        for options in (["--read-only", f"{_PREFIX}/gateway:{version}"], ["--entrypoint", "gateway", f"{_PREFIX}/base:{version}"]):
            assert engine.docker(*run, *options, "--version").stdout.split()[:2] == ["gateway", version]
    finally:
        engine.docker("rmi", *done.stdout.split())


@pytest.mark.parametrize("arguments", [["gateway"], ["--tarball", "missing.tar.gz", "gateway"], ["--tarball", __file__], ["--what"],
                                       ["--tarball", __file__, "claude"]])  # fmt: skip
def test_wrong_arguments_build_nothing(engine, images, arguments):
    done = make(engine, images, *arguments)
    assert done.returncode == 2 and done.stderr and not done.stdout
