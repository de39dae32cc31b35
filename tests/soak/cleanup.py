"""What a run leaves behind: nothing, also when it is killed."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lab import wait

# What the laboratory makes inside its namespaces: none of it may show outside.
_LINKS = {"ag0", "up0", "out0", "br0", "p1", "p2", "p3", "p4"}
_TABLES = {"soleroute", "plain", "catchall", "hole"}
_RUN = Path("/run/netns")


def outside():
    """Links and nftables tables of the machine's own namespace that the laboratory could have made."""
    shown = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    links = {line.split(":")[1].split("@")[0].strip() for line in shown.splitlines()}
    shown = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    tables = {line.split()[-1] for line in shown.splitlines() if line}
    return (links & _LINKS) | {table for table in tables if table in _TABLES or table.startswith("soak_")}


def inodes(lab):
    return {os.stat(_RUN / namespace.name).st_ino for namespace in lab.namespaces}


def processes_in(namespaces):
    """Processes whose network namespace is one of these inodes."""
    found = []
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            if int(os.readlink(link)[5:-1]) in namespaces:
                found.append(link.parts[2])
        except (OSError, ValueError):
            continue
    return found


def left_of(prefix):
    """Names below /run/netns and /etc/netns that begin with a prefix."""
    return [str(path) for folder in (_RUN, Path("/etc/netns")) if folder.is_dir() for path in folder.glob(f"{prefix}*")]


def check(row, prefix, namespaces, before):
    """After close(): fails the row with everything that is still there."""
    left = left_of(prefix) + [f"process {pid}" for pid in processes_in(namespaces)]
    left += sorted(outside() - before)
    assert not left, f"left behind: {left}"
    row.note("no namespace, process, link or table is left")


def killed(row):
    """A run of its own is killed with SIGKILL in the middle: its namespaces and processes go all the same."""
    with tempfile.TemporaryDirectory(prefix="soleroute-soak-") as folder:
        command = [sys.executable, "-B", str(Path(__file__).with_name("run")), "--scenario", "pause", "--report", f"{folder}/report"]
        child = subprocess.Popen(command, env={**os.environ, "TMPDIR": folder}, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            prefix = f"sr{child.pid}n"
            wait.until(lambda: len(list(_RUN.glob(f"{prefix}*-up"))) == 1 and processes_in(_inodes_of(prefix)),
                       "the other run to have namespaces and processes", 30)  # fmt: skip
            namespaces = _inodes_of(prefix)
        finally:
            child.kill()
            child.wait()
        wait.until(lambda: not left_of(prefix) and not processes_in(namespaces), "the killed run's namespaces to go", 20)
    row.note("the same after SIGKILL of a run")


def _inodes_of(prefix):
    return {path.stat().st_ino for path in _RUN.glob(f"{prefix}*")}
