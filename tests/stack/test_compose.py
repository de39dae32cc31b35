"""Versions of Compose. All other files of this folder use v2; here docker-compose 1.29 meets the essentials."""
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest

import debian13
from project import POLICY, Project


def test_the_stacks_of_these_tests_come_up_with_compose_v2(engine, tmp_path):
    version = engine.compose(tmp_path, "version", "--short").stdout.strip()
    _, reason = debian13.clients(engine.folder)
    if reason:
        pytest.skip(f"all stacks used docker-compose {version}: {reason}")
    assert version.startswith("2.")


def left(engine, name):
    """Identities of a project's containers, networks and volumes."""
    label = f"--filter=label=com.docker.compose.project={name}"
    return [identity for kind in ("ps -a", "network ls", "volume ls") for identity in engine.docker(*kind.split(), "-q", label).stdout.split()]


def test_the_template_comes_up_holds_reloads_and_goes_down_with_1_29(engine, compose_1, images, tmp_path):
    one = Project(engine, images, tmp_path)
    one.compose_program = compose_1

    def page(host):
        return one.agent("curl", "-sS", f"http://{host}/").stdout

    try:
        one.up()
        assert page("allowed.test") == "AL\n" and page("denied.test").startswith("Blocked by proxy policy: denied.test")
        # The agent trusts what the proxy wrote into the volume.
        assert one.agent("curl", "-sS", "https://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")
        one.set_policy(POLICY.replace("allowed.test", "denied.test"))
        one.compose("exec", "-T", "proxy", "gateway", "reload")
        assert page("allowed.test").startswith("Blocked by proxy policy: allowed.test")
        before = one.containers()
        assert before and left(engine, one.name)
        one.compose("up", "-d")
        assert one.containers() == before, "the same command again changes nothing"
    finally:
        one.down("-v")
    assert left(engine, one.name) == []
