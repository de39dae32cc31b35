"""A process in an agent's namespace with an agent's privileges, that does network actions when told to.

The three kinds of docs/threats.md: "U" an ordinary user, "R0" root without any capability, "RD" root with Docker's default set,
which has CAP_NET_RAW but not CAP_NET_ADMIN.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import pickle
import struct
import subprocess
import sys
from pathlib import Path

_DOCKER = (
    "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,"
    "audit_write,setfcap"
)
NOBODY = 65534
KINDS = ("U", "R0", "RD")
_ACTIONS = Path(__file__).with_name("agent_actions.py")


def privileges(kind):
    """The setpriv command in front of a program of this kind of agent."""
    if kind == "RD":
        bounds = "-all," + ",".join(f"+{name}" for name in _DOCKER.split(","))
        return ["setpriv", "--inh-caps=-all", f"--bounding-set={bounds}"]
    command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    if kind == "U":
        command += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return command


class Agent:
    """call("action", …) runs agent_actions.action(…) over there and returns its value, or raises its error."""

    def __init__(self, namespace, kind):
        self.kind = kind
        self._process = subprocess.Popen(
            namespace.command(*privileges(kind), "/usr/bin/python3", "-B", str(_ACTIONS)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
        )

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def start(self, action, *args, **named):
        """Begins an action; result() waits for it."""
        message = pickle.dumps((action, args, named))
        self._process.stdin.write(struct.pack("!I", len(message)) + message)
        self._process.stdin.flush()

    def result(self):
        head = self._process.stdout.read(4)
        if len(head) < 4:
            raise RuntimeError(f"agent {self.kind} ended with {self._process.wait()}")
        good, value = pickle.loads(self._process.stdout.read(struct.unpack("!I", head)[0]))
        if not good:
            raise RuntimeError(f"agent {self.kind}: {value}")
        return value

    def call(self, action, *args, **named):
        self.start(action, *args, **named)
        return self.result()
