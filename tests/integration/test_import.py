"""`gateway import` makes a policy from the configuration of other tools; `gateway unused` finds the lines that nothing uses."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_INPUTS = _ROOT / "tests/data/import"
_GOLDEN = _ROOT / "tests/golden/import"
# The files of each format; the name of the first one says which it is.
_FILES = {path.stem: [path.name] for path in sorted(_INPUTS.iterdir()) if not path.name.startswith("user.")}
_FILES["agent-sandbox"] = ["user.policy.yaml", "user.agent.policy.yaml"]
_FILES["squid"] = ["squid.conf"]
# What the other tool denies: a name, in the files of these formats.
_DENIED = {"gh-aw": "tracker.example.com", "sandbox-runtime": "bad.example.org", "claude-code": "bad.example.com", "codex": "bad.example.org",
           "openshell": "/admin/", "squid": "ads.example.com"}  # fmt: skip


@pytest.fixture
def run(gateway_binary):
    def ask(*arguments, folder=_INPUTS, **more):
        return subprocess.run([gateway_binary, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False, **more)

    return ask


@pytest.mark.parametrize("form", sorted(_FILES))
def test_each_format_becomes_the_reviewed_policy(run, tmp_path, form):
    done = run("import", *_FILES[form])
    assert done.returncode == 0 and f"({form})" in done.stderr, done.stderr
    golden = _GOLDEN / f"{form}.yaml"
    if "SOLEROUTE_UPDATE_GOLDEN" in os.environ:
        golden.write_text(done.stdout)
    assert done.stdout == golden.read_text()
    (tmp_path / "policy.yaml").write_text(done.stdout)
    checked = run("check", "policy.yaml", folder=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert run("import", "--from", form, *_FILES[form]).stdout == done.stdout, "the format was recognized"
    as_json = json.loads(run("import", "--json", *_FILES[form]).stdout)
    assert as_json["policy"] == done.stdout and (not as_json["not_imported"] or set(as_json["not_imported"][0]) == {"what", "why", "exception"})


@pytest.mark.threat("T267")
@pytest.mark.parametrize("form", sorted(_DENIED))
def test_an_exception_of_the_other_tool_is_denied(run, form):
    done = run("import", *_FILES[form])
    entries = "".join(line for line in done.stdout.partition("\ndeny:\n")[2].splitlines(True) if not line.startswith("#"))
    assert _DENIED[form] in entries, done.stdout


@pytest.mark.threat("T267")
def test_an_exception_that_cannot_be_said_is_named_first(run):
    done = run("import", "openshell.yaml")
    assert "# EXCEPTIONS THAT ARE NOT IMPORTED. The lines above may allow them:\n#   - api.example.com: GET /repos/*/rulesets" in done.stdout
    assert "1 exception is not imported: the policy may allow more than the original" in done.stderr
    assert "warning" not in run("import", "squid.conf").stderr, "the control"


@pytest.mark.threat("T267")
@pytest.mark.parametrize(("form", "text"), [
    ("sandbox-runtime", '{"network": {"allowedDomains": ["*", "*.com", "a.example\\n  - evil.example", "a.example] #", "169.254.169.254"]}}'),
    ("gh-aw-firewall", "*\n*.com\n"), ("boundary", 'allowlist: ["domain=*", "method=GET", "domain=*.com", "domain=a.*.example"]'),
    ("httpjail", "true"), ("httpjail", "r.host !== 'a.example'"), ("httpjail", "r.host === 'a.example' ? false : true"),
    ("httpjail", "let h = r.host; h.includes('.example')"), ("squid", "acl a src 10.0.0.0/8\nhttp_access allow a\nhttp_access allow all\n"),
    ("squid", "acl a dstdomain a.example\nhttp_access deny all\nhttp_access allow a\n"), ("codex", "[permissions.x.network.domains]\n\"*\" = \"allow\"\n"),
    ("openshell", "network_policies: {a: {endpoints: [{host: a.example, port: 443, path: /x}, {host: '*', port: 443}]}}"),
    ("harden-runner", "allowed-endpoints: '*:443 ${{inputs.x}}:443'")])  # fmt: skip
def test_what_cannot_be_said_allows_nothing(run, form, text):
    done = run("import", "--from", form, "-", input=text)
    assert done.returncode == 0, done.stderr
    allowed = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    assert allowed == [] or (form == "sandbox-runtime" and "evil" not in "".join(allowed)), allowed


def test_input_of_no_format_is_an_error(run, tmp_path):
    (tmp_path / "what").write_text("hello world\n")
    done = run("import", "what", folder=tmp_path)
    assert done.returncode == 2 and "unknown format" in done.stderr and "squid" in done.stderr
    assert "did you mean 'squid'" in run("import", "--from", "squif", "what", folder=tmp_path).stderr
    for form in sorted(set(_FILES) - {"gh-aw-firewall", "harden-runner", "httpjail", "agent-sandbox"}):
        failed = run("import", "--from", form, "what", folder=tmp_path)
        assert failed.returncode == 2 and failed.stdout == "", (form, failed)


def test_a_folder_is_the_layers_of_agent_sandbox(run, tmp_path):
    for name in _FILES["agent-sandbox"]:
        (tmp_path / name).write_text((_INPUTS / name).read_text())
    assert "merge_mode: replace" in run("import", ".", folder=tmp_path).stdout


POLICY = """\
services: [npm]
domains:
  - used.example.com
  - "*.example.org"
  - unused.example.net  # once
  - host: api.example.com
    rules:
      - methods: [GET]
      - methods: [POST]
        path: {prefix: /v1/}
endpoints:
  - {host: db.example.com, port: 5432}
"""


def allowed(host, **more):
    record = {"type": "decision", "phase": "tls", "action": "allowed", "reason": "host_allowed", "client": "10.77.0.2", "host": host,
              "scheme": "https", "port": 443}  # fmt: skip
    return json.dumps(record | more) + "\n"


def test_unused_lists_the_lines_that_nothing_used(run, tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    request = {"phase": "http", "scheme": "http", "port": 80, "method": "GET", "path": "/x", "reason": "request_rule_matched"}
    log = allowed("used.example.com") + allowed("a.b.example.org") + allowed("api.example.com", **request)
    (tmp_path / "log").write_text(log + allowed("unused.example.net", action="blocked", reason="host_not_allowed"))
    done = run("unused", "log", folder=tmp_path)
    assert done.stdout == ("policy.yaml:1: services: [npm]\npolicy.yaml:5: - unused.example.net  # once\npolicy.yaml:9: - methods: [POST]\n"
                           "policy.yaml:12: - {host: db.example.com, port: 5432}\n"), done  # fmt: skip
    assert done.returncode == 0 and "4 of 7 lines not used by 3 allowed decisions" in done.stderr
    listed = json.loads(run("unused", "--json", "log", folder=tmp_path).stdout)
    assert listed[1] == {"file": "policy.yaml", "line": 5, "text": "- unused.example.net  # once"}
    (tmp_path / "log").write_text(log + allowed("unused.example.net") + allowed("registry.npmjs.org"))
    assert "unused.example.net" not in run("unused", "log", folder=tmp_path).stdout


def test_unused_says_nothing_without_allowed_requests(run, tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "log").write_text(allowed("used.example.com", action="blocked", reason="host_not_allowed"))
    done = run("unused", "log", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and "--log quiet" in done.stderr
