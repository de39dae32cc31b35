# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails on a reference without a target: a Markdown link to a file or a heading that does not exist, a path in backticks or a
`docs/….md` that does not exist, a page that no docs/…/README.md lists, a constant that only a comment has, and words that name a
document or a conversation outside the repository."""

import posixpath
import re
import sys
from pathlib import PurePosixPath

from source_tree import ROOT, files

FOLDERS = ("base", "cmake", "compose", "docker", "docs", "gateway", "netrules", "packaging", "policy", "sniffer", "tests", "tools")
SUFFIXES = ("", ".h", ".cpp", ".py")  # `gateway/net/listen` means both of its files
NOT_READ = ("LICENSE", "tests/lint/references.py")
LEAST_LINKS = 150

FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)
PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*\w/?")
DOCUMENT = re.compile(r"(?<![\w/.])docs/[\w/-]+\.md\b")
CONSTANT = re.compile(r"\bk[A-Z]\w+")
ELSEWHERE = [re.compile(pattern) for pattern in (
    r"\b(?:DESIGN|THREATS|STYLE|WORDS|FIELD)\b(?:\.md|:| section| of | [A-C]\.\d| T\d)",
    r"\b(?!RFC\b)[A-Z]{4,} (?:section \d|[A-C]\.\d)",  # a document that is called by its name in capitals
    r"\b[Dd]eparts? from the design\b",
    r"\b(?:[Tt]he|[Tt]his) issue (?:asks|says|wants)\b",
    r"\b[Ii]ssue #?\d+\b",
    r"\b[Tt]he review(?:er)?s? (?:asks?|says?|found|wants?)\b",
)]  # fmt: skip


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number, one = 0, slug
        while one in found:
            number += 1
            one = f"{slug}-{number}"
        found.add(one)
    return found


class Tree:
    """The repository's files, and the anchors of its pages."""

    def __init__(self, names, read):
        self._names, self._read, self._anchors = set(names), read, {}
        self._folders = {str(folder) for name in self._names for folder in PurePosixPath(name).parents}

    def has(self, path):
        return path in self._names or path.rstrip("/") in self._folders

    def has_anchor(self, page, anchor):
        if page not in self._anchors:
            self._anchors[page] = anchors(self._read(page))
        return anchor in self._anchors[page]


def check_link(page, target, tree):
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return None  # elsewhere: not asked
    path, _, anchor = target.partition("#")
    file = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    if not tree.has(file):
        return f"{page}: links to {target}, which does not exist"
    if anchor and not (file.endswith(".md") and tree.has_anchor(file, anchor)):
        return f"{page}: links to {target}, but {file} has no such heading"
    return None


def check_page(page, text, tree):
    prose = FENCE.sub("", text)
    links = [one or other for one, other in LINK.findall(CODE.sub("", prose))]
    found = [line for target in links if (line := check_link(page, target, tree))]
    for code in CODE.findall(prose):
        path = re.split(r"::|: | |#", code)[0]
        if PATH.fullmatch(path) and not any(tree.has(path + suffix) for suffix in SUFFIXES):
            found.append(f"{page}: names `{path}`, which does not exist")
    return found


def check_words(name, text, tree):
    found = [f"{name}: names {document}, which does not exist" for document in DOCUMENT.findall(text) if not tree.has(document)]
    for number, line in enumerate(text.splitlines(), 1):
        match = next((match for pattern in ELSEWHERE if (match := pattern.search(line))), None)
        if match:
            found.append(f"{name}:{number}: '{match.group(0)}' names a document outside the repository")
    return found


def check_index(pages):
    """Pages of docs/ that the README of their folder does not link to, or docs/README.md where the folder has none."""
    found = []
    for page in pages:
        folder = posixpath.dirname(page)
        index = f"{folder}/README.md"
        if index not in pages or page == index:
            index = "docs/README.md"
        links = (one or other for one, other in LINK.findall(pages[index]))
        linked = {posixpath.normpath(posixpath.join(posixpath.dirname(index), link)) for link in links}
        if page not in linked and page != index:
            found.append(f"{index}: does not list {page}")
    return found


def check_constants(texts):
    """Constants that a comment of the sources names and no code has."""
    code, told = set(), {}
    for name, text in texts.items():
        if not name.endswith((".h", ".cpp")):
            continue
        for line in text.splitlines():
            before, _, comment = line.partition("//")
            code.update(CONSTANT.findall(before))
            for constant in CONSTANT.findall(comment):
                told.setdefault(constant, name)
    return [f"{told[constant]}: a comment names {constant}, which no code defines" for constant in sorted(set(told) - code)]


def check(name, text, tree):
    found = check_words(name, text, tree)
    return found + check_page(name, text, tree) if name.endswith(".md") else found


def self_test():
    pages = {"docs/a.md": "# One `two`: three\n\n## Same\n\n## Same\n\n```\n# no heading\n```\n", "docs/sub/b.md": "", "gateway/x.h": ""}
    tree = Tree(pages, pages.get)
    good = [
        ("docs/b.md", "[x](a.md) [y](a.md#one-two-three) [z](a.md#same-1) [w](../gateway) [v](https://example.com/none.md)"),
        ("docs/sub/c.md", "[x](../a.md), [y](b.md \"title\"), `gateway/x.h: Suite.Name`, `gateway/x`, `gateway/`, `docs/*.md`"),
        ("docs/b.md", "```\n[x](none.md) `gateway/none`\n```\n`[x](none.md)`"),
        ("gateway/x.h", "// docs/a.md; RFC 9110 section 5; YAML 1.2 section 6; a design section"),
    ]
    bad = [
        ("docs/b.md", "[x](none.md)"), ("docs/b.md", "[x](a.md#two)"), ("docs/b.md", "[x](a.md#no-heading)"),
        ("docs/b.md", "[x](#none)"), ("docs/b.md", "[x]: none.md\n"), ("docs/b.md", "[x](../gateway/x.h#L1)"),
        ("docs/b.md", "`gateway/none.h::test`"), ("docs/b.md", "`tests/none`"), ("gateway/x.h", "// see docs/none.md"),
        ("gateway/x.h", "// DESIGN section 9"), ("gateway/x.h", "// SPEC section 3"), ("tests/t.py", "THREATS B.5: HTTP/1"),
        ("docs/b.md", "(STYLE: name what you pass)"), ("docs/b.md", "| the issue asks |"), ("docs/b.md", "see issue 12"),
        ("docs/b.md", "## Where this departs from the design"), ("docs/b.md", "as DESIGN of the log says"),
    ]  # fmt: skip
    wrong = [case for case in good if check(*case, tree)] + [case for case in bad if not check(*case, tree)]
    for case in wrong:
        print(f"self-test: wrong verdict on {case}: {check(*case, tree)}")
    listed = {"docs/README.md": "[a](a.md) [b](sub/README.md) [c](other/c.md)", "docs/a.md": "", "docs/other/c.md": "",
              "docs/sub/README.md": "[b](b.md)", "docs/sub/b.md": ""}
    if check_index(listed) or any(len(check_index({**listed, page: ""})) == 0 for page in ("docs/README.md", "docs/sub/README.md")):
        wrong.append("the index")
    if check_constants({"a.h": "int kOne;  // kOne\n"}) or not check_constants({"a.h": "int kOne;  // kTwo\n"}):
        wrong.append("constants")
    return 1 if wrong else 0


def read_text(name):
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""  # not text


def main():
    if "--self-test" in sys.argv:
        return self_test()
    names = files()
    texts = {name: read_text(name) for name in names if name not in NOT_READ}
    tree = Tree(names, read_text)
    found = [line for name, text in texts.items() for line in check(name, text, tree)]
    found += check_index({name: text for name, text in texts.items() if re.fullmatch(r"docs/.*\.md", name)}) + check_constants(texts)
    links = sum(len(LINK.findall(text)) for name, text in texts.items() if name.endswith(".md"))
    if links < LEAST_LINKS:
        found.append(f"{links} links were found; at least {LEAST_LINKS} are expected")
    print("\n".join(found) if found else f"{links} links and the references of {len(texts)} files have a target")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
