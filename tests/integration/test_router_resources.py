"""Many, slow, silent and endless clients cost a bounded amount and never open anything."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import os
import secrets
import socket
import subprocess
import threading
import time

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import crowd, gateway, packets, tls_wire, wait, web
from lab.case import Case, Live

threat = pytest.mark.threat

SETTLE = 25.0  # a client that sends nothing is gone after the 10 s to the first decision; some more under load


def many(lab, count, address, port, first=b"", namespace=None):
    """`count` connections at once that have sent `first`: the list of sockets that got connected."""
    return crowd.connections(namespace or lab.agent, address, port, [first] * count)


@pytest.fixture
def baseline(router):
    """After the test, descriptors are back and memory stayed within its ceiling."""
    before = router.descriptors()
    yield
    wait.until(lambda: router.descriptors() <= before + 5, f"descriptors to return to {before}", SETTLE)
    assert router.resident_bytes() < 400 << 20


@threat("T133", "C13")
def test_thousands_of_silent_connections_are_reaped_and_disturb_nobody(case, lab, router, baseline):
    """Half on 443, half on 80, sending nothing: gone at the stated deadline; meanwhile everybody else is served."""
    count = 3000
    with many(lab, count, at.AL, 443) as silent, many(lab, count, at.AL, 80) as quiet:
        before = router.descriptors()
        assert before > 100
        with Live(lab, lab.neighbour, p95=1.0), Live(lab, lab.agent, p95=1.0):
            wait.until(lambda: crowd.ended(silent + quiet) >= 2 * count * 0.99, "the silent to be reaped", SETTLE)
    del baseline


@threat("T133", "T138")
def test_connections_whose_origin_never_answers_end_with_their_client(case, lab, router, baseline):
    waiting = threading.Event()
    with lab.raw.serving(lambda link: (link.recv(65536), waiting.wait(30))):
        with many(lab, 300, at.RAW, 443, tls_wire.client_hello("raw.wild.test")):
            wait.until(lambda: lab.raw.accepted >= 300, "300 relays", 20)
            with Live(lab, lab.neighbour):
                case.control()
        waiting.set()
    del router, baseline


@threat("T134")
def test_slow_heads_end_at_the_deadline_and_slow_bodies_harm_nobody(case, lab, baseline):
    def drip(link, text, seconds):
        end = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                link.send(text)
                time.sleep(0.5)

    head = b"GET / HTTP/1.1\r\nHost: allowed.test\r\n"
    post = b"POST /upload HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 100000\r\n\r\n"
    with many(lab, 150, at.AL, 80, head) as heads, many(lab, 150, at.AL, 80, post) as bodies:
        drips = [threading.Thread(target=drip, args=(heads[0], b"X", 14)), threading.Thread(target=drip, args=(bodies[0], b"y", 14))]
        for thread in drips:
            thread.start()
        with Live(lab, lab.neighbour):
            wait.until(lambda: crowd.ended(heads) == len(heads), "slow heads to be cut", SETTLE)
        case.control()
        for thread in drips:
            thread.join()
    del baseline


@threat("T134")
def test_readers_that_do_not_read_hold_little_memory(case, lab, router, baseline):
    before, mark = router.resident_bytes(), lab.al.mark()
    with lab.capture.headers_only():
        with many(lab, 60, at.AL, 80, web.request_bytes("allowed.test", f"/bytes/{100 << 20}")), Live(lab, lab.neighbour):
            wait.until(lambda: lab.al.since(mark, "/bytes/104857600"), "downloads to begin")
            case.control()
            wait.holds(lambda: router.resident_bytes() - before < 64 << 20, 2, "memory below 64 MiB")
    del baseline


@threat("T135")
def test_running_out_of_descriptors_refuses_recovers_and_still_reloads(lab, make_gateway):
    one = make_gateway(limit_files=256).start()
    case = Case(lab, one.log)
    case.control()
    with many(lab, 1000, at.AL, 443) as links:
        wait.until(lambda: crowd.ended(links) > 300, "the surplus to be refused, not left waiting", 10)
        cpu, begin = one.cpu_seconds(), time.monotonic()
        wait.holds(lambda: one.process.poll() is None, 1.0, "it runs")
        assert one.cpu_seconds() - cpu < 0.7 * (time.monotonic() - begin), "no spinning"
        one.reload(at.POLICY)
        assert at.leads_to_refusal(web.resolve(lab.agent, "denied.test").addresses()), "DNS needs no new descriptor"
    wait.until(lambda: _works(lab), "recovery without a restart", SETTLE)
    assert len([r for r in one.log.records if r["type"] == "error"]) < 50, "one message now and then"
    case.finish()


def _works(lab):
    try:
        return web.http(lab.agent, "allowed.test", timeout=2).status == 200
    except (OSError, AssertionError):
        return False


@threat("T136")
def test_a_flood_of_datagrams_and_half_open_connections_disturbs_nobody(case, lab, raw_agent):
    before = int(lab.gw.sysctl("net.netfilter.nf_conntrack_count"))
    mac = raw_agent.call("neighbour_mac", at.GW)
    targets = [(f"45.33.{n >> 8 & 255}.{n & 255}", 1024 + n % 60000) for n in range(20000)]
    with Live(lab, lab.neighbour, p95=1.0):
        raw_agent.call("udp_spray", targets, case.canary.encode())
        syns = [
            packets.ipv4(at.AG, at.EV, packets.TCP, packets.tcp(at.AG, at.EV, 1024 + n, 9000 + n % 50)) for n in range(20000)
        ]
        raw_agent.call("frame", mac, packets.ETH_IPV4, syns)
        spoofed = [
            packets.ipv4(f"192.168.{n >> 8}.{n & 255}", at.EV, packets.TCP, packets.tcp("192.168.0.1", at.EV, 1024 + n, 443)) for n in range(5000)
        ]
        raw_agent.call("frame", mac, packets.ETH_IPV4, spoofed)
    after = int(lab.gw.sysctl("net.netfilter.nf_conntrack_count"))
    assert after - before < 2000, (before, after)
    case.no_packet()


HALF_OPEN = range(1024, 21024)  # source ports, below those that the agent's kernel gives to connections

# The agent's kernel never hears of the answers, so that it does not refuse what it did not ask for.
DEAF = f"""table inet half_open {{
    chain in {{
        type filter hook prerouting priority -400
        tcp dport {HALF_OPEN[0]}-{HALF_OPEN[-1]} tcp flags & (syn | ack) == syn | ack drop
    }}
}}"""


def half_open_in(namespace):
    return len(namespace.run("ss", "-Htan", "state", "syn-recv").stdout.splitlines())


@threat("T136")
@pytest.mark.parametrize("port", [80, 443])
def test_half_open_connections_to_an_open_port_cost_next_to_nothing(case, lab, router, raw_agent, port):
    """Answered and never acknowledged, from the agent's own address: SYNs that get as far as a listener."""
    mac = raw_agent.call("neighbour_mac", at.GW)
    syns = [packets.ipv4(at.AG, at.AL, packets.TCP, packets.tcp(at.AG, at.AL, source, port)) for source in HALF_OPEN]
    memory, descriptors = router.resident_bytes(), router.descriptors()
    lab.agent.nft(DEAF)
    try:
        with Live(lab, lab.neighbour, p95=1.0), Live(lab, lab.agent, p95=1.0):
            for begin in range(0, len(syns), 1000):
                assert raw_agent.call("frame", mac, packets.ETH_IPV4, syns[begin : begin + 1000]) == "sent"
            waiting = half_open_in(lab.gw)
            begin = time.monotonic()
            case.control()
            assert time.monotonic() - begin < 2, "an allowed request while they wait"
        assert waiting > 20, "they are half-open, neither refused nor dropped before a listener"
        queue = int(lab.gw.sysctl("net.core.somaxconn")) + 1
        assert waiting <= queue * os.cpu_count(), "and no more than the listeners' queues hold: the rest got SYN cookies"
        assert router.resident_bytes() - memory < 16 << 20
        assert router.descriptors() <= descriptors + 5
    finally:
        lab.agent.nft("delete table inet half_open")


@threat("T138")
def test_an_origin_that_answers_no_syn_is_told_in_bounded_time(case, lab, router, baseline):
    case.may_leave |= {(at.BLACKHOLE, 6, 80), (at.BLACKHOLE, 6, 443)}
    address = web.address_of(lab.agent, "hole.wild.test")
    request = web.request_bytes("hole.wild.test", "/", headers=["Connection: close"])
    with many(lab, 200, address, 80, request) as clear, many(lab, 200, address, 443, tls_wire.client_hello("hole.wild.test")) as secret:
        with Live(lab, lab.neighbour):
            begin = time.monotonic()
            answer, how = web.talk(lab.agent, address, 80, request, wait=15)
            assert answer[:12] in (b"HTTP/1.1 502", b"HTTP/1.1 504"), (answer[:60], how)
            assert time.monotonic() - begin < 12
            wait.until(lambda: crowd.ended(secret) == len(secret), "TLS clients to be told", 15)
        del clear
    del router, baseline


@threat("T138", "C10")
def test_half_closed_relays_go_away_when_the_other_half_does(case, lab, baseline):
    release = threading.Event()

    def never_closing(link):
        with contextlib.suppress(OSError):
            while link.recv(65536):
                pass
            release.wait(20)

    accepted = lab.raw.accepted
    with lab.raw.serving(never_closing), many(lab, 200, at.RAW, 443, tls_wire.client_hello("raw.wild.test")) as links:
        wait.until(lambda: lab.raw.accepted - accepted >= 200, "the relays")
        for link in links:
            link.shutdown(socket.SHUT_WR)
        case.control()
        release.set()
        wait.until(lambda: crowd.ended(links) == len(links), "the ends to meet")
    del baseline


@threat("T139")
def test_unique_denials_make_no_unbounded_state(case, lab, router):
    before = router.resident_bytes()
    with lab.agent.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link, Live(lab, lab.neighbour):
        link.connect((at.GW, 53))
        for _ in range(60000):
            link.send(dns.question(f"{secrets.token_hex(8)}.evil.test"))
    assert router.resident_bytes() - before < 48 << 20
    case.no_query("evil.test")


@threat("T139")
def test_a_reader_of_the_log_that_stops_reading_blocks_nothing(lab, make_gateway):
    one = make_gateway().start()
    case = Case(lab)
    one.log.pause()
    with Live(lab, lab.neighbour):
        with lab.agent.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.connect((at.GW, 53))
            for _ in range(20000):
                link.send(dns.question(f"{secrets.token_hex(20)}.evil.test"))
        for _ in range(20):
            assert web.http(lab.agent, "denied.test", address=at.EV).status == 403
        case.control()
    one.log.resume()
    mark = one.log.mark()
    assert web.http(lab.agent, "denied.test", f"/{case.canary}", address=at.EV).status == 403
    one.log.wait_for(mark, type="decision", path=f"/{case.canary}")
    assert not one.log.broken, one.log.broken[:1]
    assert one.status()["counters"], "counters answer"
    case.no_packet()


@threat("T139")
def test_a_closed_log_neither_stops_nor_opens_anything(lab, make_gateway):
    one = make_gateway()
    lab.reset_gateway_namespace()
    read, write = os.pipe()
    one.process = subprocess.Popen(lab.gw.command(gateway.binary(), *one.arguments), stdout=write, stderr=subprocess.DEVNULL)
    os.close(write)
    seen = b""
    while b'"healthy"' not in seen:
        more = os.read(read, 65536)
        assert more, f"ended: {seen}"
        seen += more
    os.close(read)
    lab.forget_neighbours()
    case = Case(lab)
    for _ in range(5):
        assert web.http(lab.agent, "denied.test", f"/{case.canary}", address=at.EV).status == 403
        case.control()
    assert one.process.poll() is None
    case.no_packet()


@threat("T139")
def test_a_full_disk_neither_stops_nor_opens_anything(lab, make_gateway, tmp_path):
    lab.reset_gateway_namespace()
    one = make_gateway()
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"mount -t tmpfs -o size=64k none {disk} && exec \"$@\" > {disk}/log"
    one.process = subprocess.Popen(["unshare", "-m", "sh", "-c", script, "sh", *lab.gw.command(gateway.binary(), *one.arguments)],
                                   stderr=subprocess.DEVNULL)  # fmt: skip
    wait.until(lambda: _status_or_none(one), "the gateway to be healthy", 20)
    lab.forget_neighbours()
    case = Case(lab)
    for _ in range(400):
        web.resolve(lab.agent, f"{secrets.token_hex(20)}.evil.test")
    assert web.http(lab.agent, "denied.test", f"/{case.canary}", address=at.EV).status == 403
    case.control()
    case.no_packet()
    assert one.process.poll() is None


def _status_or_none(one):
    try:
        return one.status()["health"] == "healthy"
    except (OSError, ValueError):
        return False


@threat("C13")
def test_five_hundred_connections_at_once_are_served(case, lab, baseline):
    request = web.request_bytes("allowed.test", "/many", headers=["Connection: close"])
    with many(lab, 500, at.AL, 80, request) as links:
        answers = []
        for link in links:
            link.setblocking(True)
            link.settimeout(20)
            answers.append(web.read_to_end(link)[0].split(b"\r\n")[0])
    assert answers == [b"HTTP/1.1 200 OK"] * 500
    del case, baseline


@threat("C13")
def test_new_connections_a_second_are_sustained(case, lab):
    begin, done = time.monotonic(), 0
    while time.monotonic() - begin < 3:
        answer, _ = web.talk(lab.agent, at.AL, 80, web.request_bytes("allowed.test", headers=["Connection: close"]))
        assert answer.startswith(b"HTTP/1.1 200")
        done += 1
    assert done > 100, f"{done} in three seconds from one thread"
    del case


@threat("T091", "T068")
def test_memory_after_everything_is_within_the_ceiling(case, router):
    assert router.resident_bytes() < 400 << 20
    del case
