# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails on a C++ file that clang-format 19 would change; `--fix` changes it."""

import subprocess
import sys

from source_tree import ROOT, files

FORMATTER = "clang-format-19"


def main():
    sources = files(".h", ".cpp")
    mode = ["-i"] if "--fix" in sys.argv else ["--dry-run", "--Werror"]
    done = subprocess.run([FORMATTER, *mode, *sources], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        changed = sorted({line.split(":", 1)[0] for line in done.stderr.splitlines() if "clang-format-violations" in line})
        print("\n".join(changed) or done.stderr)
        print("run: /usr/bin/python3 tests/lint/format.py --fix")
        return 1
    print(f"{len(sources)} files are formatted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
