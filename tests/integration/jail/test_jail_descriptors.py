"""Standard input, output and error of a jailed command: what could lead out of the jail is refused before it starts."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import pty
import select
import socket
import subprocess

import pytest

from lab import addresses as at

NAMES = ("standard input", "standard output", "standard error")


def connected(family, kind, address):
    made = socket.socket(family, kind)
    made.connect(address)
    return made


def listening(family, address):
    made = socket.socket(family, socket.SOCK_STREAM)
    made.bind(address)
    made.listen()
    return made


class Descriptor:
    def __init__(self, number):
        self.number = number

    def fileno(self):
        return self.number

    def close(self):
        os.close(self.number)


# What each is, made in the gateway's network namespace: outside the jail.
CABLES = {
    "TCP to an allowed host": (lambda: connected(socket.AF_INET, socket.SOCK_STREAM, (at.AL, 80)), "is a socket"),
    "TCP that listens": (lambda: listening(socket.AF_INET, ("127.0.0.1", 0)), "is a socket"),
    "UDP, not connected": (lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "is a socket"),
    "UDP, connected": (lambda: connected(socket.AF_INET, socket.SOCK_DGRAM, (at.AL, 53)), "is a socket"),
    "UDP over IPv6": (lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), "is a socket"),
    "netlink": (lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0), "is a socket"),
    "Unix datagrams: abstract names are the maker's": (lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0], "is a socket"),
    "a Unix stream that is not connected yet": (lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), "is a socket"),
    "a Unix stream that listens": (lambda: listening(socket.AF_UNIX, "\0soleroute-test-" + str(os.getpid())), "is a socket"),
    "a folder: below it are the sockets that mounts hide": (lambda: Descriptor(os.open("/", os.O_RDONLY | os.O_DIRECTORY)), "is a directory"),
    "a path": (lambda: Descriptor(os.open("/tmp", os.O_PATH)), "is a path"),
    "a network namespace": (lambda: Descriptor(os.open("/proc/self/ns/net", os.O_RDONLY)), "is a kernel handle"),
    "what waits for others": (select.epoll, "is a kernel handle"),
}


@pytest.fixture
def marker(folder):
    return folder / "started"


class TestRefused:
    @pytest.mark.parametrize("what", CABLES)
    @pytest.mark.parametrize("kind", ["user", "sudo"])
    def test_what_leads_out_is_no_standard_input(self, jail_of, lab, marker, kind, what):
        make, fault = CABLES[what]
        with lab.gw.entered():
            cable = make()
        done = jail_of(kind).run("touch", marker, stdin=cable)
        cable.close()
        assert done.returncode == 3, done
        assert f"standard input {fault}" in done.stderr
        assert not marker.exists()

    @pytest.mark.parametrize("number", [1, 2])
    def test_nor_standard_output_or_error(self, jail, lab, marker, number):
        with lab.gw.entered():
            cable = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        streams = {1: {"stdout": cable}, 2: {"stderr": cable, "stdout": subprocess.PIPE}}[number]
        process = jail.start("touch", marker, **streams)
        process.wait(30)
        cable.close()
        assert process.returncode == 3
        if number == 1:
            assert f"{NAMES[1]} is a socket".encode() in process.stderr.read()
        assert not marker.exists()

    def test_such_a_socket_is_a_way_out_of_a_network_namespace(self, lab):
        """Control: what the refusal prevents."""
        with lab.gw.entered():
            cable = connected(socket.AF_INET, socket.SOCK_STREAM, (at.AL, 80))
        probe = "import socket; s = socket.socket(fileno=0); s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(s.recv(8))"
        done = subprocess.run(lab.gw.command("unshare", "--net", "python3", "-c", probe), stdin=cable, capture_output=True,
                              text=True, timeout=30, check=False)
        cable.close()
        assert "HTTP/1." in done.stdout, done


class TestPassedOn:
    @pytest.mark.parametrize("kind", ["user", "sudo"])
    def test_pipes_files_and_connected_unix_streams_work(self, jail_of, folder, kind):
        jail = jail_of(kind)
        assert jail.run("cat", input=b"pipe").stdout == "pipe"
        (folder / "file").write_text("file")
        with (folder / "file").open() as file:
            assert jail.run("cat", stdin=file).stdout == "file"
        ours, theirs = socket.socketpair()
        ours.sendall(b"socket pair")
        ours.shutdown(socket.SHUT_WR)
        assert jail.run("cat", stdin=theirs).stdout == "socket pair"
        with open("/dev/null") as null:
            assert jail.run("cat", stdin=null).returncode == 0

    def test_terminals_work(self, jail):
        ours, theirs = pty.openpty()
        done = jail.run("test", "-t", "0", stdin=theirs)
        os.close(ours)
        os.close(theirs)
        assert done.returncode == 0, done
