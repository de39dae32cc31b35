"""Idle connections are kept alive on both sides, so that a NAT that forgets them after a minute keeps them."""
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import contextlib
import hashlib
import re
import ssl

import pytest

from lab import addresses as at
from lab import inspection, wait, web
from lab.http1 import get
from lab.rawserver import RawServer
from lab.tls_link import TlsLink

POLICY = f"""\
domains:
  - allowed.test
  - {{host: cdn-allowed.test, tls: inspect}}
endpoints:
  - {{cidr: {at.SPARE}/32, port: 5432}}
"""
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ASK = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
TIMER = re.compile(r"timer:\(keepalive,(?:(\d+)min)?(?:(\d+)(?:\.\d+)?sec)?")


@pytest.fixture(scope="module")
def router(lab, gateway_binary, tmp_path_factory):
    del gateway_binary
    yield from inspection.inspecting_router(lab, tmp_path_factory, POLICY)


def trusting(certificate):
    return ssl.create_default_context(cafile=str(certificate))


def through_tls(lab, router):
    link = lab.stack.enter_context(web.connected(lab.agent, at.AL, 443))
    TlsLink(link, trusting(lab.ca.certificate), "allowed.test")
    del router
    return link


def inspected(lab, router):
    link = lab.stack.enter_context(web.connected(lab.agent, at.CDN, 443))
    tls = TlsLink(link, trusting(router.ca_certificate), "cdn-allowed.test")
    tls.sendall(get("cdn-allowed.test", "/"))
    assert web.Reader(tls).response().status == 200
    return link


def through_connect(lab, router):
    link = lab.stack.enter_context(web.connected(lab.agent, at.GW, 8080))
    link.sendall(b"CONNECT allowed.test:443 HTTP/1.1\r\nHost: allowed.test:443\r\n\r\n")
    assert link.recv(65536).startswith(b"HTTP/1.1 200")
    TlsLink(link, trusting(lab.ca.certificate), "allowed.test")
    del router
    return link


def by_endpoint(lab, router):
    link = lab.stack.enter_context(web.connected(lab.agent, at.SPARE, 5432))
    link.sendall(b"hello")
    assert link.recv(5) == b"hello"
    del router
    return link


def kept(lab, router, address=at.AL, port=80, target="/"):
    link = lab.stack.enter_context(web.connected(lab.agent, address, port))
    link.sendall(get("allowed.test", target))
    assert web.Reader(link).response().status == 200
    del router
    return link


def by_the_explicit_proxy(lab, router):
    return kept(lab, router, at.GW, 8080, "http://allowed.test/")


def websocket(lab, router):
    accept = base64.b64encode(hashlib.sha1(KEY.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    head = f"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"

    def switch(connection, request):
        del request
        connection.send(head.encode())
        while connection.fill():
            pass
        return False

    lab.al.script("/idle", switch)
    link = lab.stack.enter_context(web.connected(lab.agent, at.AL, 80))
    link.sendall(get("allowed.test", "/idle", ASK))
    assert web.Reader(link).response().status == 101
    del router
    return link


KINDS = (through_tls, inspected, through_connect, by_endpoint, kept, by_the_explicit_proxy, websocket)


def connections(lab):
    """{(local address and port, peer's): seconds until the next probe, or None} in the gateway's namespace."""
    found = {}
    for line in lab.gw.run("ss", "-tnoH", "state", "established").stdout.splitlines():
        local, peer = (text.replace("[::ffff:", "").replace("]", "") for text in line.split()[2:4])
        timer = TIMER.search(line)
        found[local, peer] = 60 * int(timer.group(1) or 0) + int(timer.group(2) or 0) if timer else None
    return found


def echo(link):
    while data := link.recv(64):
        link.sendall(data)


@pytest.fixture
def idle(lab, router):
    """One idle connection of each kind: the clients' addresses, as the gateway sees them."""
    server = RawServer(lab.up, at.SPARE, (5432,))
    with contextlib.ExitStack() as stack, server.serving(echo):
        stack.callback(server.close)
        lab.stack = stack
        yield [f"{at.AG}:{kind(lab, router).getsockname()[1]}" for kind in KINDS]


def test_both_sides_of_every_kind_are_probed_within_a_minute(lab, idle):
    def probed():
        now = connections(lab)
        clients = [seconds for (_, peer), seconds in now.items() if peer in idle]
        origins = [seconds for (local, _), seconds in now.items() if local.startswith(f"{at.GWUP}:")]
        complete = len(clients) == len(idle) <= len(origins)
        return clients + origins if complete and None not in clients + origins else None

    assert max(wait.until(probed, "keepalive on both sides of every connection", timeout=25, step=0.5)) <= 45
