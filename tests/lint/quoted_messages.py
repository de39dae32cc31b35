# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails on a message that a page quotes and no program prints: in the listed columns of the listed pages, each text in backticks must be
a part of a string of the sources, or must have a part of one between two of its fields. … means anything."""

import re
import sys

from source_tree import ROOT, files

COLUMNS = {"docs/troubleshooting.md": 0, "docs/inspection.md": 1}  # the column of the page's tables that quotes
SOURCES = ("base/", "compose/", "docker/", "gateway/", "netrules/", "policy/")
# Said by other programs, or not a message.
OTHERS = ("Pool overlaps with other one", "service \"agent\" is not running", "cannot join network of a non running container",
          "permission denied", "Permission denied", "access_denied", "unrecognized_name", "https://ADDRESS/", "sysctls", "/workspace", "429")  # fmt: skip
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.DOTALL | re.MULTILINE)
LITERAL = re.compile(r'"((?:\\.|[^"\\\n])*)"')
FIELD = re.compile(r"\{[^{}]*\}")
LEAST_FIXED = 12  # characters; a shorter string is in every sentence
LEAST_QUOTES = 10


def strings(code):
    """The string literals of a source, neighbours joined."""
    joined = re.sub(r'"\s*\n\s*"', "", code)
    return [text.replace('\\"', '"').replace("\\n", "\n") for text in LITERAL.findall(joined)]


def quotes(page, column):
    for line in FENCE.sub("", page).splitlines():
        cells = line.split(" | ") if line.startswith("| ") else []
        if len(cells) > column and not set(line) <= set("| -:"):
            yield from re.findall(r"`([^`]+)`", cells[column])


class Messages:
    """What the sources can print."""

    def __init__(self, literals):
        self._all = "\0".join(set(literals))
        self._fixed = {piece.strip() for text in literals for piece in FIELD.split(text) if len(piece.strip()) >= LEAST_FIXED}

    def has(self, quote):
        parts = (re.sub(r"^\S+:\d+:\d+: ", "", part.strip()) for part in quote.split("…"))
        return all(self._has_part(part) for part in parts if len(part) > 3)

    def _has_part(self, part):
        return part in self._all or any(piece in part for piece in self._fixed)


def check(name, page, column, messages):
    return [f"{name}: quotes `{quote}`, which no program prints" for quote in quotes(page, column)
            if not any(other in quote for other in OTHERS) and re.search(r"\w \w", quote) and not messages.has(quote)]  # fmt: skip


def self_test():
    messages = Messages(strings('x("no such interface: {} "\n "(found: {})"); y("cannot open it now");'))
    good = ["| `no such interface: eth9 (found: lo)` | x |", "| `cannot open it now` | `never said by it` |", "| `a: cannot open it now` | |",
            "| `… open it now` | |", "no table: `never said by it`", "| `docker compose up` | |".replace("docker compose up", "up")]
    bad = ["| `no such interface eth9 (found: lo)` | x |", "| `cannot open it` and `cannot close it` | |"]
    wrong = [case for case in good if check("a.md", case, 0, messages)] + [case for case in bad if not check("a.md", case, 0, messages)]
    for case in wrong:
        print(f"self-test: wrong verdict on {case}")
    return 1 if wrong else 0


def main():
    if "--self-test" in sys.argv:
        return self_test()
    literals = []
    for name in files():
        if name.startswith(SOURCES) and not name.endswith((".md", ".cmake")):
            literals += strings((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    messages = Messages(literals)
    pages = {name: (ROOT / name).read_text(encoding="utf-8") for name in COLUMNS}
    found = [line for name, page in pages.items() for line in check(name, page, COLUMNS[name], messages)]
    count = sum(len(list(quotes(page, COLUMNS[name]))) for name, page in pages.items())
    if count < LEAST_QUOTES:
        found.append(f"{count} quotes were found; at least {LEAST_QUOTES} are expected")
    print("\n".join(found) if found else f"{count} quoted messages are printed by a program")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
