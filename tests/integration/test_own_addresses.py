"""The gateway's own addresses: never dialled nor told for a mere name or a range, whenever the machine got them."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import struct
import threading

import pytest

from lab import addresses as at
from lab import dns_questions as ask
from lab import dns_wire, wait, web
from lab.case import Case

threat = pytest.mark.threat

LATE, LATE6 = "45.33.32.77", "2600:3c01::77"
METRICS = 9090
ANYIP = "2600:3c01:0:9::"
EVERYWHERE = at.POLICY + "endpoints:\n  - {cidr: 45.33.32.0/24, port: 9090, protocol: tcp}\n  - {cidr: 0.0.0.0/1, port: 9090, protocol: tcp}\n"


@contextlib.contextmanager
def answering(namespace, address, port, body=b"here\n"):
    """A server that says one thing to everybody; gives what it accepted."""
    accepted = []
    with namespace.entered():
        listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                link, peer = listener.accept()
                accepted.append(peer)
                with link, contextlib.suppress(OSError):
                    link.recv(65536)
                    link.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield accepted
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@threat("T176")
@pytest.mark.parametrize(("address", "kind"), [(LATE, "a"), (LATE6, "aaaa")], ids=["IPv4", "IPv6"])
def test_an_address_that_the_machine_got_later_is_neither_dialled_nor_told(lab, make_gateway, address, kind):
    """T176: a laptop's new network, a privacy address of IPv6."""
    one = make_gateway().start()
    case = Case(lab, one.log)
    name = f"late-{kind}.wild.test"
    lab.dns.set(name, **{kind: [address]})
    lab.gw.ip("address", "add", f"{address}/128" if ":" in address else f"{address}/32", "dev", "up0", *(["nodad"] if ":" in address else []))
    try:
        with answering(lab.gw, address, 80) as accepted:
            for reloaded in (False, True):
                if reloaded:
                    one.reload()
                wait.until(lambda: ask.ask(lab, name, 28 if kind == "aaaa" else 1).addresses() == [], "DNS knows of it")
                assert web.http(lab.agent, name, "/", at.WILD).status == 502
            assert accepted == []
        case.record(host=name, reason="private_address", action="blocked")
        lab.gw.ip("address", "del", f"{address}/128" if ":" in address else f"{address}/32", "dev", "up0")
        if kind == "a":
            lab.up.ip("address", "add", f"{LATE}/24", "dev", "out0")
            with answering(lab.up, LATE, 80):
                assert web.http(lab.agent, name, "/", at.WILD).body == b"here\n", "it is another machine's now"
    finally:
        lab.gw.run("ip", "address", "del", f"{address}/128" if ":" in address else f"{address}/32", "dev", "up0", check=False)
        lab.up.run("ip", "address", "del", f"{LATE}/24", "dev", "out0", check=False)
    case.control()


@threat("T173")
def test_a_range_never_means_the_gateways_own_addresses(lab, make_gateway):
    """T173: an endpoint range in which the gateway stands does not open its metrics."""
    one = make_gateway(policy=EVERYWHERE, arguments=["--metrics", f"[::]:{METRICS}"]).start()
    case = Case(lab, one.log)
    read = b"GET / HTTP/1.1\r\n\r\n"
    assert b"soleroute_" in web.talk(lab.gw, at.GWUP, METRICS, read)[0], "the gateway's own machine reads them"
    answer, how = web.talk(lab.agent, at.GWUP, METRICS, read)
    assert answer == b"", how
    case.record(reason="private_address", port=METRICS)
    for target in (at.GWUP, "0.0.0.0", "127.9.9.9"):
        request = f"CONNECT {target}:{METRICS} HTTP/1.1\r\nHost: {target}:{METRICS}\r\n\r\n".encode()
        answer, how = web.talk(lab.agent, at.GW, 8080, request)
        assert answer.split()[1:2] in ([b"502"], [b"403"]), (target, answer[:80])
    case.may_leave.add((at.SPARE, 6, METRICS))
    with answering(lab.up, at.SPARE, METRICS):
        answer, how = web.talk(lab.agent, at.SPARE, METRICS, read)
        assert answer.endswith(b"here\n"), "another machine of the range"
    one.reload(EVERYWHERE + f"  - {{cidr: {at.GWUP}, port: {METRICS}, protocol: tcp}}\n")
    answer, how = web.talk(lab.agent, at.GWUP, METRICS, read)
    assert b"soleroute_" in answer, "who lists the very address means it"
    case.finish()


@threat("T226")
def test_a_secondary_address_that_came_later_is_the_gateways_own(lab, make_gateway):
    """T226: towards it the kernel takes the first address of the network as the source, as towards a neighbour's."""
    one = make_gateway(policy=EVERYWHERE, arguments=["--metrics", f"[::]:{METRICS}"]).start()
    case = Case(lab, one.log)
    lab.dns.set("late-a.wild.test", a=[LATE])
    lab.gw.ip("address", "add", f"{LATE}/24", "dev", "up0")
    try:
        wait.until(lambda: ask.ask(lab, "late-a.wild.test").addresses() == [], "DNS knows of it")
        with answering(lab.gw, LATE, 80) as accepted:
            assert web.http(lab.agent, "late-a.wild.test", "/", at.WILD).status == 502
            assert accepted == []
        case.record(host="late-a.wild.test", reason="private_address", action="blocked")
        answer, how = web.talk(lab.agent, LATE, METRICS, b"GET / HTTP/1.1\r\n\r\n")
        assert answer == b"", how
        case.record(reason="private_address", port=METRICS)
    finally:
        lab.gw.run("ip", "address", "del", f"{LATE}/24", "dev", "up0", check=False)
    case.control()


@threat("T226")
def test_a_prefix_that_was_routed_to_the_machine_is_its_own(lab, make_gateway):
    """T226: a whole prefix may end here (AnyIP), with no address on any interface."""
    one = make_gateway().start()
    case = Case(lab, one.log)
    own, elsewhere = ANYIP + "5", at.WILD6
    lab.dns.set("anyip.wild.test", aaaa=[own])
    lab.dns.set("both.wild.test", aaaa=[own, elsewhere])
    lab.gw.ip("-6", "route", "add", "local", f"{ANYIP}/64", "dev", "lo")
    try:
        wait.until(lambda: ask.ask(lab, "anyip.wild.test", dns_wire.AAAA).addresses() == [], "DNS knows of it")
        with answering(lab.gw, "::", 80) as accepted:
            assert web.http(lab.agent, "anyip.wild.test", "/", at.WILD).status == 502
            assert web.http(lab.agent, "both.wild.test", "/", at.WILD).status == 200, "the other address is tried"
            assert accepted == []
        assert ask.ask(lab, "both.wild.test", dns_wire.AAAA).addresses() == [elsewhere]
        case.record(host="anyip.wild.test", reason="private_address", action="blocked")
    finally:
        lab.gw.run("ip", "-6", "route", "del", "local", f"{ANYIP}/64", "dev", "lo", check=False)
    case.control()


@threat("T226")
def test_what_only_marked_packets_are_looked_up_in_is_not_the_gateways_own(lab, make_gateway):
    """T226: a transparent proxy beside the gateway has a table in which everything ends on the machine."""
    lab.gw.ip("rule", "add", "fwmark", "7", "lookup", "100")
    lab.gw.ip("route", "add", "local", "0.0.0.0/0", "dev", "lo", "table", "100")
    try:
        one = make_gateway().start()
        case = Case(lab, one.log)
        assert ask.ask(lab, "allowed.test").addresses() == [at.AL]
        case.control()
    finally:
        lab.gw.run("ip", "route", "del", "local", "0.0.0.0/0", "dev", "lo", "table", "100", check=False)
        lab.gw.run("ip", "rule", "del", "fwmark", "7", check=False)


def seconds_of(lab, one, name, questions):
    """The gateway's processor time for so many cached answers, one after the other."""
    question = dns_wire.question(name, dns_wire.A)
    with lab.agent.entered():
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with asking:
        asking.settimeout(5)
        asking.connect((at.GW, 53))
        before = one.cpu_seconds()
        for number in range(questions):
            asking.send(struct.pack("!H", number) + question[2:])
            asking.recv(4096)
        return one.cpu_seconds() - before


@threat("T225")
def test_a_name_with_many_addresses_costs_no_more_than_a_few_of_one(lab, make_gateway):
    """T225: an agent's own zone must not take DNS from its neighbours."""
    one = make_gateway(arguments=["--workers", "1"]).start()
    case = Case(lab, one.log)
    lab.dns.set("one.wild.test", a=[at.WILD], ttl=300)
    lab.dns.set("many.wild.test", a=[f"45.33.{40 + i // 250}.{i % 250 + 1}" for i in range(500)], ttl=300)
    assert len(ask.ask_tcp(lab, "many.wild.test").addresses()) == 16
    assert ask.ask(lab, "one.wild.test").addresses() == [at.WILD]
    few, many = (seconds_of(lab, one, name, 600) for name in ("one.wild.test", "many.wild.test"))
    assert many < 5 * few + 0.1, (few, many)
    case.control()


@threat("T227")
def test_without_descriptors_nothing_is_said_of_addresses(lab, make_gateway):
    """T227: a neighbour that is refused a descriptor is told so, or nothing; not that a name is the gateway's own."""
    one = make_gateway(arguments=["--workers", "1"], limit_files=1000).start()
    case = Case(lab, one.log)
    assert ask.ask(lab, "allowed.test").addresses() == [at.AL]
    mark = one.log.mark()
    lab.gw.run("prlimit", f"--pid={one.pid}", "--nofile=0:1000")
    try:
        for _ in range(3):
            assert ask.ask(lab, "allowed.test").addresses() == [at.AL]
        with contextlib.suppress(OSError, AssertionError):
            web.http(lab.agent, "allowed.test", "/", at.AL)
        assert one.log.find(mark, reason="private_address") == []
    finally:
        lab.gw.run("prlimit", f"--pid={one.pid}", "--nofile=1000:1000")
    case.control()
