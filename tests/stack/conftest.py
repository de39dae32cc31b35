"""Fixtures of the stack's tests: a world, an engine in it, the images, and a project as a user has it."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "tests" / "support"), str(Path(__file__).resolve().parent)]

import base_image  # noqa: E402
import debian13  # noqa: E402
import engine as engines  # noqa: E402
import images as image_builds  # noqa: E402
import podman as podmen  # noqa: E402
from lab import gateway as gateways  # noqa: E402
from lab import netns  # noqa: E402
from lab.coverage import pytest_addoption, pytest_collection_modifyitems, pytest_configure  # noqa: E402, F401
from project import POLICY, Project  # noqa: E402
from world import World  # noqa: E402

# Images and their base are kept here from file to file and from run to run.
_KEPT = Path(os.environ.get("SOLEROUTE_STACK_FOLDER", _ROOT / "build" / "stack"))


def pytest_sessionstart(session):
    """A terminated run cleans up as an interrupted one does."""
    del session
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    reason = netns.available() or engines.unavailable() or base_image.unavailable()
    if reason:
        pytest.skip(reason)
    one = World(tmp_path_factory.mktemp("world"))
    yield one
    one.close()


@pytest.fixture(scope="session")
def engine(world):
    """With Compose v2 where it can be had; test_compose.py says so where it cannot."""
    one = engines.Engine(world, _KEPT)
    clients, _ = debian13.clients(_KEPT)
    if clients:
        one.compose_program = clients.compose
    yield one
    one.close()


@pytest.fixture(scope="session")
def compose_1(engine):
    """docker-compose 1.29 as a program."""
    version = engine.compose(_KEPT, "version", "--short", program=engines.COMPOSE).stdout.strip()
    if not version.startswith("1."):
        pytest.skip(f"docker-compose of this machine is {version}: Debian 12's package has 1.29")
    return engines.COMPOSE


@pytest.fixture(scope="session")
def images(engine):
    """The images, built from docker/ with the program under test; their names and ages are `images.Images`."""
    program = gateways.binary()
    if not program:
        pytest.skip(f"the program is not built: set {gateways.BINARY_VARIABLE} to its path")
    return image_builds.build(engine, _KEPT, Path(program))


@pytest.fixture(scope="session")
def podman(engine, images, world):
    del images
    if reason := podmen.unavailable():
        pytest.skip(reason)
    one = podmen.Podman(world, engine.folder)
    one.take_images(engine, image_builds.BASE, image_builds.GATEWAY)
    yield one
    one.close()


@pytest.fixture(scope="session")
def host_service(world):
    return world.host_service(8888)


@pytest.fixture(scope="session")
def stack(engine, images, tmp_path_factory):
    """A project of its own, up and running, for tests that leave it as it is.

    One host of its policy has rules, so that it is inspected; the others pass through.
    """
    inspected = "  - {host: inspected.wild.test, rules: [{methods: [GET]}]}\n"
    one = Project(engine, images, tmp_path_factory.mktemp("project"), policy=POLICY + inspected)
    one.gateway_trusts_origins()
    one.up()
    one.trust_origins()
    yield one
    one.down()
