# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails on prose in Markdown that is wider than 100 columns. Tables, code and lines that are one long link are as wide as they must be."""

import re
import sys

from source_tree import ROOT, files

WIDTH = 100
FENCE = re.compile(r"^ *(```|~~~)")
UNBREAKABLE = re.compile(r"\s*(?:[-*>]|\d+\.)?\s*\S+")


def wide_lines(text):
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and len(line) > WIDTH and not line.lstrip().startswith(("|", "<!--")) and not UNBREAKABLE.fullmatch(line):
            yield number


def check(name, text):
    return [f"{name}:{number}: wider than {WIDTH} columns" for number in wide_lines(text)]


def self_test():
    long = "word " * 21
    good = [("a.md", "short\n"), ("a.md", f"| {long} |\n  | {long} |\n"), ("a.md", f"```\n{long}\n```\n"), ("a.md", "- " + "x" * 120)]
    bad = [("a.md", long), ("a.md", f"```\n```\n{long}"), ("a.md", f"- {long}")]
    wrong = [case for case in good if check(*case)] + [case for case in bad if not check(*case)]
    for case in wrong:
        print(f"self-test: wrong verdict on {case}")
    return 1 if wrong else 0


def main():
    if "--self-test" in sys.argv:
        return self_test()
    names = files(".md")
    found = [line for name in names for line in check(name, (ROOT / name).read_text(encoding="utf-8"))]
    print("\n".join(found) if found else f"{len(names)} pages fit {WIDTH} columns")
    return 1 if found or not names else 0


if __name__ == "__main__":
    sys.exit(main())
