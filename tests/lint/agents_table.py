# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails when the table of docs/agents.md does not match docker/agents/*.yaml; `--fix` writes it."""

import sys

import yaml

from source_tree import ROOT

PAGE = ROOT / "docs/agents.md"
BEGIN = "<!-- The table is written by tests/lint/agents_table.py --fix -->\n"
END = "<!-- The table ends here -->\n"


def table(agents):
    rows = ["| agent | start with | npm package | services | to know |", "| --- | --- | --- | --- | --- |"]
    for agent in agents:
        package = f"`{agent['package']['npm']}` {agent['package']['version']}"
        services = ", ".join(f"`{service}`" for service in agent["services"])
        cells = (f"{agent['title']} (`{agent['name']}`)", f"`{agent['command']}`", package, services, agent["notes"])
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def with_table(page, text):
    head, _, rest = page.partition(BEGIN)
    _, found, tail = rest.partition(END)
    assert found, f"{PAGE} has no markers for the table"
    return head + BEGIN + text + END + tail


def main():
    agents = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "docker/agents").glob("*.yaml"))]
    page = PAGE.read_text()
    if "--self-test" in sys.argv:
        agents[0]["command"] += "x"
        return 0 if with_table(page, table(agents)) != page else 1
    wanted = with_table(page, table(agents))
    if "--fix" in sys.argv:
        PAGE.write_text(wanted)
    elif wanted != page:
        print(f"{PAGE.relative_to(ROOT)} does not match docker/agents; run: /usr/bin/python3 tests/lint/agents_table.py --fix")
        return 1
    print(f"{len(agents)} agents are in the table")
    return 0


if __name__ == "__main__":
    sys.exit(main())
