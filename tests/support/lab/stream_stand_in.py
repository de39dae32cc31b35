"""A control socket that says what a test wants to those that watch, and notes what else is asked."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import socket
import threading


class Stream:
    """A context manager. say(decision=…), say(held=…), … go to all who watch, also later ones; `asked`: the other questions."""

    def __init__(self, path):
        self.path = path
        self.asked = []
        self._said = []
        self._watching = []
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()

    def _serve(self):
        while True:
            try:
                link, _ = self._socket.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _answer(self, link):
        line = link.makefile("rb").readline()
        question = json.loads(line) if line else {"ask": None}
        if question["ask"] == "watch":
            with self._lock:
                for said in self._said:
                    link.sendall(said)
                self._watching.append(link)
            return
        if question["ask"] in ("allow", "answer", "forget"):
            self.asked.append(question)
        link.sendall(b'{"accepted":true,"detail":"told by the stand-in"}\n')
        link.close()

    def say(self, **line):
        with self._lock:
            self._said.append(json.dumps(line).encode() + b"\n")
            for link in self._watching:
                link.sendall(self._said[-1])

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._socket.close()
        for link in self._watching:
            link.close()
