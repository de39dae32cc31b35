"""`gateway schema` prints the schemas that are in the repository, and each takes what the program takes."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml
from lab import log_schema

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ("policy", "test", "log")


def printed(program, name):
    done = subprocess.run([program, "schema", name], capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_printed_schema_is_the_one_in_the_repository(gateway_binary, name):
    schema = printed(gateway_binary, name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == json.loads((ROOT / f"policy/{name}.schema.json").read_text())


def test_the_schema_of_policies_lists_the_services_of_the_program(gateway_binary):
    services = json.loads(subprocess.run([gateway_binary, "services", "--json"], capture_output=True, check=True, timeout=20).stdout)
    definitions = printed(gateway_binary, "policy")["$defs"]
    assert definitions["service_name"]["enum"] == [service["name"] for service in services]
    groups = {group["name"] for service in services for group in service["optional"]}
    assert set(definitions["optional_group"]["enum"]) == groups


@pytest.mark.parametrize(
    ("table", "fits"),
    [
        ("tests: [{url: 'https://a.test/', expect: allow}]", True),
        ("policies: [p.yaml]\ntests: [{host: a.test, port: 22, protocol: tcp, expect: deny, reason: host_not_allowed, rule: 'p.yaml:1', name: it is denied}]", True),
        ("tests: [{url: 'https://a.test/', method: PUT, expect: deny}]", True),
        ("tests: []", False),
        ("tests: [{url: 'https://a.test/'}]", False),
        ("tests: [{expect: allow}]", False),
        ("tests: [{host: a.test, expect: allow}]", False),
        ("tests: [{host: a.test, port: 0, expect: allow}]", False),
        ("tests: [{url: 'https://a.test/', host: a.test, port: 1, expect: allow}]", False),
        ("tests: [{url: 'https://a.test/', expect: maybe}]", False),
        ("tests: [{url: 'https://a.test/', expect: deny, reason: bored}]", False),
        ("tests: [{url: 'https://a.test/', expect: allow, color: red}]", False),
        ("policy: p.yaml\ntests: [{url: 'https://a.test/', expect: allow}]", False),
    ],
)
def test_the_schema_of_tests_takes_what_the_program_takes(gateway_binary, tmp_path, table, fits):
    (tmp_path / "p.yaml").write_text("domains: [a.test]\n")
    (tmp_path / "t.yaml").write_text(table)
    validator = jsonschema.Draft202012Validator(printed(gateway_binary, "test"))
    assert validator.is_valid(yaml.safe_load(table)) == fits
    policy = [] if "policies" in table else ["--policy", tmp_path / "p.yaml"]
    done = subprocess.run([gateway_binary, "test", *policy, tmp_path / "t.yaml"], capture_output=True, check=False, timeout=20)
    assert (done.returncode in (0, 1)) == fits, done.stderr


TS = "2026-12-01T03:00:00.000Z"
DENIAL = {"ts": TS, "type": "decision", "phase": "tls", "action": "blocked", "reason": "host_not_allowed", "client": "10.0.0.2", "host": "a.test"}


@pytest.mark.parametrize(
    ("line", "fits"),
    [
        (DENIAL, True),
        (DENIAL | {"destination": "[2001:db8::1]:443", "port": 443, "scheme": "https", "duration_ms": 0}, True),
        (DENIAL | {"type": "wish"}, False),
        (DENIAL | {"reason": "bored"}, False),
        (DENIAL | {"port": 0}, False),
        (DENIAL | {"host": ""}, False),
        (DENIAL | {"observed": False}, False),
        (DENIAL | {"cookie": "secret"}, False),
        (DENIAL | {"message": "of another type"}, False),
        (DENIAL | {"ts": "yesterday"}, False),
        ({"ts": TS, "type": "reload", "accepted": True, "detail": "p.yaml: 1 host"}, True),
        ({"ts": TS, "type": "reload", "detail": "p.yaml: 1 host"}, False),
        ({"ts": TS, "type": "error", "reason": "log_suppressed", "message": "m", "suppressed": 3}, True),
        ({"ts": TS, "type": "error"}, False),
        ({"ts": TS, "type": "debug", "message": "m"}, True),
        ({"type": "lifecycle", "event": "start"}, False),
    ],
)
def test_the_schema_of_the_log_refuses_other_lines(gateway_binary, line, fits):
    assert bool(log_schema.checker(gateway_binary).faults(line)) != fits


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["policy", "log"]])
def test_another_schema_is_a_usage_error(gateway_binary, arguments):
    done = subprocess.run([gateway_binary, "schema", *arguments], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2 and done.stderr.startswith("gateway: ") and done.stdout == ""


def test_services_since_a_day(gateway_binary):
    def services(*arguments):
        return subprocess.run([gateway_binary, "services", *arguments], capture_output=True, text=True, check=False, timeout=20)

    every = json.loads(services("--json").stdout)
    later = json.loads(services("--json", "--since", "2026-12-01").stdout)
    assert {service["name"] for service in later} == {service["name"] for service in every if service["date"] >= "2026-12-01"}
    assert {"dotnet", "dart", "cursor"} <= {service["name"] for service in later} < {service["name"] for service in every}
    assert services("--since", "2999-01-01").stdout == "no service is new or changed since 2999-01-01\n"
    wrong = services("--since", "yesterday")
    assert wrong.returncode == 2 and "'yesterday' is not a date like 2026-12-01" in wrong.stderr
