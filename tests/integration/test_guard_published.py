"""`gateway guard --publish`: servers of the agent are reached from outside, and that is no way out for it."""
# SPDX-License-Identifier: GPL-3.0-or-later

import socket
import subprocess

import pytest
import yaml

from lab import addresses as at
from lab import page_examples
from test_guard import guard, works  # noqa: F401 (a fixture)

threat = pytest.mark.threat

PORT = 3000


@pytest.fixture
def server(lab):
    """Listens in the agent's namespace on PORT and PORT + 1."""
    with lab.agent.entered():
        sockets = [socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) for port in (PORT, PORT + 1)]
    for one in sockets:
        one.settimeout(5)
    yield sockets
    for one in sockets:
        one.close()


def dial(namespace, port, address=at.AG, wait_s=1.0):
    """The connected socket, or nothing."""
    with namespace.entered():
        try:
            return socket.create_connection((address, port), timeout=wait_s)
        except OSError:
            return None


def answered(listener, link):
    """The agent's server takes the connection and answers."""
    peer, _ = listener.accept()
    with peer, link:
        peer.sendall(b"served")
        peer.shutdown(socket.SHUT_WR)
        link.settimeout(5)
        return link.recv(100)


def test_a_published_port_is_reached_and_no_other(lab, guard, server):  # noqa: F811
    closed = guard()
    assert dial(lab.neighbour, PORT, wait_s=0.5) is None, "the control: nothing comes in unless it is published"
    closed.remove()
    guard("--publish", str(PORT))
    for _ in range(2):
        assert answered(server[0], dial(lab.neighbour, PORT)) == b"served"
    assert dial(lab.neighbour, PORT + 1, wait_s=0.5) is None
    assert works(lab)


@threat("T016")
def test_no_connection_that_the_agent_opens_leaves_from_a_published_port(lab, guard, server):  # noqa: F811
    with lab.neighbour.entered():
        listener = socket.create_server((at.NEIGHBOUR, 0))
    target = listener.getsockname()
    before = dial(lab.neighbour, PORT + 1)
    assert before is not None, "it stood before the guard"
    older, _ = server[1].accept()
    guard("--publish", str(PORT))
    assert answered(server[0], dial(lab.neighbour, PORT)) == b"served", "the control"
    server[0].close()
    with lab.agent.entered():
        for source in (PORT, 0):
            link = socket.socket()
            link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            link.settimeout(2)
            link.bind((at.AG, source))
            with link, pytest.raises(ConnectionRefusedError):
                link.connect(target)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.bind((at.AG, PORT))
            link.connect(target)
            with pytest.raises(OSError):
                link.send(b"x")
                link.send(b"x")
    before.settimeout(0.5)
    older.sendall(b"leak")
    with pytest.raises(TimeoutError):
        before.recv(10)
    for one in (before, older, listener):
        one.close()


def test_the_page_example_names_the_option_that_the_guard_reads(lab, gateway_binary):
    del lab
    services = yaml.safe_load(page_examples.block("docs/networks.md", "Published ports"))["services"]
    port = services["agent-guard"]["environment"]["GATEWAY_GUARD_PUBLISH"]
    assert services["agent-net"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    wrong = subprocess.run([gateway_binary, "guard", "--gateway", at.GW], env={"GATEWAY_GUARD_PUBLISH": "x"}, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "GATEWAY_GUARD_PUBLISH: 'x' is not a port" in wrong.stderr
