"""A policy that is mounted as a single file and replaced outside: a reload says that it still has the old one."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import subprocess

import pytest

from lab import gateway as gateways

OLD = "domains: [allowed.test]\n"
NEW = "domains: [allowed.test, cdn-allowed.test]\n"


@pytest.fixture
def mounted(gateway_binary, make_gateway, monkeypatch, tmp_path):
    """mounted(outer, inner): a gateway in whose own mount namespace `outer` covers `inner`, both in tmp_path."""

    def start(outer, inner):
        script = tmp_path / "in-a-mount-namespace"
        script.write_text(f'#!/bin/sh\nmount --bind "{tmp_path / outer}" "{tmp_path / inner}" && exec "{gateway_binary}" "$@"\n')
        script.chmod(0o755)
        monkeypatch.setattr(gateways, "binary", lambda: str(script))
        gateway = make_gateway(policy=None)
        gateway.policy_file = tmp_path / inner if (tmp_path / inner).is_file() else tmp_path / inner / "policy.yaml"
        gateway.arguments[1] = str(gateway.policy_file)
        return gateway.start()

    return start


def reload(binary, gateway, *options):
    command = [binary, "reload", "--control", str(gateway.control), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout


def replace(path, text):
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def test_a_single_file_that_was_replaced_outside_is_said(gateway_binary, mounted, tmp_path):
    outer, inner = tmp_path / "outer.yaml", tmp_path / "inner.yaml"
    outer.write_text(OLD)
    inner.write_text("domains: []\n")
    gateway = mounted("outer.yaml", "inner.yaml")
    outer.write_text(NEW)
    assert reload(gateway_binary, gateway) == (0, f"reloaded {inner}: 2 hosts, revision 2\n"), "control: written in place"
    assert gateway.status()["warnings"] == []
    status, out = reload(gateway_binary, gateway)
    assert status == 0 and f"warning: {inner} is mounted as a single file and has not changed: " in out
    replace(outer, OLD)
    assert [text for text in gateway.status()["warnings"] if "was replaced or removed outside" in text], "before it is asked to reload"
    mark = gateway.log.mark()
    status, out = reload(gateway_binary, gateway)
    assert status == 1, "it is not the policy that was meant"
    assert out.splitlines()[1] == (
        f"warning: {inner} is mounted as a single file, and that file was replaced or removed outside: "
        "this is still the old one. Mount its folder instead of the file, and restart"
    )
    gateway.log.wait_for(mark, type="reload", detail=lambda text: "was replaced or removed outside" in text)
    answer = json.loads(reload(gateway_binary, gateway, "--json")[1])
    assert answer["replaced"] is True and answer["warning"].startswith(str(inner))


def test_a_folder_shows_the_file_that_was_renamed_into_it(gateway_binary, mounted, tmp_path):
    for name in ("outside", "inside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(OLD)
    gateway = mounted("outside", "inside")
    replace(tmp_path / "outside/policy.yaml", NEW)
    assert reload(gateway_binary, gateway) == (0, f"reloaded {gateway.policy_file}: 2 hosts, revision 2\n")
    (tmp_path / "outside").rename(tmp_path / "elsewhere")
    assert reload(gateway_binary, gateway)[0] == 0, "the folder is the same, whatever its name outside is"
