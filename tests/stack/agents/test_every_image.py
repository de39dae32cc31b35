"""The image of every agent of docker/agents is built, and its program starts in it without a network. Before a release: ./test agents."""
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest

import images as image_builds
from lab import agent_packages

_SECONDS = 120  # one of them unpacks itself when it starts


@pytest.mark.parametrize("agent", agent_packages.described())
def test_its_program_is_the_pinned_version(engine, images, tmp_path, agent):
    described = agent_packages.described()[agent]
    image = image_builds.build_agents(engine, images, tmp_path, agent)
    try:
        run = ["run", "--rm", "--network", "none", "--cap-drop", "ALL", "--entrypoint", described["command"]]
        assert described["package"]["version"] in engine.docker(*run, image, "--version", timeout=_SECONDS).stdout
    finally:
        engine.docker("rmi", image, check=False)
