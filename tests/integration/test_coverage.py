"""Every case of the catalogue that this part of the program covers has a test, or a reason why not."""
# SPDX-License-Identifier: GPL-3.0-or-later

from pathlib import Path

from lab import coverage

_HERE = Path(__file__).resolve().parent


def test_every_case_is_tested_or_explained():
    cases = coverage.read_list(_HERE / "threats.txt")
    excused = coverage.read_list(_HERE / "not_applicable.txt")
    tested = {case for case, files in coverage.mentioned(_HERE.parent).items() if files - {"integration/test_coverage.py"}}
    missing = sorted(set(cases) - tested - set(excused))
    assert not missing, f"no test names {missing}"
    assert all(len(reason) > 20 for reason in excused.values()), "an excuse is a sentence"
    assert set(excused) <= set(cases), sorted(set(excused) - set(cases))


def test_the_list_is_not_empty():
    assert len(coverage.read_list(_HERE / "threats.txt")) > 80
