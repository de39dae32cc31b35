"""The sidecar topology: gateway and agent share one network namespace, told apart by a packet mark."""
# SPDX-License-Identifier: GPL-3.0-or-later

import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from lab import addresses as at
from lab import agent as agents
from lab import dns_wire as dns
from lab import gateway as gateways
from lab import tls_wire as tls
from lab import wait, web
from lab.case import Case

threat = pytest.mark.threat

METRICS = 9090


class Sidecar(gateways.Gateway):
    def __init__(self, lab, folder, policy=at.POLICY, arguments=()):
        super().__init__(lab, folder, policy)
        self.arguments = ["--topology", "sidecar", "--policy", str(self.policy_file), "--resolver", at.NS, "--control", str(self.control),
                          "--ca-dir", str(self.folder / "ca"), *arguments]


class SharedLab:
    """The laboratory seen from a program in the gateway's own namespace."""

    def __init__(self, lab):
        self._lab = lab
        self.agent = lab.gw

    def __getattr__(self, name):
        return getattr(self._lab, name)


class SharedCase(Case):
    """There the agent's packets have the gateway's source address: what tells them apart is where they go and the canary."""

    def control(self, scheme="http"):
        address = at.AL
        nonce = self.canary[::-1]
        mark = self.lab.al.mark()
        if scheme == "http":
            response = web.http(self.lab.agent, "allowed.test", f"/{nonce}", address)
        else:
            response = web.https(self.lab.agent, "allowed.test", self.lab.ca.certificate, f"/{nonce}", address)
        assert (response.status, response.body) == (200, b"AL\n"), (response.status, response.body[:100])
        assert self.lab.al.since(mark, nonce)
        self.controls += 1


@pytest.fixture(scope="module")
def shared(lab, gateway_binary, tmp_path_factory):
    del gateway_binary
    lab.reset_gateway_namespace()
    one = Sidecar(lab, tmp_path_factory.mktemp("sidecar"), arguments=["--metrics", f"[::]:{METRICS}"])
    one.start()
    yield one
    one.stop()
    lab.reset_gateway_namespace()


@pytest.fixture
def case(lab, shared):
    one = SharedCase(SharedLab(lab), shared.log)
    yield one
    assert shared.process.poll() is None, shared.errors
    one.finish()


@pytest.fixture(scope="module")
def inmates(lab):
    """Agents in the shared namespace. Not RD: CAP_NET_RAW may set marks, which the guard refuses to have beside it."""
    made = {kind: agents.Agent(lab.gw, kind) for kind in ("U", "R0")}
    yield made
    for one in made.values():
        one.close()


@pytest.fixture(params=["U", "R0"])
def inmate(request, inmates):
    return inmates[request.param]


@threat("C01")
def test_allowed_hosts_work_over_http_and_https(case):
    case.control("http")
    case.control("https")


def test_the_gateway_tells_about_itself(case):
    address = web.resolve(case.lab.agent, "gateway.internal").addresses()[0]
    web.http(case.lab.agent, f"{case.canary}.evil.test", "/", address=at.EV)
    home = web.http(case.lab.agent, "gateway.internal", "/", address)
    assert home.status == 200 and b"restricted by an allowlist" in home.body
    told = web.http(case.lab.agent, "gateway.internal", "/denials", address)
    assert case.canary.encode() in told.body
    case.no_query("gateway.internal")


@threat("T002", "T013")
def test_other_ports_are_refused_at_once(case, inmate):
    for target in (at.EV, at.AL, at.EV6):
        for port in (22, 53, 853, 5432, 8443, 9999):
            how, answer, seconds = inmate.call("tcp", target, port, case.canary.encode(), wait=2)
            assert port == 53 or how == "refused", (target, port, how)
            assert answer == b"" and seconds < 2.5
    case.no_packet()


@threat("T001")
def test_udp_and_icmp_are_refused(case, inmate):
    for target in (at.EV, at.AL):
        for port in (443, 80, 9999):
            assert inmate.call("udp", target, port, case.canary.encode() * 40, wait=1.0)[0] in ("prohibited", "refused", "not permitted", "timeout")
        assert inmate.call("ping", target, case.canary.encode())[1] == 0
    case.no_packet()


@threat("T037")
@pytest.mark.parametrize("server", [at.EV, at.NS, "127.0.0.53", "1.1.1.1"])
def test_whatever_resolver_is_asked_the_gateway_answers(case, lab, server):
    with lab.gw.entered():
        assert at.EV not in dns.ask(server, dns.question(f"{case.canary}.evil.test")).addresses()
        assert dns.ask(server, dns.question("allowed.test")).addresses() == [at.AL]
    case.no_query()


@threat("T053", "T077", "T078")
def test_names_decide_and_not_addresses(case, lab):
    answer, how = web.talk(lab.gw, at.EV, 443, tls.client_hello("denied.test"))
    assert tls.verdict(answer, how) in ("handshake", "alert"), "the gateway's, for its page: nothing goes to the attacker"
    case.record(phase="tls", action="blocked", host="denied.test", reason="host_not_allowed")
    assert web.http(lab.gw, "denied.test", f"/{case.canary}", at.AL).status == 403
    assert web.http(lab.gw, "allowed.test", "/", at.EV).body == b"AL\n"
    with web.tls(lab.gw, "allowed.test", lab.ca.certificate, at.EV) as link:
        link.sendall(web.request_bytes("allowed.test"))
        assert web.Reader(link).response().body == b"AL\n"
    case.no_packet()


@threat("T020")
def test_without_a_capability_no_mark_can_be_set(case, inmate):
    mark = (1, 36, 0x534F4C45)
    how, _, _ = inmate.call("tcp", at.EV, 9999, case.canary.encode(), options=[mark], wait=1)
    assert how == "not permitted"


@threat("T171")
def test_no_answer_is_sent_in_the_name_of_a_server(case, lab, inmate):
    """T171: IPV6_FREEBIND; an answer forged from beside the gateway would lead an allowed name elsewhere."""
    with lab.gw.entered(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as own:
        own.bind((at.GWUP6, 0))
        own.setblocking(False)
        for target in ("::1", at.GWUP6):
            assert inmate.call("udp_from", at.NS6, 5353, target, own.getsockname()[1]) == ("not permitted", b""), target
        assert inmate.call("udp_from", at.GWUP6, 0, at.GWUP6, own.getsockname()[1], b"own", wait=0.01)[0] == "timeout"
        assert own.recv(10) == b"own", "its own address may be named"
    assert inmate.call("udp_from", "2001:db8::bad", 0, at.NS6, 53, dns.question(f"{case.canary}.evil.test"))[0] == "not permitted"
    assert inmate.call("udp_from", at.GWUP6, 0, at.NS6, 53, dns.question(f"{case.canary}.evil.test"))[0] == "answer"
    case.record(phase="dns", host=f"{case.canary}.evil.test")
    assert not case.log.find(case.log_start, client="2001:db8::bad")


@threat("T173")
def test_the_metrics_are_not_the_agents(case, lab, inmate):
    """T173: they tell what others ask for, and hold connections open."""
    assert f"{METRICS:04X}" in lab.gw.run("cat", "/proc/net/tcp6").stdout, "the listener is there"
    for own in ("127.0.0.1", "::1", at.GWUP, at.GWUP6, at.GW_OWN):
        how, answer, seconds = inmate.call("tcp", own, METRICS, b"GET / HTTP/1.1\r\n\r\n")
        assert (how, answer) == ("refused", b""), own
        assert seconds < 1
    with lab.gw.entered(), socket.create_server(("127.0.0.1", METRICS + 1)):
        assert inmate.call("tcp_scan", "127.0.0.1", [METRICS + 1]) == {METRICS + 1: "open"}, "its own ports are its own"
    del case


@threat("T179")
def test_another_table_that_keeps_questions_from_capture_is_noticed(case, lab, shared):
    """T179: closed all the same, but not healthy."""
    lab.gw.nft("table ip other {\nchain out {\ntype filter hook output priority raw; policy accept;\nudp dport 53 notrack\n}\n}\n")
    try:
        wait.until(lambda: shared.status()["health"] == "degraded", "the status to say so", 3)
        assert any("not redirected" in line for line in shared.status()["warnings"])
    finally:
        lab.gw.nft("delete table ip other")
    wait.until(lambda: shared.status()["health"] == "healthy", "health", 3)
    case.control()
    assert not case.log.find(case.log_start, type="decision", client="127.0.0.1"), "the check is no decision"


@threat("T172")
def test_a_way_out_that_is_lost_is_said_until_there_is_one_again(case, lab, shared):
    """T172: a gateway that cannot reach anybody does not call itself healthy."""
    lab.gw.ip("route", "del", "default")
    try:
        wait.until(lambda: f"no default route for IPv4 through {at.NS} any more" in shared.status()["warnings"], "the status to say so", 3)
    finally:
        lab.gw.ip("route", "add", "default", "via", at.NS)
    wait.until(lambda: shared.status()["health"] == "healthy", "health", 3)
    case.control()


@threat("T012")
@pytest.mark.parametrize("command", [["nft", "flush", "ruleset"], ["ip", "route", "add", at.EV, "via", at.NS], ["conntrack", "-F"]], ids=lambda c: c[0])
def test_the_rules_cannot_be_touched_from_beside(case, inmate, command):
    inmate.call("run", command)
    assert inmate.call("tcp", at.EV, 9999, case.canary.encode(), wait=1)[0] == "refused"


@pytest.mark.parametrize("port", [18080, 8080])
@pytest.mark.parametrize("options", [["--bind", "127.0.0.1"], []], ids=["loopback", "everywhere"])
def test_local_services_of_the_agent_still_work(case, lab, inmate, port, options):
    with lab.gw.entered():
        server = subprocess.Popen(["/usr/bin/python3", "-m", "http.server", str(port), *options], stderr=subprocess.DEVNULL)
    try:
        wait.until(lambda: inmate.call("tcp_scan", "127.0.0.1", [port]).get(port) == "open", "the agent's own server")
        how, answer, _ = inmate.call("tcp", "127.0.0.1", port, b"GET / HTTP/1.0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.0 200"), how
    finally:
        server.terminate()
        server.wait()
    del case


@threat("T027", "T028")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_it_ends_the_network_is_closed(case, lab, shared, inmates, number):
    agent = inmates["U"]
    agent.start("hammer", at.EV, 9999, 9998, case.canary.encode(), 2.0)
    shared.send_signal(number)
    shared.process.wait(15)
    begin = time.monotonic()
    for port in (80, 443):
        answer, how = web.talk(lab.gw, at.AL, port, tls.client_hello("allowed.test"), wait=1)
        assert answer == b"", how
    with lab.gw.entered():
        assert dns.ask(at.NS, dns.question("allowed.test"), timeout=0.5) is None
    assert time.monotonic() - begin < 4
    agent.result()
    case.no_packet()
    shared.start()
    case.log, case.log_start = shared.log, 0
    case.control()


@threat("T032")
def test_rules_that_are_removed_come_back(case, lab, shared):
    lab.gw.nft("delete table inet soleroute")
    wait.until(lambda: "soleroute" in lab.gw.run("nft", "list", "tables").stdout, "the rules to be back", 5)
    wait.until(lambda: shared.status()["health"] == "healthy", "health")
    case.control()


@pytest.fixture
def hosts_file(lab):
    """hosts_file(text) is /etc/hosts of the shared namespace."""
    path = Path("/etc/netns") / lab.gw.name / "hosts"
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path.write_text
    path.unlink(missing_ok=True)


def test_the_hosts_file_that_the_agent_may_write_gives_no_address(case, lab, shared, hosts_file):
    """Engines give all containers of one network namespace one file; that a router reads its own is in test_static_names.py."""
    case.canary_may_leave = True  # to the allowed host
    shared.stop()
    hosts_file(f"{at.EV} allowed.test evil.test\n")
    shared.start()
    case.log, case.log_start = shared.log, 0
    assert b"evil.test" in subprocess.run(lab.gw.command("cat", "/etc/hosts"), capture_output=True, check=True).stdout, "control"
    with lab.gw.entered():
        assert dns.ask(at.NS, dns.question("allowed.test")).addresses() == [at.AL]
    assert web.http(lab.gw, "allowed.test", f"/{case.canary}", address=at.EV).body == b"AL\n"


@threat("T024", "T025")
def test_closed_beforehand_nothing_passes_until_a_gateway_serves(case, lab, shared, gateway_binary):
    """`--close`, which the Kubernetes pod runs before anything else."""
    shared.send_signal(signal.SIGKILL)
    shared.process.wait(15)
    lab.gw.run("nft", "flush", "ruleset")
    assert web.talk(lab.gw, at.AL, 80, web.request_bytes("allowed.test"), wait=1)[0].endswith(b"AL\n"), "control: it was open"
    with lab.gw.entered():
        assert dns.ask(at.NS, dns.question("allowed.test")) is not None, "control"
    done = subprocess.run(lab.gw.command(gateway_binary, "--topology", "sidecar", "--close"), capture_output=True, text=True, check=True, timeout=20)
    assert '"event":"closed_rules"' in done.stdout
    mark = lab.capture.mark()
    for port in (22, 80, 443):
        assert web.talk(lab.gw, at.AL, port, b"leak", wait=1)[0] == b""
    with lab.gw.entered():
        assert dns.ask(at.NS, dns.question("allowed.test"), timeout=0.5) is None
    case.no_syn(mark)
    shared.start()
    case.log, case.log_start = shared.log, 0
    case.control()
