# SPDX-License-Identifier: GPL-3.0-or-later
"""cmake/version.cmake says the commit of the sources' own repository, and of no other; without one the version alone."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "cmake/version.cmake"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
WHO = {f"GIT_{role}_{key}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}


class TestVersion(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source = Path(folder.name) / "source"
        self.source.mkdir()
        self.output = Path(folder.name) / "version.cpp"
        (self.source / "file").write_text("one\n")

    def git(self, *arguments):
        command = ["git", "-C", str(self.source), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env={**CLEAN, **WHO}).stdout.strip()

    def commit(self):
        self.git("init", "-q")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "one")
        return self.git("rev-parse", "--short", "HEAD")

    def said(self, **environment):
        subprocess.run([shutil.which("cmake"), f"-DSOURCE={self.source}", "-DVERSION=1.2.3", f"-DOUTPUT={self.output}", "-P", SCRIPT],
                       check=True, capture_output=True, env={**CLEAN, **environment})
        return re.search(r'return "(.*)";', self.output.read_text())[1]

    def test_names_the_commit_and_what_is_not_committed(self):
        commit = self.commit()
        self.assertEqual(self.said(), f"1.2.3 ({commit})")
        (self.source / "file").write_text("two\n")
        self.assertEqual(self.said(), f"1.2.3 ({commit}-dirty)")

    def test_names_the_distance_from_a_version_and_nothing_at_it(self):
        self.commit()
        self.git("tag", "v1.2.3")
        self.assertEqual(self.said(), "1.2.3")
        self.git("commit", "-q", "--allow-empty", "-m", "two")
        self.assertEqual(self.said(), f"1.2.3 (v1.2.3-1-g{self.git('rev-parse', '--short', 'HEAD')})")

    def test_another_tag_is_no_version(self):
        commit = self.commit()
        self.git("tag", "nightly")
        self.assertEqual(self.said(), f"1.2.3 ({commit})")

    def test_without_a_repository_it_is_the_version(self):
        self.assertEqual(self.said(), "1.2.3")

    def test_the_repository_around_an_unpacked_tarball_is_not_its_own(self):
        self.commit()
        self.source /= "unpacked"
        self.source.mkdir()
        self.assertEqual(self.said(), "1.2.3")

    def test_without_git_it_is_the_version(self):
        self.commit()
        (self.output.parent / "git").write_text("#!/bin/sh\nexit 1\n")  # as where git refuses the repository
        (self.output.parent / "git").chmod(0o755)
        self.assertEqual(self.said(PATH=str(self.output.parent)), "1.2.3")

    def test_what_has_not_changed_is_not_written(self):
        self.commit()
        self.said()
        os.utime(self.output, (1, 1))
        self.said()
        self.assertEqual(self.output.stat().st_mtime, 1)
        self.git("commit", "-q", "--allow-empty", "-m", "two")
        self.said()
        self.assertNotEqual(self.output.stat().st_mtime, 1)


if __name__ == "__main__":
    unittest.main()
