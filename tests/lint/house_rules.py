# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails on a file without licence line, a header without a first sentence or include guard, an over-long file, machine
paths, and on `new`, `delete` and `throw` in our own code."""

import re
import sys

from source_tree import ROOT, files

LICENCE = "SPDX-License-Identifier: GPL-3.0-or-later"
CODE = (".h", ".cpp", ".py", ".cmake")
OURS = ("base/", "policy/", "sniffer/", "netrules/", "gateway/")
MAX_LINES = 500  # CONTRIBUTING.md: above 200, think; above this, split
# dev and mitmproxy are users of containers.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home/(?!(?:dev|mitmproxy)\b)\w+|work/)")
# A private constructor has no other way; the owner takes it in the same expression.
OWNED_AT_ONCE = re.compile(r"std::unique_ptr<\w+>\(new ")
FORBIDDEN = re.compile(r"(?<![\w.])(?:throw\b(?!\()|new\s+[A-Za-z_:<]+|delete\s+\w|delete\[\])")


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r'R"\(.*?\)"', '""', text, flags=re.DOTALL)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    return re.sub(r"//[^\n]*", "", text)


def check(name, text):
    found = []
    head = "\n".join(text.splitlines()[:12])
    if LICENCE not in head and not name.endswith("CMakeLists.txt"):
        found.append(f"{name}: no line '{LICENCE}' in its first 12 lines")
    if name.endswith(".h"):
        if not re.match(r"// [A-Za-z`\"\d].*\S", text) or text.startswith("// SPDX"):
            found.append(f"{name}: does not start with a sentence that says what it is")
        if "#pragma once" not in text:
            found.append(f"{name}: no #pragma once")
    if text.count("\n") > MAX_LINES and name.endswith(CODE) and name.startswith(OURS):
        found.append(f"{name}: has more than {MAX_LINES} lines")
    if name.startswith(OURS) and name.endswith((".h", ".cpp")):
        for number, line in enumerate(without_comments(text).splitlines(), 1):
            if FORBIDDEN.search(OWNED_AT_ONCE.sub("", line)):
                found.append(f"{name}: near line {number}: new, delete or throw: {line.strip()}")
    if MACHINE_PATH.search(text) and name != "tests/lint/house_rules.py":
        found.append(f"{name}: contains a path of one machine: {MACHINE_PATH.search(text).group(0)}")
    return found


def self_test():
    header = "// A thing.\n// " + LICENCE + "\n#pragma once\n"
    bad = [
        ("base/a.h", header.replace(LICENCE, "")), ("base/a.h", "// " + LICENCE + "\n#pragma once\n"),
        ("base/a.h", header.replace("#pragma once", "")), ("base/a.h", header + "\n" * MAX_LINES),
        ("base/a.h", header + "int* x = new int;"), ("base/a.h", header + "delete x;"),
        ("base/a.h", header + "throw 1;"), ("docs/testing.md", "see /ho" + "me/someone/x"),
    ]
    good = [("base/a.h", header + "A(const A&) = delete;  // new things\n"), ("gateway/a.cpp", "// " + LICENCE + "\n"),
            ("base/a.h", header + "auto a = std::unique_ptr<A>(new A(1));")]
    wrong = [case for case in bad if not check(*case)] + [case for case in good if check(*case)]
    for case in wrong:
        print(f"self-test: wrong verdict on {case}")
    return 1 if wrong else 0


def main():
    if "--self-test" in sys.argv:
        return self_test()
    names = [name for name in files(*CODE, "CMakeLists.txt")]
    found = [line for name in names for line in check(name, (ROOT / name).read_text(encoding="utf-8"))]
    print("\n".join(found) if found else f"{len(names)} files follow the house rules")
    return 1 if found or not names else 0


if __name__ == "__main__":
    sys.exit(main())
