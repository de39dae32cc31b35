# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails on phrases that make a reader stop, and says what to write instead. It reads Markdown prose (no code, no link targets), golden
texts, and the strings of C++ code."""

import re
import sys

from source_tree import ROOT, files

# A phrase, as a regular expression, and the plain words for it.
PLAIN = {
    r"whoever": "name the person: the operator, the user",
    r"somebody(?: else)?": "name the person or program: another program",
    r"nobody": "name it: no program, no client",
    r"of (?:its|their|one's) own": "'a separate …', 'its …', or nothing",
    r"that (?:is|are) there": "'that exists', or nothing",
    r"what (?:came|becomes|became) of (?:it|them)": "'the result'",
    r"stands": "'is', 'stays', 'is active'",
    r"holds": "'has', 'contains', 'keeps', 'restricts'",
    r"belongs to": "'is part of', 'is for', 'is owned by'",
    r"from before": "'previous'",
    r"anew": "'again'",
    r"may not be had": "'is not available'",
    r"put(?:s|ting)? back": "'restore'",
    r"look-ups?": "'lookup'",
    r"go(?:es|ing)? on": "'continue'",
    r"lately": "'recently'",
    r"save (?:that|what|where|one|for)": "'except'",
    r"\d+ a (?:second|minute)": "'per second'",
}
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.DOTALL | re.MULTILINE)
NOT_PROSE = re.compile(r"<!--.*?-->|`[^`\n]*`|\]\([^)\s]*\)|<https?:[^>]*>|https?://\S+|(?<!\w)\"[^\"\n]*\"", re.DOTALL)
PHRASE = re.compile(r"\b(?:" + "|".join(f"({phrase})" for phrase in PLAIN).replace(" ", r"\s+") + r")\b", re.IGNORECASE)
# What C++ code has besides strings that users may see: comments, includes, single characters.
LITERAL = re.compile(r'//[^\n]*|/\*.*?\*/|#include[^\n]*|R"(?P<mark>\w*)\((?P<raw>.*?)\)(?P=mark)"|"(?P<text>(?:\\.|[^"\\\n])*)"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)
SOURCES = ("base/", "policy/", "sniffer/", "netrules/", "gateway/")
LEAST_FILES = 400


def blank(match):
    return re.sub(r"[^\n]", "`", match.group(0))  # no space: it would join the words around it


def only_strings(code):
    """The code with everything but the insides of its strings blanked; strings that follow one another are one."""
    kept, end = [], 0
    for match in LITERAL.finditer(code):
        inside = "raw" if match.group("raw") is not None else "text" if match.group("text") is not None else None
        before = code[end:match.start()]
        kept.append(before if inside and not before.strip() and kept else re.sub(r"[^\n]", "`", before))
        text = match.group(inside) if inside else re.sub(r"[^\n]", "`", match.group(0))
        kept.append(text)
        end = match.end()
    return "".join(kept)


def check(name, text):
    if name.endswith(".md"):
        text = NOT_PROSE.sub(blank, FENCE.sub(blank, text))
    elif name.endswith((".h", ".cpp")):
        text = only_strings(text)
    advice = list(PLAIN.values())
    for match in PHRASE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield f"{name}:{line}: '{match.group(0)}': write {advice[match.lastindex - 1]}"


def read_here():
    golden = [name for name in files() if name.startswith("tests/golden/") and not name.endswith(".nft")]
    sources = [name for name in files(".h", ".cpp") if name.startswith(SOURCES)]
    return files(".md") + golden + sources


def self_test():
    good = [("a.md", "The program has a separate log. It withholds nothing; understand it."), ("a.md", "```\nnobody\n```\n`user nobody`\n"),
            ("a.md", "[page](nobody.md) <!-- whoever -->"), ("a.md", "100 per second"), ("a.md", "from `::` before"), ("tests/golden/a.txt", "no program listens")]
    good += [("a.cpp", '#include "stands.h"\n// nobody\n/* holds */ int nobody = \'"\';\nputs("a jail");')]
    bad = [("a.cpp", 'puts("it stands");'), ("a.cpp", 'puts("a log of its "\n     "own");'), ("a.h", 'puts(R"(it "holds" it)");'), ("a.cpp", 'a("\\""); b("nobody");'),
           ("a.md", "Whoever runs it"), ("a.md", "a log of its\nown"), ("a.md", "```\n```\nit stands"), ("a.md", "| x | holds |"),
           ("a.md", "100 a second"), ("tests/golden/a.txt", "`nobody` listens")]  # fmt: skip
    wrong = [case for case in good if list(check(*case))] + [case for case in bad if not list(check(*case))]
    if list(check("a.md", "one\n`two`\nit stands\n")) != ["a.md:3: 'stands': write 'is', 'stays', 'is active'"]:
        wrong.append("the line, or the advice")
    for case in wrong:
        print(f"self-test: wrong verdict on {case}")
    return 1 if wrong else 0


def main():
    if "--self-test" in sys.argv:
        return self_test()
    names = read_here()
    found = [line for name in names for line in check(name, (ROOT / name).read_text(encoding="utf-8"))]
    if len(names) < LEAST_FILES:
        found.append(f"{len(names)} files are read; at least {LEAST_FILES} are expected")
    print("\n".join(found) if found else f"{len(names)} files use plain words")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
