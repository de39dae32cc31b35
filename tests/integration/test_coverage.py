"""Every case of the catalogue that this part of the program covers has a test, or a reason why not."""
# SPDX-License-Identifier: GPL-3.0-or-later

from pathlib import Path

from lab import coverage

_HERE = Path(__file__).resolve().parent
_CATALOGUE = _HERE.parents[1] / "docs/threats.md"


def test_every_case_is_tested_or_explained():
    cases = coverage.read_catalogue(_CATALOGUE)
    excused = coverage.read_list(_HERE / "not_applicable.txt")
    tested = {case for case, files in coverage.mentioned(_HERE.parent).items() if files - {"integration/test_coverage.py"}}
    missing = sorted(set(cases) - tested - set(excused))
    assert not missing, f"no test names {missing}"
    assert all(len(reason) > 20 for reason in excused.values()), "an excuse is a sentence"
    assert set(excused) <= set(cases), sorted(set(excused) - set(cases))


def test_every_case_that_a_test_names_is_in_the_catalogue():
    unknown = {case: sorted(files) for case, files in coverage.mentioned(_HERE.parent).items()
               if case not in coverage.read_catalogue(_CATALOGUE)}
    assert not unknown, f"{_CATALOGUE.name} does not have {unknown}"


def test_a_case_without_a_test_is_noticed(tmp_path):
    (tmp_path / "page.md").write_text("| case | what |\n| --- | --- |\n| T001 | one |\n| T002 | a \\| two |\n")
    (tmp_path / "test_one.py").write_text("# T001\n")
    assert coverage.read_catalogue(tmp_path / "page.md") == {"T001": "one", "T002": "a \\| two"}
    assert set(coverage.mentioned(tmp_path)) == {"T001"}


def test_the_list_is_not_empty():
    assert len(coverage.read_catalogue(_CATALOGUE)) > 180
