"""Holds log lines against the JSON Schema that the program prints (`gateway schema log`)."""
# SPDX-License-Identifier: GPL-3.0-or-later

import functools
import json
import re
import subprocess

import jsonschema

DECIDING = ("type", "phase", "action", "scheme", "reason", "event")  # keys whose value decides


@functools.cache
def checker(program):
    """The checker of this program's lines."""
    done = subprocess.run([program, "schema", "log"], capture_output=True, check=True, timeout=20)
    return Checker(json.loads(done.stdout))


class Checker:
    """Thousands of lines have a few forms: the schema is asked once for each form."""

    def __init__(self, schema):
        jsonschema.Draft202012Validator.check_schema(schema)
        self._validator = jsonschema.Draft202012Validator(schema)
        address = re.compile(schema["$defs"]["address"]["pattern"])
        decision = schema["oneOf"][0]["properties"]
        self._patterns = {
            "ts": re.compile(schema["properties"]["ts"]["pattern"]),
            "client": address,
            "resolved": address,
            "destination": re.compile(decision["destination"]["pattern"]),
        }
        self._known = {}

    def faults(self, record):
        """What is wrong with this record; empty if nothing is."""
        form = tuple(sorted((key, self._form(key, value)) for key, value in record.items()))
        if form not in self._known:
            self._known[form] = [fault.message for fault in self._validator.iter_errors(record)]
        return self._known[form]

    def _form(self, key, value):
        if isinstance(value, str) and key in self._patterns:
            return f"matches {bool(self._patterns[key].search(value))}"
        if isinstance(value, str) and key not in DECIDING:
            return f"text {bool(value)}"
        if isinstance(value, int) and not isinstance(value, bool):
            return f"number {value < 0} {value == 0} {value < 100} {value > 999} {value > 65535}"
        return f"{type(value).__name__} {value}"
