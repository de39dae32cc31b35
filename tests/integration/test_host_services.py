"""host.gateway.internal in a router: one listed port of the engine's host, and never a listener of the gateway."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import subprocess

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import gateway as gateways
from lab import page_examples, web
from lab.rawserver import accepting

NAME = "host.gateway.internal"
HOST, PORT, METRICS = at.SPARE, 11434, 9191
POLICY = page_examples.block("docs/networks.md", "Host services")


@pytest.fixture(scope="module")
def services(lab):
    """The connections of each port of the host; a server tells the number of its port."""
    with contextlib.ExitStack() as stack:
        yield {
            port: stack.enter_context(accepting(lab.up, HOST, port, lambda link, text=b"%d" % port: link.sendall(text)))
            for port in (PORT, PORT + 1, METRICS)
        }


@pytest.fixture(scope="module")
def host_router(lab, gateway_binary, tmp_path_factory, services):
    del gateway_binary, services
    lab.reset_gateway_namespace()
    one = gateways.Gateway(lab, tmp_path_factory.mktemp("host"), POLICY, arguments=["--host-address", HOST, "--metrics", f"127.0.0.1:{METRICS}"])
    yield one.start()
    one.stop()
    lab.reset_gateway_namespace()


def said(lab, address, port):
    """What a connection from the agent is told first; empty if it is refused or reset."""
    with lab.agent.entered():
        try:
            with socket.create_connection((address, port), timeout=2) as link:
                return link.recv(100)
        except OSError:
            return b""


def test_the_listed_port_is_reached_and_no_other(lab, host_router, services):
    with lab.agent.entered():
        addresses = dns.ask(at.GW, dns.question(NAME)).addresses()
    assert addresses == [at.GW]
    mark = host_router.log.mark()
    assert said(lab, at.GW, PORT) == b"11434"
    record = host_router.log.wait_for(mark, type="decision", phase="connect", action="allowed")
    assert (record["host"], record["port"]) == (NAME, PORT)
    assert said(lab, at.GW, PORT + 1) == b"" and not services[PORT + 1]
    assert said(lab, HOST, PORT) == b"11434", "by the host's own address, as from extra_hosts of the agent"
    assert said(lab, at.WILD, PORT) == b"", "the control: another address on that port"


def test_a_connect_reaches_it_too(lab, host_router):
    del host_router
    with web.connected(lab.agent, at.GW, 8080) as link:
        link.sendall(f"CONNECT {NAME}:{PORT} HTTP/1.1\r\nHost: {NAME}:{PORT}\r\n\r\n".encode())
        link.settimeout(3)
        answer = b""
        while not answer.endswith(b"11434"):
            more = link.recv(1000)
            assert more, answer
            answer += more
    assert answer.startswith(b"HTTP/1.1 200")


def test_the_log_names_the_host_at_start(host_router):
    (said_at_start,) = host_router.log.find(0, event="host_services")
    assert f"{NAME} is {HOST} (--host-address)" in said_at_start["detail"]


@pytest.mark.parametrize("listed", ["port: 8080", "ports: [1, 8000-8100]"])
def test_the_explicit_proxy_of_the_gateway_cannot_be_listed(host_router, listed):
    record = host_router.reload(f"endpoints: [{{host: {NAME}, {listed}}}]\n", accepted=False)
    assert f"port 8080 of {NAME} is one of the gateway's own listeners" in record["detail"], record
    host_router.reload(POLICY)


def test_the_port_of_the_gateways_metrics_is_another_one_on_another_machine(lab, host_router, services):
    host_router.reload(f"endpoints: [{{host: {NAME}, port: {METRICS}}}]\n")
    assert said(lab, at.GW, METRICS) == str(METRICS).encode() and len(services[METRICS]) == 1
    host_router.reload(POLICY)


@pytest.mark.parametrize("port", [METRICS, 8080])
def test_a_listener_of_the_gateway_cannot_be_listed_on_its_own_machine(make_gateway, port):
    """The control is the test above, of another machine."""
    own = ["--host-address", at.GW_OWN, "--metrics", f"127.0.0.1:{METRICS}"]
    one = make_gateway(policy=f"endpoints: [{{host: {NAME}, port: {port}}}]\n", arguments=own).start(healthy=False)
    assert one.process.wait(20) == 2
    assert f"port {port} of {NAME} is one of the gateway's own listeners" in one.errors.decode()


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "nonsense"])
def test_no_host_is_at_an_address_of_the_cloud_or_of_everybody(gateway_binary, address):
    done = subprocess.run([gateway_binary, "serve", "--dry-run", "--host-address", address], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--host-address" in done.stderr


def test_check_names_the_line_that_works(gateway_binary, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("endpoints: [{cidr: 127.0.0.1/32, port: 5432}]\n")
    done = subprocess.run([gateway_binary, "check", str(policy)], capture_output=True, text=True, check=False)
    assert f"endpoints: [{{host: {NAME}, port: 5432}}]" in done.stdout + done.stderr
    policy.write_text(f"endpoints: [{{host: {NAME}, port: 5432}}]\n")
    done = subprocess.run([gateway_binary, "check", str(policy)], capture_output=True, text=True, check=False)
    assert "warning" not in (done.stdout + done.stderr).lower()
    asked = [gateway_binary, "explain", "--resolve", "--policy", str(policy), f"tcp://{NAME}:5432"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "allowed" in done.stdout and "a service of the machine" in done.stdout
