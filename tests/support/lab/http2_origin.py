"""An origin that speaks HTTP/2 and nothing else on 443 of SPARE; http2_origin.js says what it answers."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from lab import addresses as at
from lab import wait

HOST = "spare.wild.test"


class Http2Origin:
    """What it was asked, line by line, is in `seen`. `websockets`: it takes those of RFC 8441."""

    def __init__(self, lab, websockets=True):
        certificate, key = lab.ca.issue(HOST)
        self.seen = []
        self._told = 0
        self._process = subprocess.Popen(
            lab.up.command("node", str(Path(__file__).with_suffix(".js")), at.SPARE, str(key), str(certificate),
                           *([] if websockets else ["no-websockets"])),
            stdout=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
        assert self._process.stdout.readline() == "ready\n"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self.seen.append(json.loads(line))

    def asked(self, path):
        """Requests for this path, of all that it has had until now."""
        self._told += 1
        self._process.send_signal(signal.SIGUSR2)
        wait.until(lambda: {"told": self._told} in self.seen, "the origin to tell what it was asked")
        return [one for one in self.seen if one.get("asked") == path]

    def close(self):
        self._process.kill()
        self._process.wait()


def serving(lab, *programs):
    """The generator of a module's `origin` fixture; `programs`: what its tests need besides node."""
    for program in ("node", *programs):
        if not shutil.which(program):
            pytest.skip(f"needs {program}: see tools/packages.txt")
    server = Http2Origin(lab)
    yield server
    server.close()
