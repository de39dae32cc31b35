"""`init --build`: Compose makes the images from a clone, in both versions, and no registry is asked for one of ours."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import subprocess

import pytest

from lab import gateway as gateways

GATEWAY, AGENT = "soleroute-test/built-gateway:1", "soleroute-test/built-agent:1"


@pytest.fixture(scope="module")
def arguments(images):
    """A program that is compiled already, the base that the tests have, and nothing that takes minutes to install."""
    return [f"--build-arg={value}" for value in ("PREBUILT=dist/gateway", f"BASE_IMAGE={images.debian}", "TOOLS=", "NODE=no",
                                                    f"NODE_IMAGE={images.debian}")]  # fmt: skip


@pytest.fixture
def project(engine, images, tmp_path):
    folder = tmp_path / "My Website"
    folder.mkdir()
    subprocess.run([gateways.binary(), "init", "--build", images.context, "--image", AGENT, folder], check=True, capture_output=True,
                   env={**os.environ, "HOME": str(tmp_path)})
    # Names of this test alone, so that other tests' images stay.
    compose = folder / ".devcontainer/compose.yaml"
    compose.write_text(compose.read_text().replace("soleroute/gateway:0.1.0", GATEWAY))
    yield folder
    engine.docker("rmi", "-f", GATEWAY, "soleroute-test/built-base:1", check=False)


@pytest.mark.parametrize("version", ["v2", "1.29"])
def test_compose_builds_the_gateway(request, engine, arguments, project, version):
    program = {} if version == "v2" else {"program": request.getfixturevalue("compose_1")}
    engine.compose(project, "build", *arguments, "proxy", **program)
    assert engine.docker("run", "--rm", GATEWAY, "--version").stdout.startswith("gateway ")


def test_the_base_is_a_stage_of_the_agents_image(engine, images, arguments, project):
    engine.docker("build", "-q", "-f", project / ".devcontainer/Dockerfile", "--target", "base-image", *arguments, "--build-arg", "DEV_UID=1234",
                  "-t", "soleroute-test/built-base:1", images.context)
    done = engine.docker("run", "--rm", "--entrypoint", "sh", "soleroute-test/built-base:1", "-c", "gateway --version && id -u")
    assert done.stdout.splitlines()[-1] == "1234"
