"""Faults of the gateway's process: killed, ended, paused, asked to reload without a pause."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import signal
import socket
import time

from lab import addresses as at
from lab import dns_wire, wait, web
from scenario import scenario
from world import POLICY

_DRAIN = 3.5  # seconds; the documented time for open transfers, and some more
_PAUSE_SECONDS = 1.5
_STORM = 40


@scenario("kill", "SIGKILL, then a new start", repeats=8, short=2)
def kill(world, row):
    """T200"""
    world.gateway.kill()
    answer, how = web.talk(world.lab.agent, at.AL, 80, b"x", wait=1)
    assert answer == b"", f"something answers behind the rules of a killed gateway: {how}"
    healthy, allowed = world.start()
    row.took("healthy", healthy, 10)
    row.took("allowed", allowed, 10)


@scenario("client-socket", "SIGKILL and a new start; a client asks DNS on the socket that it had before", repeats=3, short=1)
def client_socket(world, row):
    """T200"""
    with world.lab.agent.entered():
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with link:
        link.settimeout(0.2)
        link.connect((at.GW, 53))
        assert _asked(link), "an answer before"
        world.gateway.kill()
        world.start()
        begin = time.monotonic()
        wait.until(lambda: _asked(link), "an answer on the same socket", 5)
        row.took("answer on the same socket", time.monotonic() - begin, 5)


def _asked(link):
    question = dns_wire.question("allowed.test")
    with contextlib.suppress(OSError):
        link.send(question)
        return link.recv(4096)[:2] == question[:2]
    return False


@scenario("terminate", "SIGTERM beside an idle connection and a transfer, then a new start", repeats=3, short=1)
def terminate(world, row):
    """T200"""
    size = 300_000
    with web.connected(world.lab.agent, at.AL, 80) as idle, web.connected(world.lab.agent, at.AL, 80) as busy:
        idle.sendall(web.request_bytes("allowed.test"))
        assert web.Reader(idle).response().status == 200
        busy.sendall(web.request_bytes("allowed.test", f"/bytes/{size}", headers=["Connection: close"]))
        reader = web.Reader(busy)
        assert reader.head().status == 200
        begin = time.monotonic()
        world.gateway.send_signal(signal.SIGTERM)
        assert len(reader.exactly(size)) == size, "a transfer in progress is finished"
        status = world.gateway.process.wait(15)
        row.took("end", time.monotonic() - begin, _DRAIN)
    assert status == 0, f"exit status {status}"
    healthy, allowed = world.start()
    row.took("healthy", healthy, 10)
    row.took("allowed", allowed, 10)


@scenario("terminate-idle", "SIGTERM with one idle connection and nothing else", repeats=3, short=1)
def terminate_idle(world, row):
    """T200"""
    world.load.pause()
    try:
        with web.connected(world.lab.agent, at.AL, 80) as idle:
            idle.sendall(web.request_bytes("allowed.test"))
            assert web.Reader(idle).response().status == 200
            begin = time.monotonic()
            world.gateway.send_signal(signal.SIGTERM)
            world.gateway.process.wait(15)
            ended = time.monotonic() - begin
    finally:
        world.load.resume()
        world.start()
    row.took("end", ended, 1.5)


@scenario("pause", f"SIGSTOP for {_PAUSE_SECONDS} s, then SIGCONT", repeats=3, short=1)
def pause(world, row):
    """T201"""
    world.gateway.send_signal(signal.SIGSTOP)
    try:
        wait.until(lambda: not world.try_allowed(), "the gateway to be stopped")
        time.sleep(_PAUSE_SECONDS)  # the fault itself, not a wait for something
    finally:
        begin = time.monotonic()
        world.gateway.send_signal(signal.SIGCONT)
    row.took("allowed", world.until_allowed(begin), 5)
    assert world.gateway.healthy()


@scenario("reload", f"{_STORM} reloads without a pause, every second one with one more name in the policy", repeats=2, short=1, calm=True)
def reload(world, row):
    """T202"""
    before = world.gateway.descriptors()
    begin = time.monotonic()
    for number in range(_STORM):
        world.gateway.reload(POLICY + ("  - more.test\n" if number % 2 else ""))
    row.took("reload", (time.monotonic() - begin) / _STORM, 0.5)
    world.gateway.reload(POLICY)
    assert world.gateway.status()["policy"]["stale"] is False
    row.note(f"descriptors {world.gateway.descriptors() - before:+d}")
    assert world.gateway.descriptors() < before + 50, "reloads keep descriptors"
