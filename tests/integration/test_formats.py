"""The formats, exit codes and inputs of the commands that read policies: what CI systems and scripts build on."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import re
import subprocess
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

_SCHEMA = Path(__file__).resolve().parents[1] / "data/junit.xsd"
_CI = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "CI_PROJECT_DIR", "GATEWAY_POLICY")
FORMATS = ("text", "json", "github", "sarif", "codequality", "junit", "tap")

POLICY = "domains: [allowed.test]\n"
WRONG_POLICY = "domains:\n  - hots: a.test\n  - '*'\nmode: on\n"
TABLE = """policies: [policy.yaml]
tests:
  - {url: "https://allowed.test/", expect: allow}
  - {name: "wrong, 100% | <b>", url: "https://allowed.test/", expect: deny}
"""


@pytest.fixture
def call(gateway_binary, tmp_path):
    """call(*arguments, stdin=, **environment) runs the program in a folder with a policy and a table."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "wrong.yaml").write_text(WRONG_POLICY)
    (tmp_path / "log.json").write_text('{"type": "lifecycle", "event": "healthy"}\n')
    (tmp_path / "tests.yaml").write_text(TABLE)
    (tmp_path / "passing.yaml").write_text(TABLE[: TABLE.rindex("  - {name")])
    (tmp_path / "of-wrong.yaml").write_text(TABLE.replace("policy.yaml", "wrong.yaml"))

    def run(*arguments, stdin="", **environment):
        kept = {name: value for name, value in os.environ.items() if name not in _CI}
        return subprocess.run([gateway_binary, *arguments], input=stdin, capture_output=True, text=True, cwd=tmp_path, timeout=30,
                              check=False, env=kept | environment)

    return run


def valid_junit(text, tmp_path):
    path = tmp_path / "report.xml"
    path.write_text(text)
    done = subprocess.run(["xmllint", "--noout", "--schema", _SCHEMA, path], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return xml.fromstring(text.encode())


def valid_sarif(text):
    report = json.loads(text)
    assert report["version"] == "2.1.0" and report["$schema"].endswith("sarif-2.1.0.json")
    (run,) = report["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert run["tool"]["driver"]["name"] and all(rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"])
    for result in run["results"]:
        assert result["ruleId"] in rules and result["level"] in ("error", "warning") and result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert re.fullmatch(r"[\w%./~-]+", place["artifactLocation"]["uri"]) and place["region"]["startLine"] >= 1
    return run["results"]


def valid_code_quality(text):
    found = json.loads(text)
    assert len({entry["fingerprint"] for entry in found}) == len(found)
    for entry in found:
        assert entry["description"] and entry["check_name"] and entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert entry["location"]["path"] and entry["location"]["lines"]["begin"] >= 1
    return found


def proved(text, tmp_path):
    """What perl's own reader of TAP says."""
    (tmp_path / "report.tap").write_text(text)
    return subprocess.run(["prove", "-e", "cat", tmp_path / "report.tap"], capture_output=True, text=True, check=False, timeout=60)


def test_check_finds_every_error_in_one_go(call):
    done = call("check", "wrong.yaml", "absent.yaml")
    assert done.returncode == 2 and done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line.startswith("gateway: ")]
    assert [line.split(": ")[1] for line in said] == ["cannot open absent.yaml", "wrong.yaml:2:5", "wrong.yaml:3:5", "wrong.yaml:4:7", "4 errors"]
    assert done.stderr.count("^\n") == 3, "each with its line and a caret"


def test_check_shows_twenty_errors_and_counts_the_rest(call, tmp_path):
    (tmp_path / "many.yaml").write_text("domains:\n" + "  - '*'\n" * 500)
    done = call("check", "many.yaml")
    assert done.returncode == 2
    assert len(re.findall(r"^gateway: many\.yaml:\d+:5: ", done.stderr, re.MULTILINE)) == 20
    assert done.stderr.endswith("… and 480 more\ngateway: 500 errors\n")


@pytest.mark.parametrize("name", FORMATS)
def test_check_in_every_format(call, tmp_path, name):
    right, wrong = call("check", "--format", name, "policy.yaml"), call("check", "--format", name, "wrong.yaml")
    assert (right.returncode, wrong.returncode) == (0, 2)
    places = [(2, 5), (3, 5), (4, 7)]
    if name == "text":
        assert "allowed.test" in right.stdout and wrong.stdout == ""
        return
    assert wrong.stderr == "", "all of it is in the report"
    if name == "json":
        assert json.loads(right.stdout) | {"allows": 1} == {"valid": True, "files": ["policy.yaml"], "error_count": 0, "errors": [], "warnings": [], "allows": 1}
        errors = json.loads(wrong.stdout)["errors"]
        assert [(error["line"], error["column"]) for error in errors] == places and errors[0]["file"] == "wrong.yaml"
        assert errors[0]["message"] == "unknown key 'hots', did you mean 'host'?"
    elif name == "github":
        assert right.stdout == ""
        lines = wrong.stdout.splitlines()
        assert lines[0] == "::error file=wrong.yaml,line=2,col=5,title=gateway check::unknown key 'hots', did you mean 'host'?"
        assert len(lines) == 3 and all(line.startswith("::error file=wrong.yaml,line=") for line in lines)
    elif name == "sarif":
        assert valid_sarif(right.stdout) == []
        regions = [result["locations"][0]["physicalLocation"]["region"] for result in valid_sarif(wrong.stdout)]
        assert [(region["startLine"], region["startColumn"]) for region in regions] == places
    elif name == "codequality":
        assert valid_code_quality(right.stdout) == []
        assert [entry["location"]["lines"]["begin"] for entry in valid_code_quality(wrong.stdout)] == [2, 3, 4]
    elif name == "junit":
        assert valid_junit(right.stdout, tmp_path).find(".//failure") is None
        assert "unknown key 'hots'" in valid_junit(wrong.stdout, tmp_path).find(".//failure").text
    else:
        assert proved(right.stdout, tmp_path).returncode == 0
        assert "Failed 1/1 subtests" in proved(wrong.stdout, tmp_path).stdout


@pytest.mark.parametrize("name", FORMATS)
def test_test_in_every_format(call, tmp_path, name):
    done, wrong = call("test", "--format", name, "tests.yaml"), call("test", "--format", name, "tests.yaml", "of-wrong.yaml")
    assert (done.returncode, wrong.returncode) == (1, 2), "a wrong policy is worse than a failed test"
    if name == "text":
        assert done.stdout.endswith("1 of 2 passed\n") and "wrong.yaml:2:5" in wrong.stderr
    elif name == "json":
        (table,) = json.loads(done.stdout)["tables"]
        assert [test["passed"] for test in table["tests"]] == [True, False] and table["tests"][1]["line"] == 4
        assert [error["line"] for error in json.loads(wrong.stdout)["tables"][1]["errors"]] == [2, 3, 4]
    elif name == "github":
        assert done.stdout.startswith("::error file=tests.yaml,line=4,title=gateway test::wrong, 100%25 | <b>%0Aexpected denied, got allowed")
        assert "::error file=wrong.yaml,line=2,col=5," in wrong.stdout
    elif name == "sarif":
        assert [result["ruleId"] for result in valid_sarif(done.stdout)] == ["policy-test"]
        assert {result["ruleId"] for result in valid_sarif(wrong.stdout)} == {"policy-test", "policy-error"}
    elif name == "codequality":
        assert [entry["location"] for entry in valid_code_quality(done.stdout)] == [{"path": "tests.yaml", "lines": {"begin": 4}}]
        assert len(valid_code_quality(wrong.stdout)) == 4
    elif name == "junit":
        report = valid_junit(done.stdout, tmp_path)
        assert (report.get("tests"), report.get("failures"), report.get("errors")) == ("2", "1", "0")
        report = valid_junit(wrong.stdout, tmp_path)
        assert (report.get("tests"), report.get("failures"), report.get("errors")) == ("5", "1", "3")
    else:
        said = proved(done.stdout, tmp_path)
        assert "Failed 1/2 subtests" in said.stdout and said.returncode == 1
        said = proved(wrong.stdout, tmp_path)
        assert "Bailout called" in said.stdout + said.stderr and said.returncode != 0
        assert "Bail out! wrong.yaml:2:5: unknown key 'hots'" in wrong.stdout


def test_reports_that_pass(call, tmp_path):
    assert proved(call("test", "--format", "tap", "passing.yaml").stdout, tmp_path).returncode == 0
    assert valid_junit(call("test", "--format", "junit", "passing.yaml").stdout, tmp_path).get("failures") == "0"
    assert valid_sarif(call("test", "--format", "sarif", "passing.yaml").stdout) == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_that_cannot_be_read_is_never_silence(call, name):
    done = call("test", "--format", name, "absent.yaml")
    assert done.returncode == 2
    assert "cannot open absent.yaml: No such file or directory" in done.stdout + done.stderr


def test_a_github_job_gets_annotations_with_the_text(call):
    plain, job = call("test", "tests.yaml"), call("test", "tests.yaml", GITHUB_ACTIONS="true")
    assert "::error" not in plain.stdout
    assert job.stdout.startswith(plain.stdout) and "\n::error file=tests.yaml,line=4," in job.stdout
    assert "::error" not in call("test", "--format", "text", "tests.yaml", GITHUB_ACTIONS="true").stdout, "a format that was asked for is kept"
    assert "::error file=wrong.yaml,line=2" in call("check", "wrong.yaml", GITHUB_ACTIONS="true").stdout
    assert "::error" not in call("check", "policy.yaml", GITHUB_ACTIONS="true").stdout


def test_test_appends_a_table_to_the_jobs_summary(call, tmp_path):
    summary = tmp_path / "summary.md"
    call("test", "tests.yaml", "of-wrong.yaml", GITHUB_STEP_SUMMARY=str(summary))
    text = summary.read_text()
    assert text.startswith("### Policy tests: 1 of 2 passed\n\n| Where | What failed |\n| --- | --- |\n")
    rows = [line for line in text.splitlines() if line.startswith("| <code>")]
    assert len(rows) == 4 and all(row.count(" | ") == 1 for row in rows), text
    assert "<b>" not in text, "the text of others is no markup"
    call("test", "passing.yaml", GITHUB_STEP_SUMMARY=str(summary))
    assert summary.read_text() == text + "### Policy tests: 1 of 1 passed\n\n"


@pytest.mark.parametrize("arguments", [["services"], ["agents"], ["explain", "--policy", "policy.yaml", "https://allowed.test/"], ["check", "policy.yaml"],
                                       ["suggest", "log.json"], ["test", "passing.yaml"]], ids=lambda arguments: arguments[0])  # fmt: skip
def test_one_scheme_of_formats(call, arguments):
    text, alias, spelled = call(*arguments), call(*arguments, "--json"), call(*arguments, "--format", "json")
    assert text.returncode == alias.returncode == spelled.returncode == 0, text.stderr + alias.stderr + spelled.stderr
    assert alias.stdout == spelled.stdout
    json.loads(alias.stdout)
    assert call(*arguments, "--format=human").stdout == text.stdout, "the old name"
    wrong = call(*arguments, "--format", "xml")
    assert wrong.returncode == 2 and "unknown format 'xml': use text, json" in wrong.stderr
    assert call(*arguments, "--json", "--format", "text").returncode == 2, "a contradiction"


@pytest.mark.parametrize("arguments", [["doctor", "--in", "agent"], ["reload"], ["status"], ["unguard"], ["verify"]], ids=lambda arguments: arguments[0])
def test_one_scheme_of_formats_also_for_what_runs(call, arguments):
    """What they print is tested where there is a gateway to ask."""
    for option in (["--format", "xml"], ["--json", "--format", "text"]):
        assert call(*arguments, *option).returncode == 2, "refused before anything is asked"


@pytest.mark.parametrize("command", [["suggest"], ["watch"], ["watch", "--no-follow", "garbage"], ["suggest", "garbage"]], ids=" ".join)
def test_input_that_is_no_log_is_exit_2(call, tmp_path, command):
    (tmp_path / "garbage").write_text("not a log\n{}\n")
    done = call(*command, stdin="not a log\n{}\n")
    name = "garbage" if "garbage" in command else "standard input"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"gateway: {name} is not a decision log: none of its 2 lines is a record\n"
    (tmp_path / "garbage").write_text("")
    assert call(*command, stdin="").returncode == 0, "the control: nothing happened yet"
    record = 'not a log\n{"type": "lifecycle", "event": "healthy"}\n'
    (tmp_path / "garbage").write_text(record)
    assert call(*command, stdin=record).returncode == 0, "the control: other lines may surround the records"


@pytest.mark.parametrize("arguments", [["check", "absent"], ["check", "--policy", "absent"], ["explain", "--policy", "absent", "https://a.test/"],
                                       ["test", "absent"], ["test", "--policy", "absent", "passing.yaml"], ["watch", "absent"], ["suggest", "absent"],
                                       ["suggest", "--policy", "absent", "policy.yaml"], ["run", "--policy", "absent", "--", "true"],
                                       ["agents", "--file", "absent.yaml"], ["run", "--decisions", "absent/log", "--", "true"],
                                       ["run", "--summary-file", "absent/summary", "--", "true"]], ids=" ".join)  # fmt: skip
def test_a_missing_file_is_exit_2_and_named(call, arguments):
    done = call(*arguments)
    assert done.returncode == 2 and "absent" in done.stderr and "No such file" in done.stderr, done.stderr


def test_a_dash_is_standard_input(call):
    assert "allowed.test" in call("check", "-", stdin=POLICY).stdout
    assert "allowed.test" in call("check", "--policy", "-", stdin=POLICY).stdout
    done = call("check", "-", stdin="domains: [\n")
    assert done.returncode == 2 and done.stderr.startswith("gateway: standard input:1:10: missing ']'")
    assert call("explain", "--policy", "-", "https://allowed.test/", stdin=POLICY).returncode == 0
    assert call("explain", "--policy", "-", "https://other.test/", stdin=POLICY).returncode == 1, "the control"
    assert call("test", "-", stdin=TABLE).returncode == 1
    assert call("test", "--policy", "-", "passing.yaml", stdin=POLICY).returncode == 0
    assert call("test", "--policy", "-", "passing.yaml", stdin="").returncode == 1, "the control: an empty policy"
    twice = call("check", "-", "-", stdin=POLICY)
    assert twice.returncode == 2 and "can be read only once" in twice.stderr


def test_a_policy_that_was_found_is_named_once(call, tmp_path):
    assert call("check").stderr == "gateway: policy: policy.yaml\n"
    assert call("check", "policy.yaml").stderr == "", "it was named on the command line"
    assert call("check", "-q").stderr == ""
    assert call("check", GATEWAY_POLICY="policy.yaml").stderr == "gateway: policy: policy.yaml\n", "a variable is easily forgotten"
    assert call("explain", "https://allowed.test/").stderr == "gateway: policy: policy.yaml\n"
    assert call("explain", "-q", "https://allowed.test/").stderr == ""
    (tmp_path / ".devcontainer").mkdir()
    (tmp_path / ".devcontainer/policy.yaml").write_text("domains: []\n")
    done = call("explain", "https://allowed.test/")
    assert done.returncode == 1
    assert done.stderr == ("gateway: policy: .devcontainer/policy.yaml\ngateway: warning: policy.yaml is not used because "
                           ".devcontainer/policy.yaml exists; pass --policy to choose\n")
    for name in ("policy.yaml", ".devcontainer/policy.yaml"):
        (tmp_path / name).unlink()
    assert call("check").stderr == ("gateway: warning: no policy file found (.devcontainer/policy.yaml, policy.yaml): "
                                    "all network access is blocked\n")
