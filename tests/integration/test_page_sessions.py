"""The terminal sessions of the documentation print what the pages show."""
# SPDX-License-Identifier: GPL-3.0-or-later

import shutil
import tempfile
from pathlib import Path

import pytest
from lab import page_sessions
from lab.page_sessions import agrees

# Pages whose sessions run, in their order, in one folder; and the names that lead to the laboratory's web server.
_PAGES = ("docs/policy/changes.md", "docs/policy/deny.md")
_NAMES = {"registry.example.org", "api.example.org", "mirror.example.net"}


@pytest.fixture
def terminal(lab, gateway_binary):
    folder = Path(tempfile.mkdtemp(prefix="soleroute-page-", dir="/tmp"))  # one that every user may enter
    opened = page_sessions.Terminal(lab, gateway_binary, folder, _NAMES)
    yield opened
    opened.close()
    lab.al.unscript("/")
    shutil.rmtree(folder, ignore_errors=True)


def test_the_comparison_sees_a_difference():
    assert agrees("a\n…\nc\n", "a\nb\nb\nc\n") and agrees("a…\n", "a\nb\n") and agrees("a\n", "a\n")
    assert not agrees("a\n", "a\nb\n") and not agrees("a\n…\nc\n", "a\nb\n") and not agrees("a\n", "")


@pytest.mark.parametrize("page", _PAGES)
def test_a_page_shows_what_the_program_prints(terminal, page):
    commands = list(page_sessions.examples(page))
    assert commands, f"{page} has no session"
    wrong = page_sessions.differences(terminal, commands)
    assert not wrong, wrong
