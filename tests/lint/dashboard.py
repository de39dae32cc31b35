# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails when the Grafana dashboard asks for a metric that the gateway does not have."""

import json
import re
import sys

from source_tree import ROOT

FIELD = re.compile(r'CounterField\{"(\w+)",(.*?)\}', re.DOTALL)
SAMPLE = re.compile(r'sample\("(\w+)",')


def metrics():
    text = (ROOT / "gateway/audit/metrics.cpp").read_text()
    counters = {f"soleroute_{name}" + ("" if rest.rstrip().endswith("true") else "_total") for name, rest in FIELD.findall(text)}
    return counters | {f"soleroute_{name}" for name in SAMPLE.findall(text)}


def asked(dashboard):
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    variables = [one["query"] for one in dashboard["templating"]["list"]]
    return {name for text in expressions + variables for name in re.findall(r"soleroute_\w+", text)}


def main():
    dashboard = json.loads((ROOT / "docs/grafana/soleroute.json").read_text())
    if "--self-test" in sys.argv:
        dashboard["panels"][0]["targets"][0]["expr"] = "rate(soleroute_decisions_allowed[1m])"
        return 0 if asked(dashboard) - metrics() else 1
    unknown = sorted(asked(dashboard) - metrics())
    print(f"docs/grafana/soleroute.json: no such metric: {', '.join(unknown)}" if unknown else f"{len(asked(dashboard))} metrics exist")
    return 1 if unknown or len(asked(dashboard)) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
