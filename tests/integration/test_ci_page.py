"""The recipes of docs/ci.md: shell lines run as shown, and what is shown of actions, GitLab and pre-commit is what the repository has."""
# SPDX-License-Identifier: GPL-3.0-or-later

import re
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from lab import page_sessions

_ROOT = Path(__file__).resolve().parents[2]
_PAGE = (_ROOT / "docs/ci.md").read_text(encoding="utf-8")
_POLICY = "domains:\n  - registry.example.org\n"
_TESTS = """\
policies: [policy.yaml]
tests:
  - {url: "https://registry.example.org/", expect: allow}
  - {url: "https://transfer.example.net/", expect: deny}
"""
_NAMES = {"OWNER/soleroute": "action.yml", "OWNER/soleroute/packaging/ci/check": "packaging/ci/check/action.yml"}


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", _PAGE, re.DOTALL | re.MULTILINE)


def steps():
    """The steps of the page's GitHub jobs."""
    return [step for block in blocks("yaml") if block.startswith("steps:") for step in yaml.safe_load(block)["steps"]]


@pytest.fixture
def run(lab, gateway_binary):
    """run(command line) in a folder with a policy, its tests and a script, as an ordinary user of the laboratory."""
    folder = Path(tempfile.mkdtemp(prefix="soleroute-ci-", dir="/tmp"))
    execute = page_sessions.Terminal(lab, gateway_binary, folder, {"registry.example.org"}).run
    place = folder / "session"
    (place / "policy.yaml").write_text(_POLICY)
    (place / "policy-tests.yaml").write_text(_TESTS)
    (place / "test.sh").write_text("#!/bin/sh\ncurl -sS http://registry.example.org/\ncurl -sS http://denied.example.net/ || true\n")
    (place / "test.sh").chmod(0o755)
    yield lambda command: execute(f"{command}\necho \"status $?\"").rpartition("status ")[::2]
    lab.al.unscript("/")
    shutil.rmtree(folder, ignore_errors=True)


def test_the_shell_recipes_run_as_shown(run):
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) >= 4
    for line in lines:
        printed, status = run(line)
        assert status.strip() == "0", (line, printed)
    assert "denied.example.net" in printed  # the last one suggests what was blocked


def test_every_format_that_is_named_exists(run):
    table = _PAGE[_PAGE.index("| format |") : _PAGE.index("`gateway run`, `gateway test` and `gateway suggest` append")]
    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert len(named) == 7
    for name in named:
        for command in ("check policy.yaml", "test policy-tests.yaml"):
            printed, status = run(f"gateway {command} --format {name}")
            assert status.strip() == "0", (command, name, printed)
    assert run("gateway check policy.yaml --format none")[1].strip() == "2"


def test_the_script_for_any_system_is_the_one_shown():
    script = (_ROOT / "packaging/ci/shell.sh").read_text()
    assert blocks("sh")[0] in script


def test_the_gitlab_job_is_the_one_shown():
    shown = next(block for block in blocks("yaml") if "codequality:" in block)
    assert yaml.safe_load(shown)["policy"] == yaml.safe_load((_ROOT / "packaging/ci/gitlab.yml").read_text())["policy"]


def test_the_actions_exist_with_the_inputs_shown():
    used = [step for step in steps() if step.get("uses", "").startswith("OWNER/")]
    assert len(used) == 2
    for step in used:
        action = yaml.safe_load((_ROOT / _NAMES[step["uses"].partition("@")[0]]).read_text())
        assert set(step["with"]) <= set(action["inputs"]), step


def test_the_table_of_inputs_is_that_of_the_action():
    action = yaml.safe_load((_ROOT / "action.yml").read_text())
    table = _PAGE[_PAGE.index("| input |") : _PAGE.index("The outputs are")]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(action["inputs"])
    assert all(f"`{name}`" in _PAGE for name in action["outputs"])


def test_the_hooks_of_pre_commit_exist():
    shown = next(block for block in blocks("yaml") if block.startswith("repos:"))
    ids = [hook["id"] for hook in yaml.safe_load(shown)["repos"][0]["hooks"]]
    hooks = yaml.safe_load((_ROOT / ".pre-commit-hooks.yaml").read_text())
    assert ids == [hook["id"] for hook in hooks]
