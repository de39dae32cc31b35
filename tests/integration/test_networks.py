"""docs/networks.md: the table at its top lists each section, and a test runs a block of each."""
# SPDX-License-Identifier: GPL-3.0-or-later

import re
from pathlib import Path

import pytest

from lab import page_examples

PAGE = "docs/networks.md"
_FOLDER = Path(__file__).parent
_SECTIONS = page_examples.sections(PAGE)


def headings_read_by_tests():
    """Of the page, in all other test files."""
    found = set()
    for file in _FOLDER.rglob("test_*.py"):
        text = file.read_text(encoding="utf-8")
        if file != Path(__file__) and PAGE in text:
            found.update(re.findall(r'page_examples\.(?:block|commands)\((?:PAGE|"docs/networks\.md"), "([^"]+)"', text))
    return found


def test_the_page_has_sections():
    assert len(_SECTIONS) >= 10
    assert "A section that is not there" not in headings_read_by_tests()


@pytest.mark.parametrize("heading", _SECTIONS)
def test_a_section_is_listed_has_a_block_and_is_run(heading):
    text = Path(_FOLDER.parents[1] / PAGE).read_text(encoding="utf-8")
    anchor = re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
    assert f"[{heading}](#{anchor}) |" in text
    assert re.search(r"^```(yaml|console)$", _SECTIONS[heading], re.MULTILINE)
    assert heading in headings_read_by_tests(), "no test reads a block of this section"
