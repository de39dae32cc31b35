"""What a run of the soak found: one row for each scenario, and the table made of them."""
# SPDX-License-Identifier: GPL-3.0-or-later

import statistics
from dataclasses import dataclass, field


class Skipped(Exception):
    """A scenario that this machine cannot run; the text is the reason."""


def span(seconds):
    """A time in the unit that a reader wants."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"


def summary(times):
    """Median, worst and count of a list of seconds."""
    if not times:
        return "none"
    return f"{span(statistics.median(times))}, worst {span(max(times))} ({len(times)})"


def percentile(values, percent):
    """The nearest rank of sorted `values`."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


@dataclass
class Row:
    """One scenario over all rounds. Times are seconds."""

    name: str
    title: str
    times: dict = field(default_factory=dict)  # what was measured: list of seconds
    notes: list = field(default_factory=list)
    runs: int = 0
    strays: list = field(default_factory=list)  # texts
    before: int = 0  # allowed requests that passed before the fault, by all agents
    after: int = 0
    failures: list = field(default_factory=list)
    skipped: str = ""

    def took(self, what, seconds, limit):
        """Records a time, and fails the run of the scenario where it is above `limit` seconds."""
        self.times.setdefault(what, []).append(seconds)
        assert seconds <= limit, f"{what}: {span(seconds)}, more than {span(limit)}"

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def wrong(self):
        """What went wrong in all runs, as one text; empty if nothing did."""
        text = f"{len(self.strays)} strays, first {self.strays[0]}" if self.strays else ""
        if self.failures:
            text += ("; " if text else "") + f"{len(self.failures)} of {self.runs} runs: {self.failures[0]}"
        return text

    def outcome(self, expected):
        """The last column. `expected`: {scenario: reason} of faults that are known."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        if not self.wrong():
            return "passed; it is listed as an expected fault" if self.name in expected else "passed"
        return f"expected fault ({expected[self.name]}): {self.wrong()}" if self.name in expected else f"FAILED {self.wrong()}"

    def failed(self, expected):
        return bool(self.wrong()) and self.name not in expected


HEADER = ("scenario", "what happens", "runs", "measured: median, worst (count)", "strays", "before", "after", "result")


def table(rows, expected):
    lines = ["| " + " | ".join(HEADER) + " |", "|" + " --- |" * len(HEADER)]
    for row in rows:
        measured = [f"{what}: {summary(times)}" for what, times in row.times.items()] + row.notes
        cells = (row.name, row.title, row.runs, "; ".join(measured) or "none", len(row.strays), row.before, row.after,
                 row.outcome(expected))  # fmt: skip
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
