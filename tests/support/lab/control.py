"""The control socket of a running gateway: one question, or the stream of what it decides."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import queue
import socket
import threading

from lab import wait


def ask(path, **question):
    """What the gateway answers, as an object."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(20)
        link.connect(str(path))
        link.sendall(json.dumps(question).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            more = link.recv(65536)
            if not more:
                break
            answer += more
    return json.loads(answer)


class Watch:
    """{"ask":"watch"}: its objects, in order. A context manager."""

    def __init__(self, path):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.connect(str(path))
        self.link.sendall(b'{"ask":"watch"}\n')
        self.seen = []
        self._new = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self.link.makefile("rb"):
                self._new.put(json.loads(line))
        except (OSError, ValueError):
            pass

    def next(self, kind, **fields):
        """The next object of this kind ("decision", "held", "settled", "lost") whose fields have these values."""
        while True:
            one = self._new.get(timeout=wait.DEADLINE)
            self.seen.append(one)
            body = one.get(kind)
            if body is None:
                continue
            facts = {**body.get("decision", {}), **body} if isinstance(body, dict) else {}
            if all(facts.get(key) == value for key, value in fields.items()):
                return body

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.link.close()
