"""The program under test: started in the gateway's namespace, its decision log read as it is written."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from lab import addresses, log_schema, wait

BINARY_VARIABLE = "GATEWAY_BIN"
HEALTHY_TIMEOUT = 20.0


def binary():
    """The program to test, or None."""
    path = os.environ.get(BINARY_VARIABLE, "")
    return str(Path(path).resolve()) if path and os.access(path, os.X_OK) else None


class LogReader:
    """Lines of JSON from a pipe. Lines that are no JSON object are kept too: a test of its own looks for them."""

    def __init__(self, stream):
        self.lines = []  # bytes, without the newline
        self.records = []
        self.broken = []
        self.unlike_schema = []  # records that the log's schema refuses, with what is wrong
        self._schema = log_schema.checker(binary())
        self._changed = threading.Condition()
        self._paused = threading.Event()
        self._paused.set()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def pause(self):
        """Stops reading, so that the pipe fills up."""
        self._paused.clear()

    def resume(self):
        self._paused.set()

    def mark(self):
        return len(self.records)

    def find(self, mark, **fields):
        """Records after `mark` whose fields have these values; a callable is asked about the value."""
        return [r for r in self.records[mark:] if _matches(r, fields)]

    def wait_for(self, mark, timeout=wait.DEADLINE, **fields):
        """The first such record, waiting for it."""
        end = time.monotonic() + timeout
        with self._changed:
            while not (found := self.find(mark, **fields)):
                left = end - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    recent = "\n".join(str(r) for r in self.records[mark:][-8:])
                    raise AssertionError(f"no log record with {fields} within {timeout} s; records since:\n{recent}")
        return found[0]

    def join(self):
        self._thread.join(timeout=10)

    def _read(self, stream):
        for line in stream:
            self._paused.wait()
            line = line.rstrip(b"\n")
            try:
                record = json.loads(line)
                assert isinstance(record, dict)
            except (ValueError, AssertionError):
                self.broken.append(line)
                continue
            if faults := self._schema.faults(record):
                self.unlike_schema.append((record, faults))
            with self._changed:
                self.lines.append(line)
                self.records.append(record)
                self._changed.notify_all()


def _matches(record, fields):
    for key, wanted in fields.items():
        value = record.get(key)
        if callable(wanted) and not wanted(value):
            return False
        if not callable(wanted) and value != wanted:
            return False
    return True


class Gateway:
    """A router gateway with a policy file of its own. `limit_files`: the descriptor limit it starts with."""

    def __init__(self, lab, folder, policy=addresses.POLICY, arguments=(), limit_files=0, environment=None):
        self.lab = lab
        self.folder = Path(folder)
        self.policy_file = self.folder / "policy.yaml"
        if policy is not None:
            self.policy_file.write_text(policy)
        self.control = self.folder / "control" / "gateway.sock"
        self.arguments = [
            "--policy", str(self.policy_file), "--inside", "ag0", "--claim", f"{addresses.GW}/24",
            "--claim", f"{addresses.GW6}/64", "--resolver", addresses.NS, "--control", str(self.control),
            "--ca-dir", str(self.folder / "ca"), *arguments,
        ]  # fmt: skip
        self.limit_files = limit_files
        # Most tests count reloads: a file that they write is read when they ask for it.
        self.environment = {"GATEWAY_RELOAD_ON_CHANGE": "off", **(environment or {})}
        self.process = None
        self.log = None
        self.errors = b""

    def start(self, healthy=True):
        limit = ["prlimit", f"--nofile={self.limit_files}"] if self.limit_files else []
        self.process = subprocess.Popen(
            self.lab.gw.command(*limit, binary(), *self.arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **self.environment},
            start_new_session=True,
        )
        self.log = LogReader(self.process.stdout)
        threading.Thread(target=self._read_errors, args=(self.process.stderr,), daemon=True).start()
        if healthy:
            self.wait_healthy()
        return self

    def wait_healthy(self):
        def healthy_or_dead():
            if self.process.poll() is not None:
                self.log.join()
                raise AssertionError(f"the gateway ended with {self.process.returncode}: {self.errors.decode()}")
            return self.healthy()

        wait.until(healthy_or_dead, "the gateway to be healthy", HEALTHY_TIMEOUT)
        self.lab.forget_neighbours()

    def _read_errors(self, stream):
        for line in stream:
            self.errors += line

    @property
    def pid(self):
        return self.process.pid

    def send_signal(self, number):
        self.process.send_signal(number)

    def reload(self, policy=None, accepted=True, timeout=wait.DEADLINE):
        """Replaces the policy (atomically), sends SIGHUP and waits for the record of the reload."""
        if policy is not None:
            fresh = self.policy_file.with_suffix(".new")
            fresh.write_text(policy)
            fresh.replace(self.policy_file)
        mark = self.log.mark()
        self.send_signal(signal.SIGHUP)
        record = self.log.wait_for(mark, timeout, type="reload")
        assert record["accepted"] == accepted, record
        return record

    def stop(self, number=signal.SIGTERM, timeout=15):
        """Ends it and returns its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.send_signal(number)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the gateway did not end within {timeout} s of signal {number}") from None
        self.log.resume()
        self.log.join()
        assert not self.log.unlike_schema, f"not as 'gateway schema log' says: {self.log.unlike_schema[:2]}"
        return status

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    def status(self):
        """What `gateway status` is told over the control socket, as an object."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(str(self.control))
            link.sendall(b'{"ask":"status"}\n')
            answer = b""
            while not answer.endswith(b"\n"):
                more = link.recv(65536)
                if not more:
                    break
                answer += more
        return json.loads(answer)

    def healthy(self):
        """Asked over the control socket: a quiet log does not tell."""
        try:
            return self.status()["health"] == "healthy"
        except (OSError, ValueError):
            return False

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_bytes(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
