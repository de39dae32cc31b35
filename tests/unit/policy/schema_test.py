#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema for editors against the parser's own table: it takes every good policy and refuses every bad one,
save those whose fault no schema can see (marked `schema: blind`; that they really are is tested too).

usage: schema_test.py REPOSITORY
"""
import json
import pathlib
import re
import sys

import jsonschema
import yaml


class Yaml12(yaml.SafeLoader):
    """Scalars as editors read them (YAML 1.2 core schema): on, no and dates are text."""


Yaml12.yaml_implicit_resolvers = {}
for tag, pattern, first in [
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
     "-+0123456789."),
]:
    Yaml12.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(pattern), list(first))


def construct_float(loader, node):
    return float(loader.construct_scalar(node))


def construct_int(loader, node):
    return int(loader.construct_scalar(node), 0 if node.value[:2] in ("0x", "0o") else 10)


Yaml12.add_constructor("tag:yaml.org,2002:float", construct_float)
Yaml12.add_constructor("tag:yaml.org,2002:int", construct_int)


def cases(text):
    for section in re.split(r"^=== ", text, flags=re.M)[1:]:
        head, _, policy = section.partition("\n---\n")
        kind, _, name = head.splitlines()[0].partition(" ")
        yield kind == "good", name, "schema: blind" in head, policy


def accepted(validator, policy):
    try:
        document = yaml.load(policy, Yaml12)
    except yaml.YAMLError:
        return True  # not the schema's business
    return not list(validator.iter_errors({} if document is None else document))


def main(root):
    schema = json.loads((root / "policy/policy.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    wrong = []
    total = 0
    for good, name, blind, policy in cases((root / "tests/data/policy/cases.txt").read_text()):
        total += 1
        if accepted(validator, policy) != (good or blind):
            wrong.append("%s '%s': the schema %s it" % ("good" if good else "bad", name,
                                                       "refuses" if good or blind else "takes"))
    catalog = sorted(path.stem for path in (root / "policy/services").glob("*.yaml"))
    if schema["$defs"]["service_name"]["enum"] != catalog:
        wrong.append("the schema lists other services than policy/services: %s" % catalog)
    for path in sorted((root / "policy/services").glob("*.yaml")):
        groups = list(yaml.load(path.read_text(), Yaml12).get("optional", {}))
        for group in ["telemetry", "updates", "plugins", "sign-in", "vertex"]:
            policy = "services: [{name: %s, optional: [%s]}]" % (path.stem, group)
            if accepted(validator, policy) != (group in groups):
                wrong.append("%s: the schema knows other optional groups" % path.stem)
    for example in sorted((root / "policy/examples").glob("*.yaml")):
        if not accepted(validator, example.read_text()):
            wrong.append("%s: the schema refuses it" % example.name)
    print("\n".join(wrong) or "%d policies agree" % total)
    return 1 if wrong or total < 100 else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
