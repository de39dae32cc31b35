"""`gateway completion SHELL`, in the real shells: what they offer where, and that no option of --help is missing."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

SHELLS = ("bash", "zsh", "fish")


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=60, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


class Completion:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        for shell in SHELLS:
            (folder / f"completion.{shell}").write_text(run(program, "completion", shell))
        (folder / "policy.yaml").write_text("domains: [api.allowed.test, '*.wild.test']\nendpoints: [{host: db.test, port: 5432}]\n")
        (folder / "projects").mkdir()
        (folder / "bin").mkdir()
        (folder / "bin/gateway").symlink_to(program)
        self.environment = {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}

    def bash(self, line):
        """What bash's completion function answers for the words of `line`, the last of which is being typed."""
        words = line.split(" ")
        script = f"""source completion.bash
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${{#COMP_LINE}}
            compopt() {{ printf '<%s>\\n' "$2"; }}
            _gateway gateway "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
            printf '%s\\n' "${{COMPREPLY[@]}}" """
        return set(run("bash", "-euc", script, "bash", *words, cwd=self.folder, env=self.environment).split("\n")) - {""}

    def fish(self, line):
        told = run("fish", "-c", f"source completion.fish; complete -C '{line}'", cwd=self.folder, env=self.environment)
        return {entry.split("\t")[0] for entry in told.splitlines()}

    def zsh(self, line, wanted):
        """Waits until a terminal that typed `line` and Tab shows `wanted`; returns all that it showed, for the message."""
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.folder)
            os.execve(shutil.which("zsh"), ["zsh", "-f", "-i"], {**self.environment, "TERM": "xterm", "COLUMNS": "200", "LINES": "50"})
        try:
            os.write(terminal, b"PS1='READY''> '; autoload -Uz compinit; compinit -u -D; source ./completion.zsh; LISTMAX=1000\n")
            shown = self._read(terminal, "READY> ")
            os.write(terminal, line.encode() + b"\t")
            return shown[:0] + self._read(terminal, wanted)
        finally:
            os.close(terminal)
            os.kill(child, 9)
            os.waitpid(child, 0)

    @staticmethod
    def _read(terminal, wanted, seconds=15):
        shown, end = "", time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                shown += os.read(terminal, 65536).decode(errors="replace")
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]", "", shown)
            if wanted in plain:
                return plain
        raise AssertionError(f"no {wanted!r} in {plain!r}")


@pytest.fixture(scope="module")
def completion(gateway_binary, tmp_path_factory):
    for shell in SHELLS:
        if not shutil.which(shell):
            pytest.skip(f"{shell} is not installed: apt-get install {shell}")
    return Completion(gateway_binary, tmp_path_factory.mktemp("completion"))


@pytest.fixture(scope="module")
def commands(completion):
    text = run(completion.program, "--help").split("\nOptions:")[0]
    found = re.findall(r"^  ([a-z][a-z-]*)\b", text, re.MULTILINE)
    assert {"run", "check", "completion"} <= set(found)
    return found


def test_every_shell_accepts_its_script(completion):
    for shell in SHELLS:
        run(shell, "-n", completion.folder / f"completion.{shell}")
    (completion.folder / "broken").write_text("if case {")
    assert subprocess.run(["bash", "-n", completion.folder / "broken"], capture_output=True, check=False).returncode != 0


def test_an_unknown_shell_is_refused_by_name(completion):
    done = subprocess.run([completion.program, "completion", "tcsh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "tcsh" in done.stderr and "bash" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_every_option_of_every_help_page_is_in_the_script(completion, commands, shell):
    script = (completion.folder / f"completion.{shell}").read_text()
    for command in ("", *commands):
        page = run(completion.program, *command.split(), "--help")
        for option in set(re.findall(r"^ +(?:-\w, )?--([a-z][a-z0-9-]+)", page, re.MULTILINE)):
            if shell == "bash":
                assert option in {name.removeprefix("--") for name in completion.bash(f"gateway {command} --".replace("  ", " "))}
            else:
                assert re.search(rf"-l {option}\b" if shell == "fish" else rf"--{option}[=\[]", script), (command, option)


def test_bash_offers_commands_options_choices_and_files(completion, commands):
    assert completion.bash("gateway ") == set(commands)
    assert completion.bash("gateway che") == {"check"}
    assert completion.bash("gateway --topology ") == {"router", "sidecar", "proxy"}
    assert completion.bash("gateway --topology = si") == {"sidecar"}
    assert completion.bash("gateway check --qu") == {"--quiet"}
    assert completion.bash("gateway check --policy ") == {"<default>"}
    assert completion.bash("gateway run --ca-dir ") == {"<filenames>", "projects", "bin"}
    assert completion.bash("gateway services git") == {"github", "gitlab"} & completion.bash("gateway services ")
    assert completion.bash("gateway completion z") == {"zsh"}
    assert "cat" in completion.bash("gateway run -- ca")
    assert completion.bash("gateway verify --denied ") == set()
    assert completion.bash("gateway help che") == {"check"}
    assert completion.bash("gateway explain ") == {"api.allowed.test", "wild.test"}
    assert completion.bash("gateway verify --allowed api") == {"api.allowed.test"}
    assert completion.bash("gateway serve --topology ") == {"router", "sidecar", "proxy"}
    assert completion.bash("gateway test --format ju") == {"junit"}
    assert completion.bash("gateway doctor --format ") == {"text", "json"}
    assert completion.bash("gateway agents cla") == {"claude"}
    assert "cat" in completion.bash("gateway run ca") and "cat" in completion.bash("gateway run --policy policy.yaml ca")
    assert completion.bash("gateway run --policy policy.yaml cat --") == {"<default>"}, "options of another program"
    assert "--policy" in completion.bash("gateway run --pol")


def test_fish_offers_commands_options_choices_and_files(completion, commands):
    assert completion.fish("gateway ") == set(commands)
    assert completion.fish("gateway che") == {"check"}
    assert completion.fish("gateway --topology ") == {"router", "sidecar", "proxy"}
    assert "--quiet" in completion.fish("gateway check --qu")
    assert "policy.yaml" in completion.fish("gateway check --policy ")
    assert completion.fish("gateway run --ca-dir pro") == {"projects/"}
    assert "github" in completion.fish("gateway services git")
    assert "cat" in completion.fish("gateway run --policy policy.yaml -- ca")
    assert completion.fish("gateway verify --denied ") == set()
    assert completion.fish("gateway help che") == {"check"}
    assert completion.fish("gateway explain ") == {"api.allowed.test", "wild.test"}
    assert completion.fish("gateway verify --allowed api") == {"api.allowed.test"}
    assert completion.fish("gateway test --format ju") == {"junit"}
    assert "cat" in completion.fish("gateway run ca") and "cat" in completion.fish("gateway run --policy policy.yaml ca")
    assert "--policy" not in completion.fish("gateway run --policy policy.yaml gateway --ver")
    assert "--policy" in completion.fish("gateway run --pol")


@pytest.mark.parametrize("line, wanted", [
    ("gateway che", "gateway check "), ("gateway --topology ", "sidecar"), ("gateway check --qu", "gateway check --quiet "),
    ("gateway check --policy pol", "gateway check --policy policy.yaml "), ("gateway run --ca-dir pro", "gateway run --ca-dir projects/"),
    ("gateway services githu", "gateway services github "), ("gateway completion f", "gateway completion fish "),
    ("gateway run -- gatew", "gateway run -- gateway "), ("gateway ru", "gateway run "),
    ("gateway help che", "gateway help check "), ("gateway explain api", "gateway explain api.allowed.test "),
    ("gateway verify --allowed wi", "gateway verify --allowed wild.test "), ("gateway test --format ju", "gateway test --format junit "),
    ("gateway run gatew", "gateway run gateway "), ("gateway run --policy policy.yaml gateway ch", "policy.yaml gateway check "),
])  # fmt: skip
def test_zsh_completes(completion, line, wanted):
    completion.zsh(line, wanted)


def test_hosts_of_a_policy_that_is_wrong_or_missing_are_none(completion, tmp_path):
    for text in (None, "domains: [", "domains: ['$(touch evil)']\n"):
        if text is not None:
            (tmp_path / "policy.yaml").write_text(text)
        assert run(completion.program, "completion", "hosts", cwd=tmp_path) == ""
    (tmp_path / "policy.yaml").write_text("domains: [a.test]\n")
    assert run(completion.program, "completion", "hosts", cwd=tmp_path) == "a.test\n"
    assert not (tmp_path / "evil").exists()
