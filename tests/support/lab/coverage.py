"""A pytest plugin: @pytest.mark.threat("T053") names the cases of the catalogue that a test covers.

`pytest --threats` prints a table case -> test -> outcome at the end.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import re
from collections import defaultdict
from pathlib import Path

import pytest

_ID = re.compile(r"[TC]\d{2,3}")
_MENTION = re.compile(r"\b[TC]\d{2,3}\b")
_SOURCES = (".py", ".cpp", ".h", ".sh", ".yaml")


def pytest_addoption(parser):
    parser.addoption("--threats", action="store_true", help="print which test covers which case of the catalogue")


def pytest_configure(config):
    config.addinivalue_line("markers", "threat(*ids): cases of the catalogue that the test covers, T001 or C01")
    config.pluginmanager.register(_Table(), "threat-table")


def pytest_collection_modifyitems(items):
    for item in items:
        for case in cases_of(item):
            if not _ID.fullmatch(case):
                raise pytest.UsageError(f"{item.nodeid}: '{case}' is no case of the catalogue")


def cases_of(item):
    return [case for mark in item.iter_markers("threat") for case in mark.args]


class _Table:
    def __init__(self):
        self._outcomes = defaultdict(dict)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        outcome = yield
        report = outcome.get_result()
        for case in cases_of(item):
            earlier = self._outcomes[case].get(item.nodeid)
            if earlier in (None, "passed") and (report.when == "call" or report.outcome != "passed"):
                self._outcomes[case][item.nodeid] = report.outcome
        del call

    def pytest_terminal_summary(self, terminalreporter, config):
        if not config.getoption("--threats"):
            return
        terminalreporter.section("cases of the catalogue")
        for case in sorted(self._outcomes):
            for node, outcome in self._outcomes[case].items():
                terminalreporter.line(f"{case}  {outcome:7}  {node}")


def mentioned(folder):
    """{case: files} for every case that a source below `folder` names."""
    found = defaultdict(set)
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix in _SOURCES and "corpus" not in path.parts:
            for case in _MENTION.findall(path.read_text(errors="replace")):
                found[case].add(str(path.relative_to(folder)))
    return found


def read_catalogue(path):
    """{id: text} of the tables of docs/threats.md: `| T001 | what is tried |`."""
    return {case: text.strip() for case, text in re.findall(r"^\| ([TC]\d{2,3}) \|(.*)\|$", Path(path).read_text(), re.MULTILINE)}


def read_list(path):
    """{id: text} of a file with one `ID text` a line; `#` begins a comment."""
    entries = {}
    for line in Path(path).read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            case, _, text = line.partition(" ")
            entries[case] = text.strip()
    return entries
