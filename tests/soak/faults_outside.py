"""Faults of what the gateway asks: resolvers and origins."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import secrets
import socket
import struct
import time

from lab import addresses as at
from lab import wait, web
from results import span
from scenario import scenario

_KNOWN = "known.wild.test"
_TOLD = 15.0  # seconds until a client hears of a failure
_BACK = 5.0  # seconds until a resolver that answers again is used
_SILENT_ORIGIN = 90.0  # seconds until a client hears of an origin that fell silent on an open connection


def _while_resolver(world, row, state):
    _learn(world)
    setattr(world.lab.dns, state, True)
    try:
        _without_resolver(world, row)
    finally:
        setattr(world.lab.dns, state, False)
    _again(world, row)


@scenario("resolver-silent", "the resolver does not answer", repeats=2)
def resolver_silent(world, row):
    """T207"""
    _while_resolver(world, row, "silent")


@scenario("resolver-servfail", "the resolver answers SERVFAIL", repeats=2, short=1)
def resolver_servfail(world, row):
    """T207"""
    _while_resolver(world, row, "failing")


@scenario("resolver-killed", "the resolver's port refuses", repeats=2)
def resolver_killed(world, row):
    """T207"""
    _learn(world)
    with world.block_outside("dns", "meta l4proto { tcp, udp } th dport 53 reject"):
        _without_resolver(world, row)
    _again(world, row)


def _learn(world):
    """A name that the gateway has an answer for, which is out of date in a second."""
    world.lab.dns.set(_KNOWN, a=[at.WILD], ttl=1)
    assert world.try_allowed(name=_KNOWN)
    outdated = time.monotonic() + 1.2
    wait.until(lambda: time.monotonic() > outdated, "the answer to be out of date")


def _without_resolver(world, row):
    fresh = f"f{secrets.token_hex(6)}.wild.test"
    begin = time.monotonic()
    answer = web.http(world.lab.agent, fresh, address=at.WILD, timeout=_TOLD)
    assert answer.status in (502, 504), f"a new name: {answer.status}"
    row.took("new name refused", time.monotonic() - begin, _TOLD)
    denied = web.resolve(world.lab.agent, "x.denied.test")
    assert denied is not None and at.leads_to_refusal(denied.addresses()), "a denied name needs no resolver"
    begin = time.monotonic()
    known = web.resolve(world.lab.agent, _KNOWN)
    assert known is not None and known.addresses() == [at.WILD], "a known name is answered from what was learnt"
    assert web.http(world.lab.agent, _KNOWN, address=at.WILD, timeout=_TOLD).status == 200
    row.took("known name served", time.monotonic() - begin, _TOLD)


def _again(world, row):
    begin = time.monotonic()

    def answered():
        answer = web.resolve(world.lab.agent, f"b{secrets.token_hex(6)}.wild.test")
        return answer is not None and answer.addresses() == [at.WILD]

    wait.until(answered, "a new name to be resolved", _BACK)
    row.took("new name after", time.monotonic() - begin, _BACK)
    row.took("allowed", world.until_allowed(begin), _BACK)


def _reset(link):
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _ask_raw(world, limit):
    """The status of one request to the raw origin; what is no answer raises."""
    return web.http(world.lab.agent, "raw.wild.test", address=at.RAW, timeout=limit).status


def _answering(link):
    link.recv(65536)
    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def _origin_back(world, row):
    begin = time.monotonic()
    with world.lab.raw.serving(_answering):
        wait.until(lambda: _ask_raw(world, 5) == 200, "the origin to be used again", _BACK)
    row.took("allowed", time.monotonic() - begin, _BACK)


@scenario("origin-reset", "an origin resets each connection after the request", repeats=3, short=1, calm=True)
def origin_reset(world, row):
    """T208"""

    def resets(link):
        link.recv(65536)
        _reset(link)

    begin = time.monotonic()
    with world.lab.raw.serving(resets):
        assert _ask_raw(world, _TOLD) == 502
    row.took("error after", time.monotonic() - begin, 5)
    _origin_back(world, row)


@scenario("origin-closed", "an origin's port is closed", repeats=3, short=1, calm=True)
def origin_closed(world, row):
    """T208"""
    begin = time.monotonic()
    with world.block_outside("closed", f"ip daddr {at.RAW} tcp dport 80 reject with tcp reset"):
        assert _ask_raw(world, _TOLD) == 502
    row.took("error after", time.monotonic() - begin, 5)
    _origin_back(world, row)


@scenario("origin-unreachable", "an origin answers no SYN", calm=True)
def origin_unreachable(world, row):
    """T208"""
    begin = time.monotonic()
    with world.block_outside("unreachable", f"ip daddr {at.RAW} tcp dport 80 drop"):
        assert _ask_raw(world, 30) in (502, 504)
    row.took("error after", time.monotonic() - begin, 30)
    _origin_back(world, row)


@scenario("origin-silent", "an origin is lost during an upload over http", calm=True)
def origin_silent(world, row):
    """T208"""
    with world.lab.raw.serving(_reads), web.connected(world.lab.agent, at.RAW, 80, timeout=_SILENT_ORIGIN * 3) as link:
        accepted = world.lab.raw.accepted
        link.sendall(web.request_bytes("raw.wild.test", "/", "POST", [f"Content-Length: {1 << 20}"]) + b"x")
        wait.until(lambda: world.lab.raw.accepted > accepted, "the connection to the origin")
        _lost(world, row, at.RAW, 80, link)
    _origin_back(world, row)


@scenario("relay-silent", "an origin is lost during an upload over TLS that is passed through", calm=True)
def relay_silent(world, row):
    """T208"""
    lab = world.lab
    with web.tls(lab.agent, "cdn-allowed.test", lab.ca.certificate, timeout=_SILENT_ORIGIN * 3) as link:
        link.sendall(web.request_bytes("cdn-allowed.test", "/upload", "POST", [f"Content-Length: {1 << 20}"]) + b"x")
        wait.until(lambda: lab.cdn.requests, "the request at the origin")
        _lost(world, row, at.CDN, 443, link)
    assert web.https(lab.agent, "cdn-allowed.test", lab.ca.certificate).status == 200


def _reads(link):
    with contextlib.suppress(OSError):
        while link.recv(65536):
            pass


def _lost(world, row, address, port, link):
    """All that goes to the origin is dropped while the client goes on: until the client hears of it."""
    begin = time.monotonic()
    with world.block_outside("silent", f"ip daddr {address} tcp dport {port} drop"):
        with contextlib.suppress(OSError):
            link.sendall(b"x" * 100_000)
        answer, how = web.read_to_end(link)
    seconds = time.monotonic() - begin
    assert how in ("fin", "rst"), f"after {span(seconds)} the client still waits"
    row.note(f"the client gets {answer[:12].decode('latin1') or 'an end'}")
    row.took("error after", seconds, _SILENT_ORIGIN)
