""".devcontainer of this repository: keys that tools know, the same Debian as CI, every package, and no policy for `./run`."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_FOLDER = _ROOT / ".devcontainer"
# Of containers.dev/implementors/json_reference, those that are in use here.
_KEYS = {"name", "build", "privileged", "remoteUser", "postCreateCommand", "customizations"}


@pytest.fixture
def described():
    return json.loads((_FOLDER / "devcontainer.json").read_text())


def test_has_known_keys_and_names_files_that_exist(described):
    assert set(described) <= _KEYS
    build = described["build"]
    assert set(build) == {"dockerfile", "context"}
    assert (_FOLDER / build["dockerfile"]).is_file()
    assert (_FOLDER / build["context"]).resolve() == _ROOT
    assert (_ROOT / described["postCreateCommand"].split()[0]).stat().st_mode & 0o111


def test_is_the_debian_of_ci():
    base = re.search(r"^ARG BASE_IMAGE=(\S+)$", (_FOLDER / "Dockerfile").read_text(), re.MULTILINE)[1]
    assert f"image: {base}\n" in (_ROOT / ".github/workflows/ci.yml").read_text()


def test_has_the_packages_of_builds_and_tests():
    text = (_FOLDER / "Dockerfile").read_text()
    copied = re.search(r"^COPY (.+) (\S+)/$", text, re.MULTILINE)
    assert all((_ROOT / name).is_file() for name in copied[1].split())
    groups = re.search(rf"{copied[2]}/ensure_packages ([a-z ]+) &&", text)[1].split()
    listed = {line.split()[0] for line in (_ROOT / "tools/packages.txt").read_text().splitlines() if line[:1].isalpha()}
    assert groups == ["run", "test"] and set(groups) < listed


def test_holds_no_policy():
    """A policy there would be the one of every `./run` in this folder."""
    assert {path.name for path in _FOLDER.iterdir()} == {"Dockerfile", "devcontainer.json"}
