"""Fixtures of the integration battery; the laboratory itself is tests/support/lab."""
# SPDX-License-Identifier: GPL-3.0-or-later

import signal
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from lab import gateway as gateways  # noqa: E402
from lab import netns  # noqa: E402
from lab.case import Case  # noqa: E402
from lab.coverage import pytest_addoption, pytest_collection_modifyitems, pytest_configure  # noqa: E402, F401
from lab.network import Lab  # noqa: E402



def pytest_sessionstart(session):
    """A terminated run cleans up as an interrupted one does."""
    del session
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))


@pytest.fixture(scope="session")
def lab():
    reason = netns.available()
    if reason:
        pytest.skip(reason)
    laboratory = Lab()
    yield laboratory
    laboratory.close()


@pytest.fixture(scope="module")
def namespace():
    """One namespace without a laboratory around it."""
    reason = netns.available()
    if reason:
        pytest.skip(reason)
    with netns.alone() as one:
        yield one


@pytest.fixture(scope="session")
def gateway_binary():
    path = gateways.binary()
    if not path:
        pytest.skip(f"the program is not built: set {gateways.BINARY_VARIABLE} to its path")
    return path


@pytest.fixture(scope="module")
def router(lab, gateway_binary, tmp_path_factory):
    """One gateway for a module's cases, with the policy of addresses.POLICY, stopped and undone at the end."""
    del gateway_binary
    gateway = gateways.Gateway(lab, tmp_path_factory.mktemp("router"))
    lab.router = gateway
    try:
        yield gateway.start()
    finally:
        lab.router = None
        try:
            gateway.stop()
        finally:
            lab.reset_gateway_namespace()


@pytest.fixture
def make_gateway(lab, gateway_binary, tmp_path):
    """Gateways of one test: make_gateway(**options) gives one not yet started; all are ended and undone after it.

    A module's router makes room for them meanwhile.
    """
    del gateway_binary
    if lab.router:
        lab.router.stop()
    lab.reset_gateway_namespace()
    made = []

    def make(**options):
        folder = tmp_path / f"gateway{len(made)}"
        folder.mkdir()
        made.append(gateways.Gateway(lab, folder, **options))
        return made[-1]

    yield make
    for gateway in made:
        if gateway.process is not None:
            gateway.kill()
    lab.reset_gateway_namespace()
    if lab.router:
        lab.router.start()


@pytest.fixture
def case(lab, router):
    """A case against the module's gateway; its control and the oracles of every case are asked at the end."""
    one = Case(lab, router.log)
    yield one
    assert router.process.poll() is None, f"the gateway died: {router.errors.decode()}"
    one.finish()


@pytest.fixture(params=["U", "R0", "RD"])
def agent(request, lab):
    """An agent process of each privilege of docs/threats.md."""
    return lab.agent_of(request.param)


@pytest.fixture
def raw_agent(lab):
    """Root with CAP_NET_RAW, as Docker gives it by default."""
    return lab.agent_of("RD")


@pytest.fixture
def user_agent(lab):
    return lab.agent_of("U")
