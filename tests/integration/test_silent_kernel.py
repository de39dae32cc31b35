"""A kernel, or a sandbox in its place, that takes requests over netlink and never answers."""
# SPDX-License-Identifier: GPL-3.0-or-later

import shutil
import subprocess
from pathlib import Path

import pytest

from lab import gateway as gateways
from lab import web

threat = pytest.mark.threat

SOURCE = Path(__file__).resolve().parents[1] / "support" / "silent_kernel.c"
ROUTE, NETFILTER = 0, 12  # SO_PROTOCOL
LIMIT = 3  # seconds


@pytest.fixture(scope="module")
def silence(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang-19")
    if not compiler:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("silence") / "silent_kernel.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return library


@threat("T178")
def test_a_kernel_that_never_answers_is_given_up_after_a_stated_time(lab, make_gateway, silence):
    """T178: closed, and it says so: exit 3 instead of a start that never ends."""
    started = []
    for protocol in (ROUTE, NETFILTER):
        one = make_gateway()
        command = lab.gw.command("env", f"LD_PRELOAD={silence}", f"SILENT_NETLINK={protocol}", gateways.binary(), *one.arguments)
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    for process in started:
        try:
            _, said = process.communicate(timeout=LIMIT + 3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError("it still waits") from None
        assert process.returncode == 3
        assert f"did not answer over netlink within {LIMIT} s" in said
    one = make_gateway().start()
    assert web.http(lab.agent, "allowed.test").body == b"AL\n"
    assert one.stop() == 0
