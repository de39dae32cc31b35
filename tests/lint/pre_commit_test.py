# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/pre-commit refuses what it must, and a good commit passes: in a repository of its own, with git's own hooks."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("tools/pre-commit", ".clang-format", "tests/lint/house_rules.py", "tests/lint/source_tree.py")
GOOD = "// SPDX-License-Identifier: GPL-3.0-or-later\nint main() {\n  return 0;\n}\n"


class TestPreCommit(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in NEEDED:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.folder / name)
        self.git("init", "-q")
        (self.folder / "base").mkdir()
        self.write(GOOD)
        self.assertEqual(self.run_in("tools/pre-commit", "--install").returncode, 0)

    def run_in(self, *command):
        outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        who = {f"GIT_{role}_{key}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, env={**outside, **who})

    def git(self, *arguments):
        return self.run_in("git", *arguments)

    def write(self, text):
        (self.folder / "base/main.cpp").write_text(text)
        self.git("add", ".")

    def commit(self, message="base: say nothing"):
        return self.git("commit", "-q", "-m", message)

    def refused(self, expected, **options):
        done = self.commit(**options)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(expected, done.stderr)
        self.assertNotEqual(self.git("log").returncode, 0, "nothing was committed")

    def test_a_good_commit_passes(self):
        done = self.commit("base: say nothing\n\nThere is nothing to say yet.")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_is_staged_must_be_formatted_whatever_the_folder_has(self):
        self.write(GOOD.replace("  return", "return"))
        (self.folder / "base/main.cpp").write_text(GOOD)
        self.refused("base/main.cpp")

    def test_a_lint_that_fails_stops_the_commit(self):
        self.write(GOOD.replace("SPDX", "spdx"))
        self.refused("house_rules.py")

    def test_white_space_at_the_end_of_a_line_stops_the_commit(self):
        (self.folder / "notes.md").write_text("a \n")
        self.git("add", ".")
        self.refused("trailing whitespace")

    def test_the_subject_has_a_form(self):
        for message, expected in (("Say nothing", "area: imperative"), ("base: " + "x" * 55, "61 characters"),
                                  ("base: Say nothing", "area: imperative"), ("base: say\nmore", "must be empty")):
            with self.subTest(message=message):
                self.refused(expected, message=message)

    def test_what_git_writes_itself_passes(self):
        for message in ("Merge branch 'a'", "fixup! base: say nothing", "Revert \"base: say nothing\"\n\nIt said too much."):
            (self.folder / "message").write_text(message)
            self.assertEqual(self.run_in("tools/pre-commit", "--message", "message").returncode, 0, message)

    def test_a_hook_of_another_is_kept(self):
        hook = self.folder / ".git/hooks/commit-msg"
        hook.write_text("#!/bin/sh\n")
        self.assertEqual(self.run_in("tools/pre-commit", "--install").returncode, 1)
        self.assertEqual(hook.read_text(), "#!/bin/sh\n")

    def test_arguments_it_does_not_know_are_refused(self):
        for arguments in (["--what"], ["--message"], ["--message", "none"]):
            self.assertEqual(self.run_in("tools/pre-commit", *arguments).returncode, 2, arguments)


if __name__ == "__main__":
    unittest.main()
