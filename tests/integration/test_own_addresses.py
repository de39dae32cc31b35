"""The gateway's own addresses: never dialled nor told for a mere name or a range, whenever the machine got them."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import threading

import pytest

from lab import addresses as at
from lab import dns_questions as ask
from lab import web
from lab.case import Case

threat = pytest.mark.threat

LATE, LATE6 = "45.33.32.77", "2600:3c01::77"
METRICS = 9090
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
                assert ask.ask(lab, name, 28 if kind == "aaaa" else 1).addresses() == []
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
