# SPDX-License-Identifier: GPL-3.0-or-later
"""Add up ctest's JUnit reports by test case: the counts of GoogleTest and pytest, and one for any other program.

Usage: test_summary.py REPORT.xml…
NAME.again.xml, if it exists, is the second run of the failed tests of NAME.xml. A test that passed then is flaky: it counts
as passed and is named.
Prints why tests were skipped, which are flaky, which failed, and last "N passed, N failed, N skipped". Exit status 1 on a
failure, with more than MOST_FLAKY flaky tests, or if no test ran.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

MOST_FLAKY = 5

@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    skip_reasons: list = field(default_factory=list)
    failures: list = field(default_factory=list)  # the names of single tests, where the output has them

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.skip_reasons += other.skip_reasons


def of_googletest(output):
    """None if the output is not a GoogleTest run."""
    if "[==========]" not in output and "[ RUN      ]" not in output:
        return None
    skips = re.findall(r"^\[  SKIPPED \] (\S+\.\S+) \(\d+ ms\)$", output, re.MULTILINE)
    failures = re.findall(r"^\[  FAILED  \] (\S+\.\S+?),? .*\(\d+ ms\)$", output, re.MULTILINE)
    passes = re.findall(r"^\[       OK \] \S+", output, re.MULTILINE)
    reasons = []
    for name in skips:
        body = output.split(f"[ RUN      ] {name}\n", 1)[-1].split("[  SKIPPED ]", 1)[0]
        reasons.append(f"{name}: {' '.join(body.split()) or 'no reason given'}")
    return Tally(len(passes), len(failures), len(skips), reasons, failures)


def of_pytest(output):
    """None if the output has no closing line of pytest."""
    closing = re.findall(r"^(?:=+ )?(\d+ \w+(?:, \d+ \w+)*) in [\d.]+s", output, re.MULTILINE)
    if not closing:
        return None
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", closing[-1])}
    failed = sum(counts.get(word, 0) for word in ("failed", "error", "errors"))
    reasons = [line[len("SKIPPED "):] for line in output.splitlines() if line.startswith("SKIPPED ")]
    passed = counts.get("passed", 0) + counts.get("xfailed", 0)
    names = re.findall(r"^(?:FAILED|ERROR) \S*?([^/\s]+::\S+)", output, re.MULTILINE)
    return Tally(passed, failed, counts.get("skipped", 0), reasons, names)


def of_case(case):
    status = case.get("status", "")
    if status == "notrun" or case.find("skipped") is not None:
        return Tally(skipped=1, skip_reasons=[f"{case.get('name')}: {case.findtext('skipped') or 'not run'}"])
    output = case.findtext("system-out") or ""
    ctest_failed = case.find("failure") is not None
    tally = of_googletest(output) or of_pytest(output)
    if tally is None:
        return Tally(failed=1) if ctest_failed else Tally(passed=1)
    if ctest_failed and tally.failed == 0:  # a crash, a leak at exit, a time-out
        tally.failed = 1
    return tally


def cases_of(path):
    """Tallies by the name of the test program."""
    if not path.exists():
        return {}
    return {case.get("name"): of_case(case) for case in ElementTree.parse(path).getroot().iter("testcase")}


def main(paths):
    total = Tally()
    failures, flaky = [], []
    for path in map(Path, paths):
        if path.name.endswith(".again.xml"):
            continue
        again = cases_of(path.with_suffix(".again.xml"))
        for name, tally in cases_of(path).items():
            second = again.get(name)
            if tally.failed and second and second.passed and not second.failed:
                flaky += [f"{path.stem}: {name}: {single}" for single in tally.failures] or [f"{path.stem}: {name}"]
                tally.passed += tally.failed
                tally.failed = 0
            total.add(tally)
            if tally.failed:
                failures.append(f"{path.stem}: {name}")
    for reason in total.skip_reasons:
        print(f"skipped: {reason}")
    for each in flaky:
        print(f"flaky (failed, then passed): {each}")
    if len(flaky) > MOST_FLAKY:
        failures.append(f"{len(flaky)} flaky tests (limit: {MOST_FLAKY})")
        total.failed += 1
    for failure in failures:
        print(f"failed: {failure}")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return 1 if total.failed or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
