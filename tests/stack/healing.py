"""Crashes of a stack's parts, and whether it works again."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import json
import os
import signal

import probes
from lab import addresses as at

_TRY = f"""
import json, subprocess, sys
def curl(url):
    return subprocess.run(["curl", "-sS", "-m", "3", "-w", " %{{http_code}}", url], capture_output=True, text=True).stdout
allowed, denied = curl("http://allowed.test/"), curl("http://denied.test/")
direct = subprocess.run([sys.executable, "-c", {probes.TCP!r}, sys.argv[1]], capture_output=True, text=True).stdout
print(json.dumps([allowed, denied.partition(" ")[0], denied[-3:], json.loads(direct)]))
"""


def works(project, port=22):
    """Proved since its last start, an allowed host passes, a denied one and what goes around the gateway do not.

    `port`: of the machine, as the agent reaches it on the bridge's address.
    """
    targets = json.dumps([[at.EV, 22, "leak"], [project.bridge, port, "leak"]])
    command = ["sh", "-c", 'proved && exec python3 -c "$0" "$1"', _TRY, targets]
    done = project.engine.docker("exec", project.container("agent"), *command, check=False, timeout=60)
    return done.returncode == 0 and json.loads(done.stdout) == ["AL\n 200", "Blocked", "403", ["refused", "refused"]]


def crash(project, *services):
    """The engine is not told."""
    for service in services:
        process = project.engine.inspect(project.container(service))["State"]["Pid"]
        with contextlib.suppress(ProcessLookupError):
            if process > 0:
                os.kill(process, signal.SIGKILL)


def started(project, service):
    return project.engine.inspect(project.container(service))["State"]["StartedAt"]
