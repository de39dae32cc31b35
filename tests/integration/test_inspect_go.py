"""Go's HTTP/2 on both sides of an inspecting gateway: it gives window back in steps of 4,096 bytes."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import addresses as at
from lab import http2_wire, inspection

threat = pytest.mark.threat
HOST = "spare.wild.test"
SIZE = 48 << 20  # five times what such a transfer once ended at
SOURCE = Path(http2_wire.__file__).with_name("http2_steps.go")


@pytest.fixture(scope="module")
def program(lab):
    if not shutil.which("go"):
        pytest.skip("needs go: see tools/packages.txt")
    folder = lab.folder / "go-steps"
    folder.mkdir()
    settings = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "GOFLAGS": "-p=2"}
    subprocess.run(["go", "build", "-o", folder / "steps", SOURCE], check=True, env=settings, capture_output=True, timeout=240)
    folder.chmod(0o755)
    return str(folder / "steps")


@pytest.fixture(scope="module")
def server(lab, program):
    certificate, key = lab.ca.issue(HOST)
    process = subprocess.Popen(lab.up.command(program, "serve", f"{at.SPARE}:443", str(certificate), str(key)),
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def router(lab, gateway_binary, server, tmp_path_factory):
    del gateway_binary, server
    yield from inspection.inspecting_router(lab, tmp_path_factory, inspection.INSPECTED)


@threat("T107")
def test_a_download_that_is_read_in_small_steps_comes_whole(lab, router, program):
    code, said = lab.run_client(program, "get", f"https://{HOST}/{SIZE}", SSL_CERT_FILE=router.ca_certificate, timeout=120)
    assert (code, said.strip()) == (0, f"HTTP/2.0 200 {SIZE} <nil>")


@threat("T107")
def test_an_upload_that_is_read_in_small_steps_arrives_whole(lab, router, program):
    code, said = lab.run_client(program, "put", f"https://{HOST}/x", str(SIZE), SSL_CERT_FILE=router.ca_certificate, timeout=120)
    assert (code, said.strip()) == (0, f"HTTP/2.0 200 {SIZE} <nil>")
