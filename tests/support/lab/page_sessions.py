"""The terminal sessions of the documentation, so that a test runs them and compares what the program prints.

A session is a ```console block of a page: lines `$ command`, each followed by what it prints. A command that ends with `&` stays
beside the next ones. A YAML block that begins with a comment of a file's name is that file, from there on. In what is printed,
`…` means any text, also none, and a line of `…` alone any lines, also none.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from . import addresses, origin
from .wait import until

_ROOT = Path(__file__).resolve().parents[3]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MACHINE = re.compile(r"^gateway: hidden Unix sockets: .*\n", re.MULTILINE)  # which sockets there are depends on the machine
_USER = 65534
BODY = "hello"


def commands_of(block):
    """[(command, shown output)…] of a console block."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def files_before(text):
    """{name: content} of the YAML blocks that begin with a comment of their file's name."""
    named = ((re.match(r"# ([\w.-]+\.ya?ml)\n", body), body) for kind, body in _BLOCK.findall(text) if kind == "yaml")
    return {match.group(1): body for match, body in named if match}


def examples(page):
    """(command, shown output, {name: content} of the files shown before it) of a page, in its order."""
    text = (_ROOT / page).read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        if block.group(1) == "console":
            for command, shown in commands_of(block.group(2)):
                yield command, shown, files_before(text[: block.start()])


def agrees(shown, printed):
    """Whether `printed` is what is shown."""
    parts = re.split(r"(^…(?:\n|\Z)|…)", shown.rstrip("\n"), flags=re.MULTILINE)
    pattern = "".join(".*" if part.startswith("…") else re.escape(part) for part in parts)
    return re.fullmatch(pattern, printed.rstrip("\n"), re.DOTALL) is not None


class Terminal:
    """A shell of an ordinary user in the laboratory, where `names` lead to a web server that says BODY; close() ends what it began."""

    def __init__(self, lab, program, folder, names):
        for name in names:
            lab.dns.set(name, a=[addresses.AL])
        lab.al.script("/", lambda connection, _: bool(connection.send(origin.response(f"{BODY}\n".encode()))) or True)
        self._lab, self._begun, self._written = lab, [], {}
        self.place = folder / "session"
        self.place.mkdir()
        self.place.chmod(0o777)
        self._runtime = folder / "runtime"
        self._runtime.mkdir(mode=0o700)
        os.chown(self._runtime, _USER, _USER)
        shutil.copy(program, folder / "gateway")
        for path in (folder, folder / "gateway"):
            path.chmod(0o755)
        self._environment = {"PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8",
                             "XDG_RUNTIME_DIR": str(self._runtime)}

    def run(self, command):
        """Everything that one command line prints until its shell ends; what it leaves in the background goes on."""
        user = ("setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups")
        with tempfile.TemporaryFile() as printed:
            shell = subprocess.Popen(self._lab.gw.command(*user, "sh", "-c", command), cwd=self.place, env=self._environment,
                                     stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True)
            self._begun.append(shell.pid)
            shell.wait(60)
            printed.seek(0)
            return _MACHINE.sub("", printed.read().decode())

    def begin(self, command):
        """Starts a command line that ends with `&`; returns once the gateway in it has its control socket."""
        before = self._sockets()
        self.run(command)
        until(lambda: self._sockets() - before, what=f"{command} has a control socket")

    def _sockets(self):
        return {path for path in self._runtime.rglob("*") if path.is_socket()}

    def write(self, files):
        """Puts down {name: content}, each once: what the commands make of a file stays."""
        for name, content in files.items():
            if self._written.get(name) != content:
                self._written[name] = content
                (self.place / name).write_text(content)
                (self.place / name).chmod(0o666)

    def close(self):
        """Ends the sessions of the commands that are still there."""
        for session in self._begun:
            try:
                os.killpg(session, signal.SIGTERM)
            except ProcessLookupError:
                continue
            until(lambda session=session: not _is_there(session), f"the session {session} ends", 10)


def _is_there(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def differences(terminal, commands):
    """What differs between the page and the program, as text; empty if nothing does. `commands` are examples()."""
    wrong = []
    for command, shown, files in commands:
        terminal.write(files)
        if command.endswith(" &"):
            terminal.begin(command)
            continue
        printed, _, status = terminal.run(f'{command}\necho "status $?" >&2').rpartition("status ")
        if not (agrees(shown, printed) if shown else status.strip() == "0"):
            wrong.append(f"$ {command}\n--- the page shows\n{shown}--- the program prints\n{printed}")
    return "\n".join(wrong)
