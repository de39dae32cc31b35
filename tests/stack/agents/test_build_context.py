"""BuildKit takes a project's own agents' files as a build context, which leaves the clone as it is."""
# SPDX-License-Identifier: GPL-3.0-or-later

import subprocess

import pytest

import base_image
import debian13
from build_relay import BuildRelay
from test_engine_26 import modern, modern_world  # noqa: F401

OWN = """\
name: claude
title: Mine
package: {npm: mkdirp, version: 3.0.1}
command: mkdirp
"""


def test_a_projects_own_file_wins_over_the_agent_of_its_name(engine, images, modern, modern_world, tmp_path):  # noqa: F811
    clients, reason = debian13.clients(engine.folder)
    if reason:
        pytest.skip(reason)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/claude.yaml").write_text(OWN)
    configuration = tmp_path / "configuration"
    configuration.mkdir()
    (configuration / "cli-plugins").symlink_to(clients.plugins)
    node = base_image.provide_node(engine, images.debian, tmp_path)
    modern.take_images(engine, node)
    relay = BuildRelay(modern_world.host)
    try:
        build = [clients.docker, "build", "--network", "host", "-f", images.context / "docker/agents/Dockerfile", "--build-context",
                 f"own={tmp_path / 'own'}", "--build-arg", f"NODE_IMAGE={node}", "--build-arg", "AGENTS=claude",
                 *(f"--build-arg={variable}={relay.url}" for variable in ("http_proxy", "https_proxy")), "-t", "mine", images.context]
        done = subprocess.run([str(word) for word in build], env={**modern.environment, "DOCKER_CONFIG": str(configuration)}, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    finally:
        relay.close()
    assert modern.docker("run", "--rm", "--network", "none", "--entrypoint", "mkdirp", "mine", "--version").stdout == "3.0.1\n"
    assert modern.docker("run", "--rm", "--network", "none", "--entrypoint", "cat", "mine", "/opt/agents/commands").stdout == "mkdirp\n"
