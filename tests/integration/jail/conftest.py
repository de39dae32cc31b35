"""Fixtures of the jail's battery: `gateway run` in the laboratory's gateway namespace, as each kind of user."""
# SPDX-License-Identifier: GPL-3.0-or-later

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from jail import Jail, KINDS  # noqa: E402


@pytest.fixture(scope="session")
def world():
    """A folder that every user may enter: the program is copied there, the tests' own folders are below it."""
    folder = Path(tempfile.mkdtemp(prefix="soleroute-jail-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def program(world, gateway_binary):
    copy = world / "gateway"
    shutil.copy(gateway_binary, copy)
    copy.chmod(0o755)
    inside = world / "inside.py"
    shutil.copy(Path(__file__).with_name("inside.py"), inside)
    inside.chmod(0o644)
    return copy


@pytest.fixture
def folder(world):
    """A working directory of one test, which its user may write to."""
    path = Path(tempfile.mkdtemp(prefix="case-", dir=world))
    path.chmod(0o777)
    return path


@pytest.fixture
def jail_of(lab, program, folder):
    """jail_of(kind) makes jails as that kind of user; whatever is still running at the end is killed."""
    made = []

    def make(kind="user", **options):
        made.append(Jail(lab.gw, program, folder, kind, **options))
        return made[-1]

    yield make
    for jail in made:
        jail.close()


@pytest.fixture
def jail(jail_of):
    return jail_of()


@pytest.fixture(params=KINDS)
def any_jail(request, jail_of):
    """A jail of each kind of user that starts one."""
    return jail_of(request.param)
