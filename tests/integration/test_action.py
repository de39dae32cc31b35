"""action.yml and the recipes of packaging/ci: their steps run here as a runner would run them, without GitHub."""
# SPDX-License-Identifier: GPL-3.0-or-later

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lab import addresses as at

_ROOT = Path(__file__).resolve().parents[2]
_ACTIONS = {"run": _ROOT / "action.yml", "check": _ROOT / "packaging/ci/check/action.yml"}
_SCRIPTS = [_ROOT / "packaging/ci" / name for name in ("install", "run", "check-policies", "check-each", "shell.sh")]
DENIED = "curl -sS -m 5 -o /dev/null http://denied.test/"
ALLOWED = "curl -sS -m 5 http://allowed.test/"


@pytest.fixture(params=_ACTIONS.values(), ids=_ACTIONS.keys())
def action(request):
    return yaml.safe_load(request.param.read_text())


def test_an_action_has_the_fields_that_github_reads(action):
    assert set(action) <= {"name", "description", "author", "branding", "inputs", "outputs", "runs"}
    assert action["name"] and 0 < len(action["description"]) <= 125, "the marketplace shows no more"
    assert action["branding"]["icon"] and action["branding"]["color"] in ("white", "yellow", "blue", "green", "orange", "red", "purple", "gray-dark")
    for name, given in action["inputs"].items():
        assert re.fullmatch(r"[a-z][a-z-]*", name) and given["description"]
        assert set(given) <= {"description", "default", "required"}
        assert given.get("required") is True or isinstance(given["default"], str), f"{name}: a default is text"
    for given in action.get("outputs", {}).values():
        assert set(given) == {"description", "value"}
    assert action["runs"]["using"] == "composite"


@pytest.mark.parametrize("path", _ACTIONS.values(), ids=_ACTIONS.keys())
def test_a_step_is_a_script_of_the_repository_and_no_input_reaches_a_shell_as_code(path):
    action, folder = yaml.safe_load(path.read_text()), path.parent
    text = json.dumps(action)
    known = {f"inputs.{name}" for name in action["inputs"]} | {"github.action_path", "github.action_repository", "github.action_ref"}
    known |= {f"steps.{step['id']}.outputs.{name}" for step in action["runs"]["steps"] if "id" in step for name in action.get("outputs", {})}
    assert set(re.findall(r"\$\{\{ ([^}]+) \}\}", text)) <= known
    assert text.count("${{") == len(re.findall(r"\$\{\{ [^}]+ \}\}", text))
    for name in action["inputs"]:
        assert f"inputs.{name} " in text, f"the input {name} does nothing"
    for step in action["runs"]["steps"]:
        assert set(step) <= {"name", "id", "shell", "env", "run", "working-directory"} and step["shell"] == "bash"
        assert "${{" not in step["run"]
        script = Path(os.path.normpath(folder / re.fullmatch(r'"\$ACTION/([\w./-]+)"', step["run"])[1]))
        assert script in _SCRIPTS and os.access(script, os.X_OK), script


def test_every_workflow_and_recipe_in_the_docs_names_inputs_that_exist():
    for path in [*_ROOT.glob("*.md"), *_ROOT.glob("docs/**/*.md"), *_ACTIONS.values()]:
        for name, uses in re.findall(r"uses: \S+/soleroute(\S*)@\S+\n((?:#?[ ]+.*\n)+)", path.read_text()):
            inputs = yaml.safe_load(_ACTIONS["check" if name else "run"].read_text())["inputs"]
            given = re.findall(r"^#?\s{4,}([a-z-]+):", uses.split("with:\n")[-1], re.MULTILINE)
            assert set(given) <= set(inputs), f"{path.name}: {given}"


def test_the_scripts_pass_shellcheck():
    done = subprocess.run(["shellcheck", *_SCRIPTS], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


# --- As a runner runs them ---


class Runner:
    """A folder with the files of a runner; steps() runs those of an action."""

    def __init__(self, folder, path):
        self.work, self.temp = folder / "work", folder / "temp"
        for made in (self.work, self.temp, folder / "bin"):
            made.mkdir()
        self.bin = folder / "bin"
        self.path = path
        self.summary, self.output = self.temp / "summary.md", self.temp / "output"

    def steps(self, name, inputs, **more):
        """What the last step that ran gave; a step that fails ends the job."""
        action = yaml.safe_load(_ACTIONS[name].read_text())
        values = {f"inputs.{key}": inputs.get(key, given.get("default", "")) for key, given in action["inputs"].items()}
        assert set(inputs) <= set(action["inputs"])
        values |= {"github.action_path": str(_ACTIONS[name].parent), "github.action_repository": "owner/soleroute", "github.action_ref": "v9.8.7"}
        done = None
        for step in action["runs"]["steps"]:
            filled = {key: re.sub(r"\$\{\{ (\S+) \}\}", lambda match: values[match[1]], text) for key, text in step.get("env", {}).items()}
            folder = re.sub(r"\$\{\{ (\S+) \}\}", lambda match: values[match[1]], step.get("working-directory", "."))
            environment = {"PATH": f"{self.bin}:{self.path}:{os.environ['PATH']}", "HOME": str(self.temp), "GITHUB_ACTIONS": "true",
                           "GITHUB_OUTPUT": str(self.output), "GITHUB_PATH": str(self.temp / "path"), "GITHUB_STEP_SUMMARY": str(self.summary),
                           "GITHUB_WORKSPACE": str(self.work), "RUNNER_TEMP": str(self.temp), "BIN": str(self.bin), **more, **filled}  # fmt: skip
            done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=self.work / folder, env=environment,
                                  capture_output=True, text=True, check=False, timeout=120)
            if done.returncode != 0:
                break
        return done

    def outputs(self):
        return dict(line.split("=", 1) for line in self.output.read_text().splitlines())


@pytest.fixture
def runner(gateway_binary, tmp_path):
    """A machine with the program on its PATH, for steps that need no network."""
    made = Runner(tmp_path, tmp_path / "installed")
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed/gateway").symlink_to(gateway_binary)
    return made


@pytest.fixture
def networked(lab, gateway_binary, tmp_path):
    """The same in the laboratory's namespace, with its resolver."""
    made = Runner(tmp_path, tmp_path / "installed")
    (tmp_path / "installed").mkdir()
    shim = tmp_path / "installed/gateway"
    command = " ".join(lab.gw.command(gateway_binary))
    shim.write_text(f'#!/bin/sh\nexport GATEWAY_RESOLVER={at.NS}\nexec {command} "$@"\n')
    shim.chmod(0o755)
    (made.work / "policy.yaml").write_text("domains: [allowed.test]\n")
    return made


def test_the_action_runs_a_command_and_counts_what_was_denied(networked):
    done = networked.steps("run", {"version": "installed", "policy": "policy.yaml", "command": f"{ALLOWED}\n{DENIED}"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("AL\n")
    outputs = networked.outputs()
    assert int(outputs["denied"]) >= 1
    records = [json.loads(line) for line in Path(outputs["decisions"]).read_text().splitlines()]
    assert {record["host"] for record in records if record["action"] == "blocked"} == {"denied.test"}


def test_the_command_sets_nothing_for_later_steps(networked):
    files = {name: networked.temp / name for name in ("GITHUB_ENV", "GITHUB_STATE")}
    script = 'for f in "$GITHUB_ENV" "$GITHUB_OUTPUT" "$GITHUB_PATH" "$GITHUB_STATE"; do echo denied=0 >> "$f"; done\n'
    script += f"for f in {networked.output} {networked.temp}/path {files['GITHUB_ENV']}; do (echo BASH_ENV=x >> $f) || true; done\n"
    done = networked.steps("run", {"version": "installed", "command": script + DENIED}, **{name: str(path) for name, path in files.items()})
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(networked.outputs()["denied"]) >= 1 and set(networked.outputs()) == {"denied", "decisions"}
    assert [path.read_text() for path in (*files.values(), networked.temp / "path")] == ["", "", ""]


@pytest.mark.parametrize("prefix", ["GATEWAY", "SOLEROUTE"])
def test_no_variable_of_an_earlier_step_widens_the_policy(networked, prefix):
    widened = {f"{prefix}_MODE": "observe", f"{prefix}_ALLOW": "denied.test"}
    assert networked.steps("run", {"version": "installed", "command": f"{DENIED} --fail"}, **widened).returncode != 0
    assert networked.steps("run", {"version": "installed", "command": f"{ALLOWED} --fail"}, **widened).returncode == 0, "the control"


def test_the_action_gives_the_commands_status(networked):
    done = networked.steps("run", {"version": "installed", "command": "false | true; exit 7"})
    assert done.returncode == 1, "as in a `run` step: pipefail, and the first failure ends it"
    assert networked.steps("run", {"version": "installed", "command": "exit 7"}).returncode == 7
    assert networked.outputs()["denied"] == "0"


def test_the_action_fails_on_a_denial_where_it_is_told_to(networked):
    strict = {"version": "installed", "fail-on-denial": "true"}
    done = networked.steps("run", strict | {"command": DENIED})
    assert done.returncode == 1 and "fail-on-denial is true" in done.stderr
    assert networked.steps("run", strict | {"command": ALLOWED}).returncode == 0, "the control"


def test_the_action_allows_more_and_observes(networked):
    (networked.work / "policy.yaml").write_text("domains: []\n")
    inputs = {"version": "installed", "command": f"{ALLOWED} --fail"}
    assert networked.steps("run", inputs).returncode != 0, "the control"
    done = networked.steps("run", inputs | {"allow": "allowed.test\nother.test", "fail-on-denial": "true"})
    assert (done.returncode, done.stdout) == (0, "AL\n"), done.stderr
    done = networked.steps("run", inputs | {"mode": "observe"})
    assert (done.returncode, done.stdout) == (0, "AL\n") and int(networked.outputs()["denied"]) >= 1, done.stderr


@pytest.mark.parametrize(("inputs", "said"), [({"command": ""}, "the input 'command' is empty"), ({"command": "true", "mode": "off"}, "use enforce or observe"),
                                              ({"command": "true", "fail-on-denial": "yes"}, "use true or false"),
                                              ({"command": "true", "policy": "absent.yaml"}, "cannot open absent.yaml")])  # fmt: skip
def test_the_action_refuses_inputs_that_mean_nothing(runner, inputs, said):
    done = runner.steps("run", {"version": "installed"} | inputs)
    assert done.returncode == 2 and said in done.stderr, done.stderr


def test_an_input_is_never_code(runner):
    for name in ("policy", "allow", "mode", "version"):
        runner.steps("run", {"version": "installed", "command": "true"} | {name: "$(touch made); `touch made`; '; touch made"})
    assert not list(runner.work.glob("made")) and not list(runner.temp.glob("**/made"))


def test_the_check_action_annotates_and_summarises(runner):
    (runner.work / "policy.yaml").write_text("domains: [allowed.test]\n")
    (runner.work / "tests.yaml").write_text('tests: [{url: "https://allowed.test/", expect: allow}, {url: "https://a.test/", expect: allow}]\n')
    done = runner.steps("check", {"version": "installed", "policy": "policy.yaml", "tests": "tests.yaml"})
    assert done.returncode == 1 and "\n::error file=tests.yaml,line=1,title=gateway test::" in done.stdout, done.stdout
    assert "### Policy tests: 1 of 2 passed" in runner.summary.read_text()
    (runner.work / "policy.yaml").write_text("domains: [allowed.test, a.test]\n")
    done = runner.steps("check", {"version": "installed", "policy": "policy.yaml", "tests": "tests.yaml"})
    assert done.returncode == 0 and "::error" not in done.stdout, done.stdout
    (runner.work / "policy.yaml").write_text("domain: [allowed.test]\n")
    done = runner.steps("check", {"version": "installed", "policy": "policy.yaml"})
    assert done.returncode == 2 and "::error file=policy.yaml,line=1,col=1," in done.stdout


def test_the_check_action_is_as_strict_as_it_is_told(runner):
    (runner.work / "policy.yaml").write_text("domains: ['*.blogspot.com']\n")
    for strict, status in (("false", 0), ("true", 1)):
        done = runner.steps("check", {"version": "installed", "policy": "policy.yaml", "strict": strict})
        assert done.returncode == status and "::warning file=policy.yaml,line=1," in done.stdout


# --- Installing ---


@pytest.fixture
def releases(tmp_path, gateway_binary):
    """The address of a folder laid out as GitHub's releases, with version 9.8.7 for this machine."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    name = f"soleroute-9.8.7-linux-{machine}"
    folder = tmp_path / "releases/download/v9.8.7"
    (tmp_path / name / "bin").mkdir(parents=True)
    folder.mkdir(parents=True)
    shutil.copy(gateway_binary, tmp_path / name / "bin/gateway")
    subprocess.run(["tar", "-C", tmp_path, "-czf", folder / f"{name}.tar.gz", name], check=True)
    tarball = folder / f"{name}.tar.gz"
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(tarball.read_bytes()).hexdigest()}  {tarball.name}\n")
    return folder


def test_a_release_is_installed_where_its_checksum_is_right(runner, releases):
    source = {"RELEASES": f"file://{releases.parents[1]}"}
    assert not (runner.bin / "gateway").exists()
    (runner.work / "policy.yaml").write_text("domains: [a.test]\n")
    done = runner.steps("check", {"policy": "policy.yaml"}, **source)  # the version of the action's own tag
    assert done.returncode == 0 and (runner.bin / "gateway").exists(), done.stderr
    assert (runner.temp / "path").read_text() == f"{runner.bin}\n", "later steps find it"


def test_a_release_with_another_checksum_is_not_installed(runner, releases):
    (tarball,) = releases.glob("*.tar.gz")
    tarball.write_bytes(tarball.read_bytes() + b"x")
    done = runner.steps("check", {"version": "9.8.7"}, RELEASES=f"file://{releases.parents[1]}")
    assert done.returncode != 0 and not (runner.bin / "gateway").exists()
    (releases / "SHA256SUMS").write_text("")
    done = runner.steps("check", {"version": "9.8.7"}, RELEASES=f"file://{releases.parents[1]}")
    assert done.returncode != 0 and not (runner.bin / "gateway").exists(), "a checksum that is missing is no checksum"


def test_a_version_that_is_none_is_refused(runner):
    done = runner.steps("check", {"version": "main/../x"})
    assert done.returncode == 2 and "use X.Y.Z, latest, source or installed" in done.stderr


# --- Recipes and hooks ---


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "policy.yaml").write_text("domains: [allowed.test]\n")
    (folder / "policy-tests.yaml").write_text('tests: [{url: "https://allowed.test/", expect: allow}]\n')
    (folder / "test.sh").write_text(f"#!/bin/sh\n{ALLOWED}\n")
    (folder / "test.sh").chmod(0o755)
    return folder


def test_the_recipe_for_a_shell_runs(networked, project):
    environment = {"PATH": f"{networked.path}:{os.environ['PATH']}"}
    done = subprocess.run([_ROOT / "packaging/ci/shell.sh"], cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stdout.endswith("1 of 1 passed\nAL\n"), done.stdout + done.stderr
    assert json.loads((project / "decisions.json").read_text().splitlines()[0])
    (project / "policy.yaml").write_text("domains: []\n")
    done = subprocess.run([_ROOT / "packaging/ci/shell.sh"], cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1, "the control: a test fails, and nothing runs"


def test_the_recipe_for_gitlab_runs(networked, project):
    jobs = yaml.safe_load((_ROOT / "packaging/ci/gitlab.yml").read_text())
    environment = {"PATH": f"{networked.path}:{os.environ['PATH']}", "CI_PROJECT_DIR": str(project)}
    for job in jobs.values():
        script = "set -eo pipefail\n" + "\n".join(job["script"])
        done = subprocess.run(["bash", "-c", script], cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        named = [*job["artifacts"].get("reports", {}).values(), *job["artifacts"].get("paths", [])]
        assert named and all((project / name).stat().st_size > 0 for name in named), "each artifact is made"
        assert job["artifacts"]["when"] == "always", "also of a job that fails"
    assert json.loads((project / "gl-code-quality-report.json").read_text()) == []


def test_the_hooks_for_pre_commit_run(runner, project):
    hooks = yaml.safe_load((_ROOT / ".pre-commit-hooks.yaml").read_text())
    environment = {"PATH": f"{runner.path}:{os.environ['PATH']}"}
    (project / "sub").mkdir()
    (project / "sub/policy.yaml").write_text("domain: [a.test]\n")
    (project / "policy-tests.yaml").write_text('policies: [policy.yaml]\ntests: [{url: "https://allowed.test/", expect: allow}]\n')
    files = {"gateway-check": ("policy.yaml", "sub/policy.yaml"), "gateway-test": ("policy-tests.yaml", None)}
    assert {hook["id"] for hook in hooks} == set(files)
    for hook in hooks:
        good, bad = files[hook["id"]]
        assert re.search(hook["files"], good) and not re.search(hook["files"], "policy.yaml.txt")
        assert not re.search(hook["files"], good.replace("policy", "mypolicy"))
        entry = [str(_ROOT / hook["entry"])] if hook["language"] == "script" else hook["entry"].split()

        def run(*names, entry=entry):
            return subprocess.run([*entry, *names], cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=30)

        assert run(good).returncode == 0, run(good).stderr
        if bad:
            assert re.search(hook["files"], bad)
            done = run(bad, good)
            assert done.returncode == 2 and "sub/policy.yaml:1:1" in done.stderr, "also where a later file is right"
