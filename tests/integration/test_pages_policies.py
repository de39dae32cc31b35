"""The policies that the pages show are valid, and their hosts' services exist."""
# SPDX-License-Identifier: GPL-3.0-or-later

import re
import subprocess
from pathlib import Path

import pytest
import yaml

_ROOT = Path(__file__).resolve().parents[2]
_KEYS = {"services", "domains", "endpoints", "addresses", "hosts", "mode", "ech", "denied_names"}
_BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def _policies():
    for page in sorted([_ROOT / "README.md", *_ROOT.glob("docs/**/*.md")]):
        for number, (indent, block) in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8"))):
            text = "".join(line.removeprefix(indent) for line in block.splitlines(keepends=True))
            try:
                keys = set(yaml.safe_load(text) or ())
            except (yaml.YAMLError, TypeError):
                continue
            if keys and keys <= _KEYS and not isinstance(yaml.safe_load(text).get("services"), dict):
                yield pytest.param(text, id=f"{page.relative_to(_ROOT)}-{number}")


_FOUND = list(_policies())


def test_there_are_policies_to_check():
    assert len(_FOUND) >= 8


@pytest.mark.parametrize("text", _FOUND)
def test_a_policy_that_a_page_shows_is_valid(gateway_binary, tmp_path, text):
    (tmp_path / "policy.yaml").write_text(text)
    done = subprocess.run([gateway_binary, "check", "policy.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "policy.yaml").write_text(text + "\nunknown_key: 1\n")
    done = subprocess.run([gateway_binary, "check", "policy.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
