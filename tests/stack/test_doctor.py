"""`gateway doctor` on the machine: what it makes of the networks of a real engine."""
# SPDX-License-Identifier: GPL-3.0-or-later

import subprocess

import pytest

from lab import gateway as gateways


@pytest.fixture
def doctor(engine):
    program = gateways.binary()
    if not program:
        pytest.skip(f"the program is not built: set {gateways.BINARY_VARIABLE} to its path")

    def ask():
        command = engine.world.host.command(program, "doctor", "--in", "machine", "--engine", str(engine.socket))
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    return ask


@pytest.fixture
def network(engine):
    made = []

    def make(name, *options):
        net = f"10.214.{len(made)}"
        engine.docker("network", "create", "--subnet", f"{net}.0/24", "--aux-address", f"DefaultGatewayIPv4={net}.2", *options, name)
        made.append(name)

    yield make
    for name in made:
        engine.docker("network", "rm", name, check=False)


CLOSED = ("-o", "com.docker.network.bridge.enable_ip_masquerade=false")


def test_a_network_as_in_the_templates_is_well(doctor, network):
    network("good", *CLOSED)
    done = doctor()
    assert "network good leads only to its gateway" in done.stdout and "PROBLEM" not in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(("name", "options", "problem", "fix"), [
    ("isolated", ("--internal",), "network isolated is internal, and bridge netfilter is on", "remove `internal: true`"),
    ("open", (), "network open is masqueraded", "enable_ip_masquerade"),
    ("six", (*CLOSED, "--ipv6", "--subnet", "fd77:1::/64"), "network six has IPv6", "enable_ipv6"),
])  # fmt: skip
def test_a_network_that_would_not_hold_is_named_with_the_fix(doctor, network, name, options, problem, fix):
    network(name, *options)
    done = doctor()
    assert done.returncode == 1
    assert f"PROBLEM  {problem}" in done.stdout and fix in done.stdout.split(problem)[1]


def test_a_network_of_the_machine_with_the_same_numbers_is_named(doctor, network, engine):
    network("home", *CLOSED)
    assert "PROBLEM" not in doctor().stdout, "the network's own bridge is no such network"
    engine.world.host.ip("addr", "add", "10.214.0.77/24", "dev", "up0")
    try:
        done = doctor()
    finally:
        engine.world.host.ip("addr", "del", "10.214.0.77/24", "dev", "up0")
    assert done.returncode == 1 and "network home has the subnet 10.214.0.0/24, and so has this machine's up0" in done.stdout
    assert "init --replace --network" in done.stdout
