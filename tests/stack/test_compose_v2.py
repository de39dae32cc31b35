"""The templates and the sidecar come up with Compose v2, which creates every container before it starts one."""
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest

from project import Project
from test_variants import Sidecar


def template(name):
    return lambda engine, images, folder: Project(engine, images, folder, name)


STACKS = {"claude": template("claude"), "copilot": template("copilot"),
          "sidecar": lambda engine, images, folder: Sidecar(engine, folder)}  # fmt: skip


@pytest.mark.parametrize("name", STACKS)
def test_it_comes_up_and_holds(engine, images, compose_v2, tmp_path, name):
    one = STACKS[name](engine, images, tmp_path)
    one.compose_program = compose_v2
    try:
        one.up()
        assert one.agent("curl", "-sS", "http://allowed.test/").stdout == "AL\n"
        # Over TLS the refusal is readable because the agent trusts the CA that the proxy wrote into the volume.
        assert one.agent("curl", "-sS", "https://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")
        assert one.agent("ls", "/etc/mitmproxy").stdout.split() == ["ca.crt", "mitmproxy-ca-cert.pem"]
    finally:
        one.down("-v")
