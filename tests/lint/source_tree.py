# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's own files, as git knows them; beside a tarball without git, everything but build output."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def files(*suffixes):
    """Paths relative to the root, sorted, with one of the suffixes (all if none is given)."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"],
        capture_output=True, check=False, text=True)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    else:
        names = [os.path.relpath(os.path.join(folder, name), ROOT)
                 for folder, _, found in os.walk(ROOT) for name in found]
        names = [name for name in names if not name.startswith(("build" + os.sep, ".git" + os.sep))]
    return sorted(name for name in names if not suffixes or name.endswith(suffixes))
