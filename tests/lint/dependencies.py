# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails when docs/decisions/dependencies.md does not match the build: the libraries of tools/packages.txt must be in its tables, each
row must name packages of that list, and the names that CMake looks for must be the names in the tables."""

import re
import sys

from source_tree import ROOT, files

PAGE, PACKAGES = "docs/decisions/dependencies.md", "tools/packages.txt"
# Which group of packages a table is about, and where it begins and ends.
TABLES = {
    "run": ("<!-- program: tests/lint/dependencies.py reads this table -->", "<!-- the program's libraries end here -->"),
    "test": ("<!-- tests: tests/lint/dependencies.py reads this table -->", "<!-- the tests' libraries end here -->"),
}
LIBRARY = re.compile(r"(?!dpkg-dev)(?:.*-dev|python3.*)")
TOOLS = {"PkgConfig"}  # finds libraries, is not one
LOOKED_FOR = re.compile(r"^\s*(?:find_package\(([\w-]+)|pkg_check_modules\(\w+\s+(?:REQUIRED\s+|IMPORTED_TARGET\s+)*([\w.-]+))",
                        re.MULTILINE)
NOT_IN_CMAKE = re.compile(r"none: \S.{5,}")


def listed_packages(text):
    """{group: names} of tools/packages.txt."""
    groups = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) >= 2:
            groups.setdefault(words[0], set()).add(words[1])
    return groups


def rows_of(page, group):
    """(packages, names in CMake or None) of each row of a group's table."""
    begin, end = TABLES[group]
    _, began, rest = page.partition(begin)
    table, ended, _ = rest.partition(end)
    if not began or not ended:
        raise ValueError(f"{PAGE}: missing table '{begin}'")
    for line in [line for line in table.splitlines() if line.startswith("|")][2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = None if NOT_IN_CMAKE.fullmatch(cells[2]) else set(re.findall(r"`([^`]+)`", cells[2]))
        yield cells[0], set(re.findall(r"`([^`]+)`", cells[1])), names


def looked_for(cmake):
    """{name: files} that CMake looks for, of {file: text}."""
    found = {}
    for file, text in cmake.items():
        for match in LOOKED_FOR.finditer(text):
            name = match.group(1) or match.group(2)
            if name not in TOOLS:
                found.setdefault(name, set()).add(file)
    return found


def check_packages(group, rows, packages):
    told = set().union(*(named for _, named, _ in rows))
    wanted = {name for name in packages.get(group, ()) if LIBRARY.fullmatch(name)}
    yield from (f"{PACKAGES}: the library {name} is not in {PAGE}" for name in sorted(wanted - told))
    yield from (f"{PAGE}: {name} is not a '{group}' package of {PACKAGES}" for name in sorted(told - packages.get(group, set())))
    for library, named, names in rows:
        if not named:
            yield f"{PAGE}: '{library}' names no package"
        if names is not None and not names:
            yield f"{PAGE}: '{library}' needs the names that CMake looks for, or 'none: ' with the reason"


def check(page, packages_text, cmake):
    tables = {group: list(rows_of(page, group)) for group in TABLES}
    packages, used = listed_packages(packages_text), looked_for(cmake)
    found = [line for group, rows in tables.items() for line in check_packages(group, rows, packages)]
    told = {group: set().union(*(names or set() for _, _, names in rows)) for group, rows in tables.items()}
    for name in sorted(set(used) - told["run"] - told["test"]):
        found.append(f"{sorted(used[name])[0]}: CMake looks for {name}, which is not in {PAGE}")
    for name in sorted((told["run"] | told["test"]) - set(used)):
        found.append(f"{PAGE}: CMake does not look for {name}")
    for name in sorted(told["run"] & set(used)):
        if all(file.startswith("tests/") for file in used[name]):
            found.append(f"{PAGE}: only tests use {name}, which is among the program's libraries")
    return found


def self_test():
    def page(program, tests):
        head = "| library | package | in CMake |\n| --- | --- | --- |\n"
        parts = zip(TABLES.values(), (program, tests))
        return "".join(f"{begin}\n{head}{rows}{end}\n" for (begin, end), rows in parts)

    program = "| A | `liba-dev` | `a` |\n| B | `libb-dev` | none: linked by its name |\n"
    tests = "| T | `libt-dev`, `python3` | `T` |\n"
    packages = "# a list\nrun  liba-dev # why\nrun libb-dev\nrun curl\ntest libt-dev\ntest python3\n"
    cmake = {"a/CMakeLists.txt": "find_package(PkgConfig REQUIRED)\npkg_check_modules(A REQUIRED IMPORTED_TARGET a)",
             "tests/CMakeLists.txt": "  find_package(T 1.2 REQUIRED)"}
    good = [(page(program, tests), packages, cmake)]
    bad = [
        (page(program, tests), packages + "run libc-dev\n", cmake),
        (page(program, tests), packages + "test python3-c\n", cmake),
        (page(program, tests), packages.replace("run libb-dev", "test libb-dev"), cmake),
        (page(program, tests), packages, {**cmake, "b/CMakeLists.txt": "find_package(Other)"}),
        (page(program, tests), packages, {**cmake, "a/CMakeLists.txt": ""}),
        (page(program, tests), packages, {"tests/CMakeLists.txt": "find_package(a)\nfind_package(T)"}),
        (page(program.replace("none: linked by its name", "none"), tests), packages, cmake),
        (page(program + "| C |  | `a` |\n", tests), packages, cmake),
        (page(program + "| C | `libold-dev` | `a` |\n", tests), packages, cmake),
    ]
    wrong = [case for case in good if check(*case)] + [case for case in bad if not check(*case)]
    for case in wrong:
        print(f"self-test: wrong verdict on {case}: {check(*case)}")
    return 1 if wrong else 0


def main():
    if "--self-test" in sys.argv:
        return self_test()

    def read(name):
        return (ROOT / name).read_text(encoding="utf-8")

    cmake = {name: read(name) for name in files("CMakeLists.txt", ".cmake")}
    found = check(read(PAGE), read(PACKAGES), cmake)
    print("\n".join(found) if found else f"{PAGE} matches {PACKAGES} and {len(looked_for(cmake))} libraries that CMake looks for")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
