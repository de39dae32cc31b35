"""What clients leave unread or unfinished is held within stated bounds, and their neighbours are served meanwhile."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import select
import socket
import struct
import threading
import time

import pytest

from lab import addresses as at
from lab import http2_wire as h2
from lab import crowd, inspection, wait, web
from lab.case import Live

threat = pytest.mark.threat
MIB = 1 << 20
POLICY = """\
domains:
  - {host: allowed.test, tls: inspect}
  - "*.wild.test"
"""


@pytest.fixture
def one(lab, make_gateway, tmp_path):
    """A gateway of one worker that inspects allowed.test, fresh for each test: memory that was used is not given back."""
    del make_gateway  # it has made room
    folder = tmp_path / "inspecting"
    folder.mkdir()
    gateway = inspection.inspecting(lab, folder, POLICY, arguments=("--workers", "1"))
    gateway.start()
    inspection.publish(gateway)
    yield gateway
    gateway.kill()


def settled(gateway):
    """Resident bytes once they have not grown for half a second."""
    seen, since = gateway.resident_bytes(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.05)
        now = gateway.resident_bytes()
        if now > seen + MIB // 4:
            seen, since = now, time.monotonic()
    return seen


def reads_nothing(link, streams, path):
    """Requests on so many streams, with no window for any answer."""
    no_window = struct.pack("!HI", 4, 0)
    link.send(h2.frame(h2.SETTINGS, 0, 0, no_window))
    for number in range(streams):
        link.send(h2.get(2 * number + 1, "allowed.test", path))


@threat("T191")
def test_streams_that_are_not_read_share_what_is_held_for_one_connection(lab, one):
    """T191: three connections of 99 streams, whose origin speaks HTTP/1.1: 1 MiB and a piece a stream for each."""
    before, mark = one.resident_bytes(), lab.al.mark()
    with contextlib.ExitStack() as links:
        for _ in range(3):
            link = links.enter_context(h2.linked(lab.agent, at.AL, "allowed.test", one.ca_certificate))
            reads_nothing(link, 99, f"/bytes/{64 * MIB}")
        wait.until(lambda: len(lab.al.since(mark, f"/bytes/{64 * MIB}")) >= 297, "all to be asked", 20)
        held = settled(one) - before
        assert held < 30 * MIB, f"{held / MIB:.0f} MiB for three connections"
        link.send(h2.get(199, "allowed.test", "/bytes/700000"))
        link.send(h2.frame(h2.WINDOW_UPDATE, 0, 199, h2.u32(MIB)))
        how, data = link.end_of(199)
        assert (how, len(data)) == ("end", 700000), "the control: a stream that is read comes whole beside them"
        with Live(lab, lab.neighbour, p95=1.0):
            time.sleep(0.3)


def send_all(links, data):
    """To all of them at once, as far as each takes it; those that were reset are left out."""
    left = {link.fileno(): (link, memoryview(data)) for link in links}
    poll = select.poll()
    for number in left:
        poll.register(number, select.POLLOUT)
    end = time.monotonic() + 15
    while left and time.monotonic() < end:
        for number, _ in poll.poll(500):
            link, rest = left[number]
            try:
                rest = rest[link.send(rest) :]
            except OSError:
                rest = b""
            left[number] = (link, rest)
            if not rest:
                poll.unregister(number)
                del left[number]
        if not poll.poll(200):
            return


@contextlib.contextmanager
def connections(namespace, count, address, port, sources=("",)):
    with contextlib.ExitStack() as stack, namespace.entered():
        links = []
        for number in range(count):
            link = stack.enter_context(socket.socket())
            link.bind((sources[number % len(sources)], 0))
            link.setblocking(False)
            link.connect_ex((address, port))
            links.append(link)
        yield links


@threat("T191")
def test_heads_that_never_end_are_refused_once_a_client_holds_its_share(lab, one):
    """T191: 3,000 heads of 60 KB: what is held ends at the share of one client, and the neighbour's are taken."""
    before = one.resident_bytes()
    head = b"GET / HTTP/1.1\r\nHost: allowed.test\r\nX-Pad: " + b"p" * 60000
    with connections(lab.agent, 3000, at.AL, 80) as links:
        send_all(links, head)
        held = settled(one) - before
        assert held < 150 * MIB, f"{held / MIB:.0f} MiB"
        with Live(lab, lab.neighbour, p95=1.0):
            big = web.http(lab.neighbour, "allowed.test", "/", headers=["X-Pad: " + "p" * 30000])
            assert big.status == 200, "the neighbour has its own share"
    wait.until(lambda: web.http(lab.agent, "allowed.test", "/").status == 200, "the agent to be served again", 10)


@threat("T191")
def test_denials_that_are_not_read_are_one_text(lab, one):
    """T191: 300 clients of a full book of denials, none of which reads."""
    for number in range(50):
        web.http(lab.agent, f"denied{number}.test", "/" + "p" * 2000, address=at.EV)
    size = len(web.http(lab.agent, "gateway.internal", "/denials", at.GW).body)
    assert size > 30000
    before = one.resident_bytes()
    with connections(lab.agent, 300, at.GW, 80) as links:
        send_all(links, web.request_bytes("gateway.internal", "/denials") * 40)
        held = settled(one) - before
        each = held / len(links)
        assert each < size / 2, f"{each:.0f} bytes for each of those that read nothing of an answer of {size}"


@pytest.fixture
def silent_path(lab):
    release = threading.Event()
    lab.al.script("/silent", lambda connection, request: release.wait(20))
    yield "/silent"
    release.set()


def large_heads(streams, path):
    """Requests of 15 fields of 3,900 bytes in 4 KB each: one literal that is put into the table, and 14 times its index."""
    out = b""
    for number in range(1, 2 * streams, 2):
        block = h2.block("allowed.test", path) + b"\x40" + h2.text(b"x-pad") + h2.text(b"p" * 3900) + b"\xbe" * 14
        out += h2.frame(h2.HEADERS, h2.END_HEADERS, number, block)
        out += h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, number, h2.literal("x-t", "y"))
    return out


@threat("T220")
def test_trailers_do_not_take_the_place_of_heads(lab, one, silent_path):
    """T220: heads of 59 KB, each with a small trailer, on ten connections of 99 streams that are not answered."""
    before = one.resident_bytes()
    with contextlib.ExitStack() as links:
        opened = [links.enter_context(h2.linked(lab.agent, at.AL, "allowed.test", one.ca_certificate)) for _ in range(10)]
        for link in opened:
            link.send(large_heads(99, silent_path))
        held = settled(one) - before
        assert held < 150 * MIB, f"{held / MIB:.0f} MiB"
        assert opened[-1].end_of(197) == ("reset", h2.REFUSED), "no more than the client's share"
        with Live(lab, lab.neighbour, p95=1.0):
            link = links.enter_context(h2.linked(lab.neighbour, at.AL, "allowed.test", one.ca_certificate))
            link.send(h2.get(1, "allowed.test", "/bytes/1000"))
            how, data = link.end_of(1)
            assert (how, len(data)) == ("end", 1000), "the control"


@threat("T222")
def test_heads_of_answers_are_let_go_of_before_their_bodies(lab, one):
    """T222: 300 answers with 1,000 fields each and a body that does not end, in HTTP/1.1."""
    release = threading.Event()

    def endless(connection, request):
        del request
        fields = b"".join(b"Set-Cookie: a=" + b"c" * 40 + b"\r\n" for _ in range(1000))
        connection.send(b"HTTP/1.1 200 OK\r\nAlt-Svc: h3\r\nContent-Length: 9\r\n" + fields + b"\r\nhe")
        release.wait(20)
        connection.send(b"llo you")

    lab.al.script("/endless", endless)
    before = one.resident_bytes()
    try:
        with connections(lab.agent, 300, at.AL, 80) as links:
            send_all(links, web.request_bytes("allowed.test", "/endless"))
            readers = [web.Reader(link) for link in links]
            for link in links:
                link.settimeout(10)
            for reader in readers:
                assert reader.line_block() and reader.exactly(2) == b"he"
            held = settled(one) - before
            assert held < 30 * MIB, f"{held / MIB:.0f} MiB"
            release.set()
            assert readers[0].exactly(7) == b"llo you", "the control: the body comes whole"
    finally:
        release.set()


@threat("T224")
def test_clients_that_hold_all_they_may_leave_room_for_another(lab, one):
    """T224: an agent with three addresses holds as much as each may, and its neighbour, who holds nothing, is served."""
    more = ["10.77.0.61", "10.77.0.62"]
    for address in more:
        lab.agent.ip("addr", "add", f"{address}/24", "dev", "eth0")
    try:
        before = one.resident_bytes()
        head = b"GET / HTTP/1.1\r\nHost: allowed.test\r\nX-Pad: " + b"p" * 60000
        sources = [at.AG, *more]
        with contextlib.ExitStack() as stack:
            heads = []
            for count in (2400, 600, 300):  # those that are refused meanwhile leave some room again
                more_heads = stack.enter_context(connections(lab.agent, count, at.AL, 80, sources))
                send_all(more_heads, head)
                heads += more_heads
            idle = stack.enter_context(connections(lab.agent, 2000, at.AL, 80, sources))
            wait.until(lambda: crowd.ended(idle) > 0, "what is left of their room to be used up", 5)
            held = one.resident_bytes() - before
            assert 80 * MIB < held < 320 * MIB, f"{held / MIB:.0f} MiB"
            with Live(lab, lab.neighbour, p95=1.0):
                for _ in range(5):
                    assert web.http(lab.neighbour, "allowed.test", "/").status == 200
            assert crowd.ended(heads) < len(heads) - 500, "and they keep what they have"
    finally:
        for address in more:
            lab.agent.ip("addr", "del", f"{address}/24", "dev", "eth0")
        lab.gw.ip("neigh", "flush", "dev", "ag0")  # an agent with several IPv4 addresses is several clients
