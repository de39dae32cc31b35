"""A terminal without a window: a program runs in it, and a test reads its screen and presses keys."""
# SPDX-License-Identifier: GPL-3.0-or-later

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading

import pyte

from .wait import until

UP, DOWN, END, ESCAPE, ENTER, TAB, BACKSPACE = "\x1b[A", "\x1b[B", "\x1b[F", "\x1b", "\r", "\t", "\x7f"
# Makes standard output the session's terminal, so that /dev/tty is it.
_ON_ITS_TERMINAL = ("/usr/bin/python3", "-ISc", "import fcntl, os, sys, termios; fcntl.ioctl(1, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])")


class Screen:
    """A context manager: `command` on a terminal of this size; `stdin` is the terminal, unless another file is given."""

    def __init__(self, command, rows=24, columns=80, stdin=None, **environment):
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._ours, theirs = pty.openpty()
        self._set_size(theirs, rows, columns)
        base = {name: value for name, value in os.environ.items() if name not in ("TERM", "NO_COLOR", "LINES", "COLUMNS", "GATEWAY_CONTROL")}
        self.process = subprocess.Popen(
            [*_ON_ITS_TERMINAL, *command], env=base | {"TERM": "screen-256color"} | environment, stdin=theirs if stdin is None else stdin, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @staticmethod
    def _set_size(terminal, rows, columns):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self):
        while True:
            try:
                part = os.read(self._ours, 65536)
            except OSError:  # the program has ended
                return
            if not part:
                return
            with self._lock:
                self._stream.feed(part)

    def lines(self):
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    def text(self):
        return "\n".join(self.lines())

    def cells(self):
        """Rows of (character, foreground, bold, reverse)."""
        with self._lock:
            rows = [[self._screen.buffer[y][x] for x in range(self._screen.columns)] for y in range(self._screen.lines)]
            return [[(cell.data, cell.fg, cell.bold, cell.reverse) for cell in row] for row in rows]

    def press(self, keys):
        os.write(self._ours, keys.encode())

    def resize(self, rows, columns):
        with self._lock:
            self._screen.resize(rows, columns)
        self._set_size(self._ours, rows, columns)

    def shows(self, text, what=None):
        """Waits until the screen has this text; returns the screen."""
        try:
            until(lambda: text in self.text(), what or text)
        except Exception as error:
            raise AssertionError(f"no {text!r} on the screen:\n{self.text()}") from error
        return self.text()

    def ended(self):
        """Waits for the end of the program; its exit status."""
        return self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5)  # before the descriptor's number is used again
        os.close(self._ours)
