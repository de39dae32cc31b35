"""`gateway suggest` writes lines into the policy file: --apply, --interactive, and what both leave out."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import pty
import subprocess

import pytest

POLICY = "# of the team\ndomains:   # packages first\n  - registry.example.org\t# packages\n  # - off.example.org\n\nmode: enforce\n"
ADDED = POLICY.replace("  # - off.example.org\n", "  # - off.example.org\n  - api.example.org\n  - registry.npmjs.org\n")


def denial(host, **more):
    record = {"type": "decision", "phase": "tls", "action": "blocked", "reason": "host_not_allowed", "client": "10.77.0.2", "host": host,
              "scheme": "https", "port": 443}  # fmt: skip
    return json.dumps(record | more) + "\n"


LOG = (denial("api.example.org") * 2 + denial("registry.npmjs.org") + denial("4a6f686e20446f65.evil.example") + denial("dns.google")
       + denial("", phase="packet", reason="endpoint_not_allowed", destination="45.33.32.7:22", detail="tcp", port=22))  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "log.json").write_text(LOG)
    return tmp_path


@pytest.fixture
def suggest(gateway_binary, folder):
    def run(*arguments):
        return subprocess.run([gateway_binary, "suggest", *arguments, "log.json"], cwd=folder, capture_output=True, text=True, timeout=60,
                              check=False)  # fmt: skip

    return run


def test_apply_adds_lines_and_keeps_the_rest(suggest, folder):
    done = suggest("--apply")
    assert done.returncode == 0 and (folder / "policy.yaml").read_text() == ADDED, done
    assert "policy.yaml:\n   5 +   - api.example.org\n   6 +   - registry.npmjs.org\n" in done.stdout
    assert "policy.yaml is changed" in done.stderr
    assert suggest("--apply").returncode == 0 and (folder / "policy.yaml").read_text() == ADDED, "once"
    assert sorted(path.name for path in folder.iterdir()) == ["log.json", "policy.yaml"], "nothing is left beside it"


def test_apply_changes_the_last_policy(suggest, folder):
    (folder / "mine.yaml").write_bytes(b"domains: [a.example.org]\r\n")
    assert suggest("--policy", "policy.yaml", "--policy", "mine.yaml", "--apply").returncode == 0
    assert (folder / "policy.yaml").read_text() == POLICY
    assert (folder / "mine.yaml").read_bytes() == b"domains: [a.example.org, api.example.org, registry.npmjs.org]\r\n"


def test_apply_makes_a_policy_where_there_is_none(suggest, folder):
    (folder / "policy.yaml").unlink()
    assert suggest("--apply").returncode == 0
    assert (folder / "policy.yaml").read_text() == "domains:\n  - api.example.org\n  - registry.npmjs.org\n"


@pytest.mark.parametrize(("text", "said"), [("domains: [a.example.org\n", "missing ']'"), ("- a\n", "must be"), (None, "is a directory")])
def test_apply_leaves_alone_what_is_no_policy(suggest, folder, text, said):
    path = folder / "policy.yaml"
    path.unlink()
    path.mkdir() if text is None else path.write_text(text)
    done = suggest("--apply")
    assert done.returncode == 2 and said in done.stderr, done
    assert text is None or path.read_text() == text


@pytest.mark.threat("T265")
def test_what_may_carry_data_out_is_left_out(suggest, folder):
    done = suggest()
    for mark in ("4a6f686e20446f65.evil.example  # 1 time, https, the name looks like data", "dns.google  # 1 time",
                 "{cidr: 45.33.32.7/32, port: 22}  # 1 time, https, an address without a name"):  # fmt: skip
        assert f"#   - {mark}" in done.stdout, done.stdout
    assert "\n  - api.example.org" in done.stdout, "the control"
    assert "evil" not in "".join(line for line in done.stdout.splitlines() if not line.startswith("#"))
    assert "\n  - 4a6f686e20446f65.evil.example" in suggest("--all").stdout, "--all"
    assert json.loads(suggest("--json").stdout)["left_out"][0]["list"] == "domains"
    assert suggest("--apply").returncode == 0
    assert "evil" not in (folder / "policy.yaml").read_text()


@pytest.mark.threat("T265")
def test_an_agents_requests_write_no_other_lines(suggest, folder):
    forged = ("a.example\n  - evil.example", "a.example, evil.example", "a.example] #", "*.evil.example", "a.example: {x", "a.example #\tb")
    (folder / "log.json").write_text("".join(denial(host) for host in forged) + denial("good.example.org"))
    assert suggest("--apply").returncode == 0
    assert (folder / "policy.yaml").read_text() == POLICY.replace("off.example.org\n", "off.example.org\n  - good.example.org\n")


def ask(binary, folder, answers, *arguments):
    """What the terminal shows when a person gives these answers, one for each question, and the exit status."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execv(binary, [str(binary), "suggest", *arguments, "log.json"])
    shown = b""
    for answer in (*answers, None):
        try:
            while True:
                shown += os.read(terminal, 4096)
                if answer is not None and shown.endswith(b"without a change: "):
                    os.write(terminal, answer.encode() + b"\n")
                    break
        except OSError:
            break  # the end
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_interactive_asks_about_each_line(gateway_binary, folder):
    shown, status = ask(gateway_binary, folder, ["y", "s", "n", "", "no"], "--interactive")
    assert status == 0 and "1 of 5: domains: api.example.org  (2 times, https)" in shown, shown
    assert "[s] the whole service npm" in shown and "careful: 1 time, https, the name looks like data" in shown
    assert (folder / "policy.yaml").read_text() == POLICY.replace("off.example.org\n", "off.example.org\n  - api.example.org\n") + \
        "\nservices:\n  - npm\n"  # fmt: skip


@pytest.mark.parametrize("answers", [["y", "q"], ["n"] * 5, ["\x04"]], ids=["quit", "no", "end of input"])
def test_interactive_changes_nothing_without_a_yes(gateway_binary, folder, answers):
    shown, status = ask(gateway_binary, folder, answers, "-i")
    assert status == 0 and "nothing is changed" in shown
    assert (folder / "policy.yaml").read_text() == POLICY


def test_all_ordinary_lines_at_once(gateway_binary, folder):
    shown, _ = ask(gateway_binary, folder, ["a", "n", "n", "n"], "-i")
    assert shown.count("Add it?") == 4 and (folder / "policy.yaml").read_text() == ADDED


def test_interactive_needs_a_terminal(gateway_binary, folder):
    done = subprocess.run(["setsid", gateway_binary, "suggest", "-i", "log.json"], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 2 and "needs a terminal" in done.stderr
