"""Resolvers that complete names with `search` and `ndots`: their programs still reach the endpoint that was meant."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import shutil
import subprocess

import pytest

from lab import addresses as at
from lab import gateway as gateways
from lab import page_examples
from lab.rawserver import answering

HOST = "db.wild.test"
SEARCH = f"nameserver {at.GW}\nsearch default.svc.cluster.local corp.example.net corp.example\noptions ndots:5\n"
PYTHON = ("import socket, sys; link = socket.create_connection((sys.argv[1], 5432), 5); link.sendall(b'x'); "
          "print(link.recv(100).decode())")  # fmt: skip
NODE = ("const link = require('net').connect(5432, process.argv[1]); link.on('connect', () => link.write('x')); "
        "link.on('data', data => { console.log(data.toString()); link.destroy(); }); "
        "link.on('error', error => console.log(error.code));")  # fmt: skip
GO = """package main

import (
	"fmt"
	"net"
	"os"
	"time"
)

func main() {
	link, err := net.DialTimeout("tcp", os.Args[1]+":5432", 5*time.Second)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprint(link, "x")
	buffer := make([]byte, 100)
	count, err := link.Read(buffer)
	fmt.Println(string(buffer[:count]), err)
}
"""


@pytest.fixture(scope="module")
def router(lab, gateway_binary, tmp_path_factory):
    del gateway_binary
    policy = page_examples.block("docs/networks.md", "Search domains")
    gateway = gateways.Gateway(lab, tmp_path_factory.mktemp("search"), policy=policy)
    lab.router = gateway
    lab.dns.set(HOST, a=[at.SPARE])
    before = f"nameserver {at.GW}\noptions timeout:2 attempts:1\n"
    lab.agent.etc("resolv.conf", SEARCH)
    try:
        with answering(lab.up, at.SPARE, 5432, b"here"):
            yield gateway.start()
    finally:
        lab.router = None
        lab.agent.etc("resolv.conf", before)
        gateway.stop()
        lab.reset_gateway_namespace()


@pytest.fixture(scope="module")
def go_program(lab):
    if not shutil.which("go"):
        pytest.skip("needs go: see tools/packages.txt")
    folder = lab.folder / "go-dial"
    folder.mkdir()
    (folder / "dial.go").write_text(GO)
    settings = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": str(folder / "cache"), "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", folder / "dial", folder / "dial.go"], check=True, env=settings, capture_output=True, timeout=240)
    folder.chmod(0o755)
    return str(folder / "dial")


@pytest.mark.parametrize("command", [("/usr/bin/python3", "-c", PYTHON), ("node", "-e", NODE)], ids=["glibc", "Node"])
def test_a_program_reaches_the_endpoint_through_its_search_domains(lab, router, command):
    if not shutil.which(command[0]):
        pytest.skip(f"needs {command[0]}: see tools/packages.txt")
    mark = router.log.mark()
    assert "here" in lab.run_client(*command, HOST)[1]
    router.log.wait_for(mark, phase="dns", detail=lambda text: "search domain?" in (text or ""))
    assert "here" not in lab.run_client(*command, "other.wild.test")[1], "the control: no endpoint has this name"


def test_gos_own_resolver_reaches_the_endpoint(lab, router, go_program):
    del router
    assert "here" in lab.run_client(go_program, HOST)[1]
