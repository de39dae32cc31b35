"""Code blocks of the documentation, so that a test runs what a page shows."""
# SPDX-License-Identifier: GPL-3.0-or-later

import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def sections(page):
    """{heading: text} of a page's second-level headings; `page` is a path from the root of the sources."""
    text = (_ROOT / page).read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def block(page, heading, kind="yaml", number=0):
    """The text of the section's code block of this kind, counted from 0. KeyError, IndexError: the page has none."""
    return [body for name, body in _FENCE.findall(sections(page)[heading]) if name == kind][number]


def commands(page, heading, number=0):
    """The command lines of a console block, without their prompt; continued lines are joined."""
    joined = block(page, heading, "console", number).replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]
