# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails when the keys that a reader of policy/ knows are not those of the JSON Schema, or a key is not in the documentation."""

import json
import re
import sys

from source_tree import ROOT

# What a reader calls its mapping, and where the schema describes it.
SERVICE, DENY = "properties/services/items/anyOf/1", "properties/deny/items/anyOf/2"
HEADER = "$defs/transform/properties/request/properties/headers/additionalProperties"
PLACES = {
    ("policy_document.cpp", "a policy"): ("policy", ""),
    ("policy_document.cpp", "an item of agents"): ("policy", "properties/agents/items"),
    ("service_reader.cpp", "an item of services"): ("policy", SERVICE),
    ("domain_reader.cpp", "an item of domains"): ("policy", "properties/domains/items/anyOf/2"),
    ("endpoint_reader.cpp", "an item of endpoints"): ("policy", "properties/endpoints/items"),
    ("deny_reader.cpp", "an item of deny"): ("policy", DENY),
    ("rule_reader.cpp", "a rule"): ("policy", "$defs/rule"),
    ("rule_reader.cpp", "path"): ("policy", "$defs/rule/properties/path"),
    ("rule_reader.cpp", "query"): ("policy", "$defs/rule/properties/query"),
    ("github_reader.cpp", "what"): ("policy", "$defs/github_access"),
    ("github_reader.cpp", "auth"): ("policy", "$defs/github_access/properties/auth"),
    ("github_reader.cpp", "client_shim"): ("policy", "$defs/github_access/properties/auth/properties/client_shim"),
    ("transform_reader.cpp", "a header to set"): ("policy", HEADER),
    ("transform_reader.cpp", "transform.request"): ("policy", "$defs/transform/properties/request"),
    ("transform_reader.cpp", "transform"): ("policy", "$defs/transform"),
    ("transform_reader.cpp", "transform of a header"): ("policy", HEADER + "/properties/transform"),
    ("expectations.cpp", "a table of tests"): ("test", ""),
    ("expectations.cpp", "a test"): ("test", "properties/tests/items"),
}
NOT_WRITTEN_BY_USERS = {"catalog_reader.cpp"}
TABLE = re.compile(r"YamlReader::Key(?:, \d+)?> known\{(.*?)(?:\}\}|\n  \});\n.*?\.keys\(\w+, (\"[^\"]*\"|\w+), ", re.DOTALL)
# A mapping with the keys of another one, and these besides.
MORE = re.compile(r"\bbody\(\s*\w+, \"([^\"]+)\",\s*\{(.*?)\n\s*\},", re.DOTALL)
KEY = re.compile(r'\{"(\w+)",')


def readers():
    """{(file, mapping): keys} of every table in policy/."""
    found = {}
    for path in sorted((ROOT / "policy").glob("*.cpp")):
        if path.name in NOT_WRITTEN_BY_USERS:
            continue
        for body, name in TABLE.findall(path.read_text()):
            mapping = name.strip('"')
            if (path.name, mapping) in found:
                mapping += " of a header"  # the second of this name, in the order of the file, is the outer one
                found[path.name, mapping] = found.pop((path.name, name.strip('"')))
                mapping = name.strip('"')
            found[path.name, mapping] = set(KEY.findall(body))
        for mapping, body in MORE.findall(path.read_text()):
            found[path.name, mapping] = found[path.name, "what"] | set(KEY.findall(body))
        if MORE.search(path.read_text()):
            del found[path.name, "what"]
    return found


def at(schema, pointer):
    for part in filter(None, pointer.split("/")):
        schema = schema[int(part) if isinstance(schema, list) else part]
    return schema


def faults(found, schemas, pages):
    for place, keys in found.items():
        if place not in PLACES:
            yield f"policy/{place[0]}: PLACES does not name the mapping '{place[1]}'"
            continue
        schema, pointer = PLACES[place]
        described = set(at(schemas[schema], pointer)["properties"])
        if keys != described:
            yield f"policy/{place[0]}: '{place[1]}' and {schema}.schema.json differ in {', '.join(sorted(keys ^ described))}"
        for key in sorted(keys):
            if not re.search(rf"`{key}`|\b{key}: ?|`{key}:", pages):
                yield f"policy/{place[0]}: no page of docs/policy names the key '{key}'"
    for place in sorted(set(PLACES) - set(found)):
        yield f"policy/{place[0]}: no table of keys for '{place[1]}'"


def main():
    found = readers()
    schemas = {name: json.loads((ROOT / f"policy/{name}.schema.json").read_text()) for name in ("policy", "test")}
    pages = "\n".join(path.read_text() for path in sorted((ROOT / "docs/policy").glob("*.md")))
    if "--self-test" in sys.argv:
        found["policy_document.cpp", "a policy"].add("unheard_of")
        return 0 if len(list(faults(found, schemas, pages))) == 2 else 1
    wrong = list(faults(found, schemas, pages))
    print("\n".join(wrong) or f"{sum(map(len, found.values()))} keys of {len(found)} mappings agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
