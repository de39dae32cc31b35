"""Too little of something: a log that is not read, a full disk, a full table, low limits, another clock."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import secrets
import signal
import socket
import subprocess
import threading
import time

from lab import addresses as at
from lab import dns_wire, gateway, wait, web
from results import Skipped
from scenario import scenario

_UNPRIVILEGED = 54321  # a user of no other process, so that its limit of processes is its own
_DENIALS = 3000
_MORE_THAN_THE_LOG_HOLDS = 20_000


def _deny_many(world, count):
    with world.lab.agent.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((at.GW, 53))
        for _ in range(count // 100):
            for _ in range(100):
                link.send(dns_wire.question(f"{secrets.token_hex(12)}.evil.test"))
            dns_wire.ask(at.GW, dns_wire.question("allowed.test"))  # not faster than they are answered


def _deny_pipelined(world, count):
    """Denied requests on one connection, faster than a log that waits can hold: how many were refused."""
    request = web.request_bytes("denied.test", "/unread")
    with web.connected(world.lab.agent, at.EV, 80) as link:
        sending = threading.Thread(target=lambda: [link.sendall(request * 100) for _ in range(count // 100)])
        sending.start()
        refused, rest = 0, b""
        while refused < count and (more := link.recv(1 << 16)):
            rest += more
            refused += rest.count(b"HTTP/1.1 403")
            rest = rest[-11:]
        sending.join()
    return refused


@scenario("log-unread", f"the reader of the log stops during {_MORE_THAN_THE_LOG_HOLDS} denials, then reads again", short=1, calm=True)
def log_unread(world, row):
    """T209"""
    log = world.gateway.log
    log.pause()
    try:
        refused = _deny_pipelined(world, _MORE_THAN_THE_LOG_HOLDS)
        assert refused == _MORE_THAN_THE_LOG_HOLDS, f"{refused} requests were refused"
        for _ in range(20):
            assert web.http(world.lab.agent, "denied.test", address=at.EV).status == 403
            assert web.http(world.lab.agent, "allowed.test").status == 200
        dropped = world.gateway.status()["counters"]["log_records_dropped"]
    finally:
        log.resume()
    mark = log.mark()
    begin = time.monotonic()

    def written():
        """Until what was queued is written, the queue is full and records are dropped."""
        path = f"/{secrets.token_hex(8)}"
        assert web.http(world.lab.agent, "denied.test", path, address=at.EV).status == 403
        with contextlib.suppress(AssertionError):
            return log.wait_for(mark, 0.2, type="decision", path=path)
        return None

    wait.until(written, "a record of a new denial", 10)
    row.took("record written", time.monotonic() - begin, 10)
    assert not log.broken, f"not JSON in the log: {log.broken[:1]}"
    row.note(f"{dropped} records dropped, as the status says")
    assert dropped > 0, "the status does not say that records were dropped"


def _serve(world, one, before, *inside):
    """Starts `one` behind a shell command, in a mount namespace, `inside` behind the program's arguments."""
    one.process = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", before, "sh", *world.lab.gw.command(gateway.binary(), *one.arguments), *inside],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip


@scenario("log-disk-full", "the log's file system of 64 KiB is full")
def log_disk_full(world, row):
    """T209"""
    one = world.make_gateway()
    disk = one.folder / "disk"
    disk.mkdir()
    with world.another_gateway(one):
        begin = time.monotonic()
        _serve(world, one, f'mount -t tmpfs -o size=64k none {disk} && exec "$@" > {disk}/log')
        wait.until(one.healthy, "the gateway to be healthy", 20)
        world.lab.forget_neighbours()
        _deny_many(world, _DENIALS)
        assert web.http(world.lab.agent, "denied.test", address=at.EV).status == 403
        row.took("allowed", world.until_allowed(begin), 20)
        assert one.process.poll() is None and one.healthy()


@scenario("ca-disk-full", "no room for the CA at the start")
def ca_disk_full(world, row):
    """T209"""
    one = world.make_gateway()
    disk = one.folder / "ca"
    disk.mkdir(mode=0o700)
    with world.another_gateway(one):
        full = f'mount -t tmpfs -o size=4k,mode=700 none {disk} && head -c 4096 /dev/zero > {disk}/other; exec "$@"'
        _serve(world, one, full)
        _, said = one.process.communicate(timeout=20)
        assert one.process.returncode == 3, f"exit status {one.process.returncode}"
        assert str(disk) in said.decode(), said
        assert not world.try_allowed()
    row.took("allowed", world.until_allowed(time.monotonic()), 10)


@scenario("descriptors", "a start with 256 descriptors, 400 connections at once", short=1)
def descriptors(world, row):
    """T209"""
    one = world.make_gateway(limit_files=256)
    with world.another_gateway(one):
        one.start()
        said = one.errors.decode() + str([r for r in one.log.records if r["type"] != "decision"]) + str(one.status())
        links = _connect(world, 400)
        try:
            assert one.process.poll() is None
            assert at.leads_to_refusal(web.resolve(world.lab.agent, "denied.test").addresses()), "DNS goes on"
        finally:
            for link in links:
                link.close()
        row.took("allowed", world.until_allowed(time.monotonic()), 25)
        assert one.process.poll() is None and one.healthy()
    assert "descriptors" in said, "neither the start nor the status says that the limit is low"


def _connect(world, count):
    links = []
    with world.lab.agent.entered():
        for _ in range(count):
            links.append(socket.socket())
            links[-1].setblocking(False)
            links[-1].connect_ex((at.AL, 443))
    return links


@scenario("processes", "a start that may make one thread")
def processes(world, row):
    """T209"""
    _limited(world, row, "--nproc=1", ["setpriv", f"--reuid={_UNPRIVILEGED}", f"--regid={_UNPRIVILEGED}", "--clear-groups",
                                       "--inh-caps=-all,+net_admin,+net_raw,+net_bind_service", "--ambient-caps=-all,+net_admin,+net_raw,+net_bind_service"])  # fmt: skip


@scenario("memory", "starts with 16 to 128 MiB of address space")
def memory(world, row):
    """T209"""
    for mib in (16, 32, 64, 128):
        _limited(world, row, f"--as={mib << 20}")


def _status(one):
    try:
        return one.status()
    except (OSError, ValueError) as error:
        return repr(error)


def _limited(world, row, limit, user=()):
    """A start under a limit serves, or ends with a message; it does not hang, and nothing passes that is denied."""
    one = world.make_gateway()
    one.folder.chmod(0o755)
    if user:
        subprocess.run(["chown", "-R", f"{_UNPRIVILEGED}:{_UNPRIVILEGED}", str(one.folder)], check=True)
    with world.another_gateway(one):
        one.process = subprocess.Popen(world.lab.gw.command("prlimit", limit, *user, gateway.binary(), *one.arguments),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
        try:
            wait.until(lambda: one.process.poll() is not None or one.healthy(), "a start or an end", 60)
        except AssertionError:
            raise AssertionError(f"with {limit} it neither serves nor ends; status: {_status(one)}") from None
        if one.process.poll() is None:
            row.note(f"{limit[2:]}: serves")
            world.lab.forget_neighbours()
            assert world.until_allowed(time.monotonic()) < 10
            one.process.send_signal(signal.SIGTERM)
            one.process.communicate(timeout=20)
        else:
            _, said = one.process.communicate(timeout=5)
            row.note(f"{limit[2:]}: ends with {one.process.returncode}")
            assert said.strip(), f"{limit}: ended with {one.process.returncode} and without a word"
            assert not world.try_allowed()
    row.took("allowed", world.until_allowed(time.monotonic()), 10)


_CONNTRACK = "net.netfilter.nf_conntrack_max"


@scenario("conntrack", "a connection tracking table with room for 20")
def conntrack(world, row):
    """T209"""
    before = world.lab.gw.sysctl(_CONNTRACK)
    try:
        world.lab.gw.sysctl(_CONNTRACK, 20)
    except OSError:
        raise Skipped(f"{_CONNTRACK} applies to the whole machine in this kernel") from None
    try:
        for _ in range(20):
            world.try_allowed()
    finally:
        world.lab.gw.sysctl(_CONNTRACK, before)
    row.took("allowed", world.until_allowed(time.monotonic()), 10)


@scenario("clock", "the system's clock jumps")
def clock(world, row):
    """No namespace has a clock of its own that can jump while a program runs."""
    del world, row
    raise Skipped("the system's clock applies to the whole machine; time limits use the monotonic clock")
