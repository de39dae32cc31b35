"""Network namespaces that are gone when this process is, whatever ends it.

Sockets belong to the namespace of the thread that made them, so servers and clients of all sides can live in one
process: `with namespace.entered(): socket.socket(...)`.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import ctypes
import os
import re
import shutil
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_RUN = Path("/run/netns")
_NAME = re.compile(r"sr(\d+)n\d+-\w+")
_count = 0


def _check(result, what):
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{what}: {os.strerror(errno)}")


def available():
    """Why namespaces cannot be made here, or an empty string."""
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    for tool in ("ip", "nft", "setpriv"):
        if not shutil.which(tool):
            return f"needs {tool}"
    return ""


def unique_prefix():
    """Names of one lab: the process id makes runs independent, the count labs of one run."""
    global _count
    _count += 1
    return f"sr{os.getpid()}n{_count}"


class Namespace:
    """One named network namespace, deleted by delete() or by the Reaper."""

    def __init__(self, name):
        self.name = name
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.ip("link", "set", "lo", "up")

    def delete(self):
        """With every process in it: whoever is in here was started by this run."""
        pids = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False).stdout.split()
        for pid in pids:
            if int(pid) != os.getpid():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", self.name], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(f"/etc/netns/{self.name}", ignore_errors=True)

    @contextmanager
    def entered(self):
        """The calling thread, and threads and processes that it starts meanwhile, are in this namespace."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(_RUN / self.name, "rb") as there:
            _check(_libc.setns(there.fileno(), _CLONE_NEWNET), f"setns {self.name}")
            try:
                yield self
            finally:
                _check(_libc.setns(home.fileno(), _CLONE_NEWNET), "setns home")

    def ip(self, *args):
        return subprocess.run(["ip", "-n", self.name, *args], check=True, capture_output=True, text=True).stdout

    def command(self, *args):
        """The command line that runs `args` in here, with this namespace's /etc files."""
        return ["ip", "netns", "exec", self.name, *args]

    def run(self, *args, check=True, **options):
        return subprocess.run(self.command(*args), check=check, capture_output=True, text=True, **options)

    def nft(self, text):
        subprocess.run(self.command("nft", "-f", "-"), input=text, text=True, check=True)

    def sysctl(self, key, value=None):
        path = f"/proc/sys/{key.replace('.', '/')}"
        with self.entered():
            if value is None:
                return Path(path).read_text().strip()
            Path(path).write_text(str(value))
            return str(value)

    def etc(self, name, text):
        """What programs run with command() see as /etc/<name>."""
        folder = Path("/etc/netns") / self.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def remove_left_over():
    """Namespaces of runs that were killed together with their reaper."""
    for folder in (_RUN, Path("/etc/netns")):
        for path in folder.glob("sr*n*-*") if folder.is_dir() else ():
            match = _NAME.fullmatch(path.name)
            if match and not Path(f"/proc/{match.group(1)}").exists():
                subprocess.run(["ip", "netns", "del", path.name], check=False, stderr=subprocess.DEVNULL)
                shutil.rmtree(f"/etc/netns/{path.name}", ignore_errors=True)


class Reaper:
    """A process of its own that removes the namespaces of `prefix` when this process dies of whatever cause."""

    _SCRIPT = r"""
      trap '' INT TERM HUP
      read -r _
      for path in /run/netns/"$1"-*; do
        [ -e "$path" ] || continue
        name=${path##*/}
        for pid in $(ip netns pids "$name" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
        ip netns del "$name" 2>/dev/null
        rm -rf "/etc/netns/$name"
      done"""

    def __init__(self, prefix):
        self._process = subprocess.Popen(
            ["sh", "-c", self._SCRIPT, "reaper", prefix], stdin=subprocess.PIPE, start_new_session=True
        )

    def close(self):
        """Removes what is left of the prefix now."""
        self._process.stdin.close()
        self._process.wait(timeout=30)


@contextmanager
def alone():
    """One namespace without a laboratory around it, deleted at the end."""
    prefix = unique_prefix()
    reaper = Reaper(prefix)
    place = Namespace(f"{prefix}-place")
    try:
        yield place
    finally:
        place.delete()
        reaper.close()
