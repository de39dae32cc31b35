# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails when a row of the bounds in docs/threat-model.md does not match the code: the constant (or the member's default) must be in the
named file with that number, and the named test must exist."""

import ast
import operator
import re
import sys

from source_tree import ROOT

PAGE = "docs/threat-model.md"
IDLE_PAGE = "docs/reliability.md"
IDLE_BEGIN, IDLE_END = "<!-- idle limits: tests/lint/bounds_table.py reads this table -->", "<!-- the idle limits end here -->"
BEGIN, END = "<!-- bounds: tests/lint/bounds_table.py reads this table -->", "<!-- the bounds end here -->"
LEAST_ROWS = 40
MILLISECONDS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
BYTES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
CHRONO = {"milliseconds": 1, "seconds": 1000, "minutes": 60_000, "hours": 3_600_000}
OPERATORS = {ast.Mult: operator.mul, ast.Add: operator.add, ast.Sub: operator.sub, ast.LShift: operator.lshift,
             ast.Div: operator.floordiv}  # fmt: skip
NOT_RUN = re.compile(r"no test: \S.{15,}")  # with the reason


def written(text):
    """What a cell such as `64 KiB`, `10 s` or `1,000 a second` says: (number, whether it is a time), or None."""
    match = re.match(r"([\d,]+(?:\.\d+)?)(?: (\w+))?", text)
    if not match:
        return None
    number, unit = float(match.group(1).replace(",", "")), match.group(2)
    if unit in MILLISECONDS:
        return number * MILLISECONDS[unit], True
    return number * BYTES.get(unit, 1), False


def evaluated(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](evaluated(node.left), evaluated(node.right))
    raise ValueError("not a number")


def defined(code, name):
    """What a constant is defined as in C++: (number, whether it is a time). ValueError says why it cannot be read."""
    words = r"(?:(?:inline|static|constexpr|const)\s+)*"  # none for a member with a default
    match = re.search(rf"^\s*{words}([\w:<>]+)\s+{name}\s*(?:=\s*([^;]+)|\{{([^;]+)\}});", code, re.MULTILINE)
    if not match:
        raise ValueError(f"defines no {name}")
    kind, text = match.group(1), match.group(2) or match.group(3)
    text = re.sub(r"(?<=\d)'(?=\d)", "", text)
    text = re.sub(r"std::\w+\{([^{}]+)\}", r"(\1)", text)
    unit = next((factor for word, factor in CHRONO.items() if kind.endswith(word)), 0)
    unit = unit or (1000 if name.endswith("Seconds") else 0)
    inner = re.search(r"(?:std::chrono::)?(milliseconds|seconds|minutes|hours)[({]([^(){}]+)[)}]", text)
    literal = re.search(r"(?<=\d)(ms|s|min|h)\b", text)
    if inner:
        unit, text = CHRONO[inner.group(1)], inner.group(2)
    elif literal:
        unit, text = MILLISECONDS[literal.group(1)], re.sub(r"(?<=\d)(ms|s|min|h)\b", "", text)
    try:
        number = evaluated(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError):
        raise ValueError(f"{name} is '{text}', which this lint cannot read") from None
    return number * (unit or 1), bool(unit)


def test_exists(text, read):
    """Whether a cell names a test that exists: `file.py::test_name`, `file.cpp: Suite.Name`, `soak: scenario`."""
    if NOT_RUN.fullmatch(text):
        return True
    found = re.fullmatch(r"`(tests/\S+?\.py)::(test_\w+)`|`(tests/\S+?\.cpp): (\w+)\.(\w+)`|`soak: ([\w-]+)`", text)
    if not found:
        return False
    python, function, cpp, suite, name, scenario = found.groups()
    if python:
        return f"def {function}(" in read(python)
    if cpp:
        return bool(re.search(rf"TEST(?:_F|_P)?\({suite},\s*{name}\)", read(cpp)))
    return any(f'@scenario("{scenario}"' in read(f"tests/soak/faults_{part}.py") for part in ("process", "network", "outside", "limits"))


def rows_of(page, begin=BEGIN, end=END):
    table = page.partition(begin)[2].partition(end)[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def check_row(cells, read):
    """What is wrong with one row: bound, value, constant, file, test."""
    if len(cells) != 5:
        return f"'{cells[0]}' has {len(cells)} columns, not 5"
    return check_value(cells[:4], read) or ("" if test_exists(cells[4], read) else f"'{cells[0]}': no such test: {cells[4]}")


def check_value(cells, read):
    """The same of a row without a test: what, value, constant, file."""
    if len(cells) != 4:
        return f"'{cells[0]}' has {len(cells)} columns, not 4"
    bound, value, constant, file = cells
    said = written(value)
    if said is None:
        return f"'{bound}': '{value}' does not start with a number"
    try:
        real = defined(read(file.strip("`")), constant.strip("`"))
    except (OSError, ValueError) as error:
        return f"'{bound}': {file}: {error}"
    if said != real:
        return f"'{bound}': the page says {value}, {file} says {real[0]:g}{' ms' if real[1] else ''}"
    return ""


def self_test():
    files = {
        "a.h": "inline constexpr std::size_t kMax = 64 * 1024;\nstatic constexpr std::chrono::milliseconds kWait{10000};\n"
               "constexpr auto kGrace = 3000ms;\ninline constexpr std::size_t kBig = std::size_t{8} << 20;\n"
               "inline constexpr std::chrono::milliseconds kIdle{std::chrono::minutes(60)};\nconstexpr int kOther = kMax;\n"
               "  std::size_t client = std::size_t{56} << 20;\n",
        "tests/unit/a.cpp": "TEST_F(Suite, Name) {", "tests/a.py": "def test_it(lab):",
    }

    def read(name):
        if name not in files:
            raise OSError(f"no file {name}")
        return files[name]

    test = "`tests/unit/a.cpp: Suite.Name`"
    good = [["a", "64 KiB", "`kMax`", "`a.h`", test], ["b", "10 s", "`kWait`", "`a.h`", test], ["c", "3 s", "`kGrace`", "`a.h`", test],
            ["d", "8 MiB", "`kBig`", "`a.h`", "`tests/a.py::test_it`"], ["o", "56 MiB", "`client`", "`a.h`", test], ["e", "60 min", "`kIdle`", "`a.h`", "no test: it takes an hour"]]  # fmt: skip
    bad = [["f", "63 KiB", "`kMax`", "`a.h`", test], ["g", "10", "`kWait`", "`a.h`", test], ["h", "1", "`kNone`", "`a.h`", test],
           ["i", "1", "`kMax`", "`b.h`", test], ["j", "64 KiB", "`kMax`", "`a.h`", "`tests/a.py::test_other`"],
           ["k", "much", "`kMax`", "`a.h`", test], ["l", "64 KiB", "`kMax`", "`a.h`", "none"], ["m", "1", "`kOther`", "`a.h`", test],
           ["n", "64 KiB", "`kMax`", "`a.h`"]]  # fmt: skip
    wrong = [row for row in good if check_row(row, read)] + [row for row in bad if not check_row(row, read)]
    for row in wrong:
        print(f"self-test: wrong verdict on {row}: {check_row(row, read)!r}")
    return 1 if wrong else 0


def main():
    if "--self-test" in sys.argv:
        return self_test()

    def read(name):
        return (ROOT / name).read_text(encoding="utf-8")

    rows = rows_of(read(PAGE))
    found = [text for text in (check_row(cells, read) for cells in rows) if text]
    idle = rows_of(read(IDLE_PAGE), IDLE_BEGIN, IDLE_END)
    found += [text for text in (check_value(cells, read) for cells in idle) if text]
    if not idle:
        found.append(f"{IDLE_PAGE} has no table of idle limits")
    if len(rows) < LEAST_ROWS:
        found.append(f"{PAGE} has {len(rows)} bounds; at least {LEAST_ROWS} are expected")
    print("\n".join(found) if found else f"{len(rows)} bounds and {len(idle)} idle limits match the code")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
