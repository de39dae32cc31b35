"""One agent takes what it is given, and no more: lookups, descriptors, lines of the log, a worker's time."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import json
import secrets
import socket
import subprocess
import threading
import time

import pytest

from lab import addresses as at
from lab import crowd, gateway, http2_wire, tls_wire, wait, web
from lab.inspection import INSPECTED

threat = pytest.mark.threat

ONE_WORKER = ("--workers", "1")
WAITING = "too many lookups of this client are waiting"
FASTER = "more than 100 new names a second from this client"
SHARE = "this client has too many connections open"


@contextlib.contextmanager
def silent_names(lab, names):
    for name in names:
        lab.dns.script(name, lambda asked: None)
    try:
        yield
    finally:
        for name in names:
            lab.dns.forget(name)


@contextlib.contextmanager
def addresses_of(lab, name, addresses):
    lab.dns.set(name, a=addresses, ttl=60)
    try:
        yield
    finally:
        lab.dns.forget(name)


def served(lab, count=8):
    """That many requests of the neighbour, one after the other, each for a name that nobody has asked for."""
    for _ in range(count):
        name = f"n{secrets.token_hex(4)}.wild.test"
        response = web.http(lab.neighbour, name, timeout=3)
        assert response.status == 200, (response.status, response.body[:200])


@threat("T160")
def test_connections_to_silent_names_leave_look_ups_to_others(lab, make_gateway):
    one = make_gateway(arguments=ONE_WORKER).start()
    names = [f"slow{n}.wild.test" for n in range(700)]
    with silent_names(lab, names):
        hellos = [tls_wire.client_hello(name) for name in names]
        with crowd.connections(lab.agent, at.WILD, 443, hellos) as links:
            wait.until(lambda: crowd.ended(links) > 300, "those over the budget to be told")
            served(lab, 12)
            assert crowd.ended(links) < len(links), "those within it wait"
        record = one.log.wait_for(0, type="decision", client=at.AG, detail=lambda text: text and WAITING in text)
        assert record["reason"] == "upstream_failed"
    wait.until(lambda: web.resolve(lab.agent, "after.wild.test").addresses(), "the agent's own budget to return")


@threat("T161")
def test_new_names_a_second_are_bounded_on_the_path_of_requests(lab, make_gateway):
    make_gateway(arguments=ONE_WORKER).start()
    mark, stop, refused = lab.dns.mark(), time.monotonic() + 2.5, []

    def ask():
        while time.monotonic() < stop:
            with contextlib.suppress(OSError, ConnectionError), web.connected(lab.agent, at.WILD, 80) as link:
                while time.monotonic() < stop:
                    link.sendall(web.request_bytes(f"d{secrets.token_hex(8)}.wild.test"))
                    response = web.Reader(link).response()
                    if response.status == 200:
                        continue
                    refused.append(response)
                    break

    begin = time.monotonic()
    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    served(lab, 2)
    for thread in threads:
        thread.join()
    took = time.monotonic() - begin
    names = {q.name for q in lab.dns.since(mark) if q.name.startswith("d")}
    assert len(names) <= 400 + 100 * took + 1, f"{len(names)} names in {took:.1f} s"
    assert len(names) >= 400, "control: as many as are granted"
    assert refused and all(r.status == 502 and FASTER.encode() in r.body for r in refused), refused[:1]


@threat("T162")
def test_attempts_of_races_take_no_descriptors_of_others(lab, make_gateway):
    one = make_gateway(arguments=ONE_WORKER, limit_files=1000).start()
    with addresses_of(lab, "many.wild.test", [at.BLACKHOLE, *(f"45.33.32.{n}" for n in range(100, 108))]):
        hellos = [tls_wire.client_hello("many.wild.test")] * 280
        with crowd.connections(lab.agent, at.WILD, 443, hellos) as links:
            wait.until(lambda: one.descriptors() > 600, "the agent's share to be in use")
            wait.holds(lambda: one.descriptors() < 950, 1.3, "some are left, however many attempts are begun")
            served(lab)
            assert crowd.ended(links) < 280, "the agent's own wait"


@threat("T162")
def test_streams_to_origins_take_no_descriptors_of_others(lab, make_gateway):
    policy = INSPECTED.replace('{host: "*.wild.test", tls: inspect}', '"*.wild.test"')
    one = make_gateway(policy=policy, arguments=(*ONE_WORKER, "--trust", str(lab.ca.certificate)), limit_files=1000).start()
    release = threading.Event()
    lab.al.script("/hang", lambda connection, request: release.wait(20))
    ca = one.folder / "ca" / "mitmproxy-ca-cert.pem"
    try:
        with contextlib.ExitStack() as stack:
            links = [stack.enter_context(http2_wire.linked(lab.agent, at.AL, "allowed.test", ca)) for _ in range(10)]
            for link in links:
                link.send(b"".join(http2_wire.get(2 * n + 1, "allowed.test", "/hang") for n in range(100)))
            record = one.log.wait_for(0, type="decision", client=at.AG, status=502)
            assert SHARE in record["detail"], record
            served(lab)
            assert one.descriptors() < 950
    finally:
        release.set()


@threat("T163")
def test_both_families_of_an_agent_are_one_client(lab, make_gateway):
    one = make_gateway(arguments=ONE_WORKER, limit_files=600).start()
    with crowd.connections(lab.agent, at.AL, 443, [b""] * 300) as first:
        wait.until(lambda: crowd.ended(first) > 0, "its share to be used up")
        with crowd.connections(lab.agent, at.AL6, 443, [b""] * 150) as second:
            wait.until(lambda: crowd.ended(second) == len(second), "nothing more over IPv6")
            served(lab)
            with crowd.connections(lab.neighbour, at.AL6, 443, [b""] * 5) as others:
                served(lab, 2)
                assert crowd.ended(others) == 0, "the neighbour has a share over IPv6 as well"
    assert one.status()["limits"]["descriptors"] == 600


def ask_control(one, question):
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(4)
        link.connect(str(one.control))
        link.sendall(json.dumps({"ask": question}).encode() + b"\n")
        return json.loads(link.makefile().readline())


def scrape(lab, port):
    with lab.gw.entered(), socket.create_connection(("127.0.0.1", port), 2) as link:
        link.settimeout(2)
        link.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        return web.read_to_end(link)[0].decode()


def answer_of(link):
    link.setblocking(True)
    link.settimeout(5)
    return web.read_to_end(link, enough=12)[0][:12]


@threat("T164")
def test_a_worker_that_does_not_come_round_is_shown_and_waited_for_by_nobody(lab, make_gateway):
    one = make_gateway(arguments=("--workers", "2", "--metrics", "127.0.0.1:9311")).start()
    worker = crowd.threads_named(one.pid, "worker")[0]
    with contextlib.ExitStack() as holding:
        holding.enter_context(crowd.held(worker))
        status = wait.until(lambda: (s := ask_control(one, "status"))["workers"]["stalled"] and s, "it to show", 2.5)
        assert (status["health"], len(status["workers"]["stalled"])) == ("degraded", 1)
        assert "soleroute_workers_stalled 1" in scrape(lab, 9311)
        requests = [web.request_bytes("allowed.test", headers=["Connection: close"])] * 16
        with crowd.connections(lab.agent, at.AL, 80, requests) as links:
            wait.until(lambda: crowd.ended(links) > 0, "those of the other worker to be served")
            one.policy_file.write_text(at.POLICY.replace("allowed.test", "other.test", 1))
            begin = time.monotonic()
            answer = ask_control(one, "reload")
            assert time.monotonic() - begin < 3
            assert answer["accepted"] and answer["behind"] == status["workers"]["stalled"], answer
            assert ask_control(one, "status")["policy"]["behind"] == answer["behind"]
            waiting = [link for link in links if not crowd.ended([link])]
            assert not one.log.find(0, type="reload"), "it is not said to be in force"
            holding.close()
            one.log.wait_for(0, type="reload", accepted=True)
            assert waiting and {answer_of(link) for link in waiting} == {b"HTTP/1.1 403"}, "decided by the new policy"
    wait.until(one.healthy, "it to be healthy again")
    assert ask_control(one, "reload").get("behind") is None


@threat("T165")
def test_silent_clients_of_metrics_and_control_socket_keep_nobody_out(lab, make_gateway):
    one = make_gateway(arguments=(*ONE_WORKER, "--metrics", "127.0.0.1:9312"), limit_files=400).start()
    with crowd.connections(lab.gw, "127.0.0.1", 9312, [b""] * 450), contextlib.ExitStack() as stack:
        for _ in range(60):
            link = stack.enter_context(socket.socket(socket.AF_UNIX))
            link.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                link.connect(str(one.control))
        cpu, begin = crowd.thread_cpu_seconds(one.pid, one.pid), time.monotonic()
        assert "soleroute_connections_open" in scrape(lab, 9312)
        assert ask_control(one, "status")["health"] == "healthy"
        served(lab, 2)
        wait.until(lambda: time.monotonic() - begin > 1, "a second")
        assert crowd.thread_cpu_seconds(one.pid, one.pid) - cpu < 0.3
        assert one.descriptors() < 150


@threat("T165")
def test_no_listener_spins_when_there_are_no_descriptors(lab, make_gateway):
    one = make_gateway(arguments=(*ONE_WORKER, "--metrics", "127.0.0.1:9313")).start()
    crowd.limit_descriptors(one.pid, one.descriptors())
    with contextlib.ExitStack() as stack:
        for port in (80, 443, 8080, 53):
            stack.enter_context(crowd.connections(lab.agent, at.GW, port, [b""] * 3))
        stack.enter_context(crowd.connections(lab.gw, "127.0.0.1", 9313, [b""] * 3))
        link = stack.enter_context(socket.socket(socket.AF_UNIX))
        link.connect(str(one.control))
        cpu, begin = one.cpu_seconds(), time.monotonic()
        wait.until(lambda: time.monotonic() - begin > 1, "a second")
        assert one.cpu_seconds() - cpu < 0.3
    crowd.limit_descriptors(one.pid, 4096)
    wait.until(one.healthy, "it to answer again")
    served(lab, 1)


@threat("T166")
def test_a_flood_of_denials_loses_those_of_the_flooder_alone(lab, make_gateway):
    one = make_gateway(arguments=ONE_WORKER).start()
    stop = threading.Event()

    def flood():
        request = web.request_bytes("denied.test") * 16
        while not stop.is_set():
            with contextlib.suppress(OSError), web.connected(lab.agent, at.EV, 80) as link:
                while not stop.is_set():
                    link.sendall(request)
                    link.recv(1 << 20)

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        record = one.log.wait_for(0, reason="log_suppressed", timeout=20)
        assert record["client"] == at.AG and record["suppressed"] > 0, record
        paths = [f"/{secrets.token_hex(6)}" for _ in range(40)]
        for path in paths:
            assert web.http(lab.neighbour, "denied.test", path, address=at.EV).status == 403
        for path in paths:
            one.log.wait_for(0, type="decision", client=at.NEIGHBOUR, path=path)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {r["client"] for r in one.log.find(0, reason="log_suppressed")} == {at.AG}
    assert one.status()["counters"]["log_records_dropped"] > 0


def started_with_output(lab, one, output):
    lab.reset_gateway_namespace()
    command = lab.gw.command(gateway.binary(), *one.arguments)
    one.process = subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE)
    wait.until(one.healthy, "the gateway to be healthy", 20)
    lab.forget_neighbours()


@threat("T167")
def test_a_log_that_cannot_be_written_is_told_of_elsewhere(lab, make_gateway):
    one = make_gateway(arguments=(*ONE_WORKER, "--metrics", "127.0.0.1:9314"))
    with open("/dev/full", "wb") as full:
        started_with_output(lab, one, full)
    told = wait.until(lambda: (log := one.status()["log"])["detail"] and log, "status to say so")
    assert told == {"written": False, "detail": "No space left on device"}
    assert "soleroute_log_failing 1" in scrape(lab, 9314)
    for _ in range(5):
        assert web.http(lab.agent, "denied.test", address=at.EV).status == 403
    served(lab, 1)
    one.process.terminate()
    said = one.process.communicate(timeout=10)[1].decode()
    assert said.count("cannot write the log: No space left on device") == 1, said


@threat("T167")
def test_a_log_that_nobody_reads_is_told_of_until_it_is_read(lab, make_gateway):
    one = make_gateway(arguments=ONE_WORKER).start()
    assert one.status()["log"] == {"written": True, "detail": ""}, "control"
    one.log.pause()
    stop = threading.Event()

    def deny():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                for _ in range(20):
                    web.resolve(lab.agent, f"{secrets.token_hex(30)}.evil.test")
                    web.http(lab.agent, "denied.test", "/" + "x" * 900, address=at.EV)

    thread = threading.Thread(target=deny)
    thread.start()
    try:
        wait.until(lambda: not one.status()["log"]["written"], "status to say so", 15)
        served(lab, 1)
    finally:
        stop.set()
        thread.join()
        one.log.resume()
    wait.until(lambda: one.status()["log"]["written"], "it to be written again")


@threat("T168")
def test_a_low_limit_is_said_with_what_it_gives(lab, make_gateway):
    low = make_gateway(arguments=ONE_WORKER, limit_files=256).start()
    limits = low.status()["limits"]
    assert limits["descriptors"] == 256 and 40 < limits["connections"] < 128, limits
    low.log.wait_for(0, type="error", message=lambda text: text and f"{limits['connections']} concurrent connections" in text)
    with crowd.connections(lab.agent, at.AL, 443, [b""] * 200) as links:
        wait.until(lambda: len(links) - crowd.ended(links) <= limits["connections"], "those over the limit to be refused")
        assert len(links) - crowd.ended(links) > limits["connections"] * 0.6, "the others are served"
        served(lab, 1)


@threat("T169")
def test_stopping_ends_idle_connections_at_once_and_gives_others_their_time(lab, make_gateway):
    one = make_gateway(arguments=ONE_WORKER).start()
    body = b"a" * 1000

    def slowly(connection, request):
        del request
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n")
        for _ in range(5):
            time.sleep(0.2)  # an origin that takes its time
            connection.send(body)

    lab.al.script("/slowly", slowly)
    with crowd.connections(lab.agent, at.AL, 443, [b""] * 3) as silent, web.connected(lab.agent, at.AL, 80) as kept:
        kept.sendall(web.request_bytes("allowed.test"))
        assert web.Reader(kept).response().status == 200
        with web.connected(lab.agent, at.AL, 80) as busy:
            busy.sendall(web.request_bytes("allowed.test", "/slowly"))
            assert busy.recv(1)
            begin = time.monotonic()
            one.process.terminate()
            wait.until(lambda: crowd.ended([*silent, kept]) == 4, "idle ones to end", 0.5)
            with lab.agent.entered(), socket.socket() as late:
                late.settimeout(0.5)
                with pytest.raises(ConnectionError):
                    late.connect((at.AL, 80))
                    assert late.recv(1), "reset"
            assert web.read_to_end(busy)[0].endswith(b"a" * 5000), "the answer under way is whole"
    assert one.process.wait(3) == 0
    assert time.monotonic() - begin < 2


@threat("T169")
def test_stopping_with_idle_connections_alone_is_quick(lab, make_gateway):
    one = make_gateway(arguments=ONE_WORKER).start()
    with crowd.connections(lab.agent, at.AL, 443, [b""] * 20), web.connected(lab.agent, at.AL, 80) as kept:
        kept.sendall(web.request_bytes("allowed.test"))
        assert web.Reader(kept).response().status == 200
        begin = time.monotonic()
        assert one.stop() == 0
        assert time.monotonic() - begin < 1
