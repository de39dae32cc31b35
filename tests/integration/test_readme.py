"""The README's examples work as shown, with the files that it shows; its picture is what the program prints."""
# SPDX-License-Identifier: GPL-3.0-or-later

import importlib.machinery
import importlib.util
import shutil
import tempfile
from pathlib import Path

import pytest
from lab import page_sessions
from lab.page_sessions import agrees

_ROOT = Path(__file__).resolve().parents[2]
_OURS = ("gateway ", "./run ")
_ELSEWHERE = ("gateway init ",)  # writes a project; test_init.py has it
_LEAST_COMMANDS = 8


def _load(path):
    loader = importlib.machinery.SourceFileLoader(path.name, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(path.name, loader))
    loader.exec_module(module)
    return module


picture = _load(_ROOT / "tools/readme_picture")


def examples():
    """Those of the README that this test runs."""
    for command, shown, files in page_sessions.examples("README.md"):
        if command.startswith(_OURS) and not command.startswith(_ELSEWHERE):
            yield command, shown, files


@pytest.fixture
def folder():
    """One that every user may enter."""
    path = Path(tempfile.mkdtemp(prefix="soleroute-readme-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(autouse=True)
def former_origin(lab):
    """Later files of the same run find the laboratory's web server as it was."""
    yield
    lab.al.unscript("/")


@pytest.fixture
def run(lab, gateway_binary, folder):
    """run(command, files); the names of the README's policies lead to a web server."""
    names = {"registry.example.org", "mirror.example.net", "api.example.org"}
    execute = picture.in_laboratory(lab, gateway_binary, folder, names)
    session = folder / "session"
    # ./run is the repository's, with a program that is built already.
    (session / "run").write_text((_ROOT / "run").read_text())
    (session / "tools").mkdir()
    for tool in ("ensure_packages", "build"):
        (session / "tools" / tool).symlink_to("/bin/true")
    built = session / "build/release/gateway"
    built.mkdir(parents=True)
    (built / "gateway").symlink_to(folder / "gateway")
    (session / "run").chmod(0o755)

    def run(command, files):
        for name, content in files.items():
            (session / name).write_text(content)
        return execute(f"{command}\necho \"status $?\" >&2")

    return run


def test_every_example_prints_what_the_readme_shows(run):
    found, wrong = list(examples()), []
    assert len(found) >= _LEAST_COMMANDS
    for command, shown, files in found:
        printed, _, status = run(command, files).rpartition("status ")
        fine = agrees(shown, printed) if shown else status.strip() == "0"
        if not fine:
            wrong.append(f"$ {command}\n--- the README shows\n{shown}--- the program prints\n{printed}")
    assert not wrong, "\n".join(wrong)


def test_the_examples_show_what_is_blocked_and_what_is_allowed():
    shown = "".join(text for _, text, _ in examples())
    assert "Blocked by" in shown and picture.BODY in shown


def test_the_picture_is_the_session(lab, gateway_binary, folder):
    session = picture.record(picture.in_laboratory(lab, gateway_binary, folder))
    assert session[-1][1] == [picture.BODY]  # the last command passes
    assert session[0][1] != session[-1][1]
    assert picture.render(session) == picture.PICTURE.read_text(encoding="utf-8"), "run tools/readme_picture"
