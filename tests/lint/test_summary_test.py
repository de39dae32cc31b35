# SPDX-License-Identifier: GPL-3.0-or-later
"""The closing line of ./test is only worth what tools/test_summary.py counts."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from xml.sax.saxutils import escape

SUMMARY = Path(__file__).resolve().parents[2] / "tools" / "test_summary.py"

GOOGLETEST = """[==========] Running 3 tests from 1 test suite.
[ RUN      ] A.One
[       OK ] A.One (0 ms)
[ RUN      ] A.Two
{second}
[ RUN      ] A.Three
[       OK ] A.Three (0 ms)
[==========] 3 tests from 1 test suite ran. (0 ms total)
"""
OK = GOOGLETEST.format(second="[       OK ] A.Two (0 ms)")
FAILED = GOOGLETEST.format(second="a.cpp:1: Failure\n[  FAILED  ] A.Two (0 ms)") + "[  FAILED  ] A.Two\n"
SKIPPED = GOOGLETEST.format(second="a.cpp:1: Skipped\nno namespaces here\n[  SKIPPED ] A.Two (0 ms)")


def case(name, output="", inner="", status="run"):
    return f'<testcase name="{name}" status="{status}">{inner}<system-out>{escape(output)}</system-out></testcase>'


def summary(*cases, again=()):
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        report.write_text(f"<testsuite>{''.join(cases)}</testsuite>")
        if again:
            report.with_suffix(".again.xml").write_text(f"<testsuite>{''.join(again)}</testsuite>")
        done = subprocess.run([sys.executable, "-B", str(SUMMARY), str(report)], capture_output=True, text=True,
                              check=False)
    return done.returncode, done.stdout.splitlines()


FAILURE = '<failure message=""/>'


class TestSummary(unittest.TestCase):
    def closing(self, *cases):
        code, lines = summary(*cases)
        return code, lines[-1]

    def test_counts_each_case_of_googletest(self):
        self.assertEqual(self.closing(case("a", OK)), (0, "3 passed, 0 failed, 0 skipped"))

    def test_counts_a_failed_case_once(self):
        self.assertEqual(self.closing(case("a", FAILED, FAILURE)), (1, "2 passed, 1 failed, 0 skipped"))

    def test_counts_a_failed_case_with_a_parameter_once(self):
        output = OK + "[  FAILED  ] A/B.C/0, where GetParam() = 3 (5 ms)\n[  FAILED  ] A/B.C/0, where GetParam() = 3\n"
        self.assertEqual(self.closing(case("a", output, FAILURE)), (1, "3 passed, 1 failed, 0 skipped"))

    def test_counts_a_crash_as_a_failure(self):
        crashed = OK.split("[ RUN      ] A.Three")[0]
        self.assertEqual(self.closing(case("a", crashed, FAILURE)), (1, "2 passed, 1 failed, 0 skipped"))

    def test_counts_a_leak_after_all_cases_as_a_failure(self):
        self.assertEqual(self.closing(case("a", OK, FAILURE)), (1, "3 passed, 1 failed, 0 skipped"))

    def test_says_why_a_case_was_skipped(self):
        code, lines = summary(case("a", SKIPPED))
        self.assertEqual((code, lines[-1]), (0, "2 passed, 0 failed, 1 skipped"))
        self.assertIn("no namespaces here", lines[0])

    def test_counts_pytest_by_its_closing_line(self):
        output = "..s\nSKIPPED [1] test_a.py:3: no kernel for it\n2 passed, 1 skipped in 0.51s\n"
        code, lines = summary(case("p", output))
        self.assertEqual((code, lines[-1]), (0, "2 passed, 0 failed, 1 skipped"))
        self.assertIn("no kernel for it", lines[0])

    def test_counts_pytest_failures_and_errors(self):
        output = "FAILED test_a.py::x\n1 failed, 4 passed, 2 errors in 3.00s\n"
        self.assertEqual(self.closing(case("p", output, FAILURE)), (1, "4 passed, 3 failed, 0 skipped"))

    def test_understands_long_runs_of_pytest(self):
        self.assertEqual(self.closing(case("p", "120 passed in 75.30s (0:01:15)\n")), (0, "120 passed, 0 failed, 0 skipped"))

    def test_counts_any_other_program_as_one(self):
        self.assertEqual(self.closing(case("lint"), case("fuzz", "x", FAILURE)), (1, "1 passed, 1 failed, 0 skipped"))

    def test_counts_a_test_that_was_not_run_as_skipped(self):
        inner = '<skipped message="Not Run"/>'
        self.assertEqual(self.closing(case("ok", OK), case("gone", "", inner, "notrun")), (0, "3 passed, 0 failed, 1 skipped"))

    def test_names_what_passed_the_second_time_as_flaky(self):
        first = "FAILED tests/integration/test_a.py::test_x[one] - AssertionError\n1 failed, 4 passed in 3.00s\n"
        code, lines = summary(case("p", first, FAILURE), again=[case("p", "1 passed, 4 deselected in 1.00s\n")])
        self.assertEqual((code, lines[-1]), (0, "5 passed, 0 failed, 0 skipped"))
        self.assertEqual(lines[0], "flaky (failed, then passed): report: p: test_a.py::test_x[one]")

    def test_counts_what_failed_twice_as_failed(self):
        code, lines = summary(case("a", FAILED, FAILURE), again=[case("a", FAILED, FAILURE)])
        self.assertEqual((code, lines), (1, ["failed: report: a", "2 passed, 1 failed, 0 skipped"]))

    def test_counts_what_was_skipped_the_second_time_as_failed(self):
        code, lines = summary(case("p", "1 failed in 3.00s\n", FAILURE), again=[case("p", "1 skipped in 3.00s\n")])
        self.assertEqual((code, lines[-1]), (1, "0 passed, 1 failed, 0 skipped"))

    def test_fails_above_five_flaky_tests(self):
        for count, expected in ((5, 0), (6, 1)):
            names = "".join(f"FAILED test_a.py::test_{i} - x\n" for i in range(count))
            code, lines = summary(case("p", f"{names}{count} failed, 1 passed in 3.00s\n", FAILURE),
                                  again=[case("p", f"{count} passed in 1.00s\n")])
            self.assertEqual(code, expected, lines)
            self.assertEqual(lines[-1], f"{count + 1} passed, {expected} failed, 0 skipped")

    def test_fails_when_nothing_ran(self):
        self.assertEqual(self.closing(), (1, "0 passed, 0 failed, 0 skipped"))


if __name__ == "__main__":
    unittest.main()
