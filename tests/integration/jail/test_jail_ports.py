"""Ports of a jail: the command may have every one, may reach those of the machine that are listed, and publish its own."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import socket
import subprocess
import threading
import urllib.request

import pytest

from lab import addresses as at
from lab import page_examples

PAGE = "docs/networks.md"
NAME = "host.gateway.internal"


class EchoServer:
    """Answers each connection in `namespace` with a text and what it was sent first."""

    def __init__(self, namespace, address, text, port=0):
        self.text = text
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with namespace.entered():
            self.socket = socket.socket(family)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((address, port))
            self.socket.listen()
        self.port = self.socket.getsockname()[1]
        self.seen = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                link, peer = self.socket.accept()
            except OSError:
                return
            with link:
                self.seen.append(peer)
                link.settimeout(5)
                got = link.recv(1000)
                body = f"{self.text}\n".encode()
                if got.startswith(b"GET "):
                    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body))
                link.sendall(body)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def served(lab):
    made = []

    def make(address="127.0.0.1", text="host service", port=0):
        made.append(EchoServer(lab.gw, address, text, port))
        return made[-1]

    yield make
    for one in made:
        one.close()


# --- Ports of the command's own ---

BIND_ALL = """
import json, socket
failed = []
for family, wild in ((socket.AF_INET6, "::"),):  # of both families
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        for port in range(1024, 65536):
            with socket.socket(family, kind) as s:
                try:
                    s.bind((wild, port))
                    if kind == socket.SOCK_STREAM: s.listen()
                except OSError as error:
                    failed.append((port, str(error)))
print(json.dumps(failed))
"""


def test_every_port_that_a_command_may_bind_is_free(any_jail):
    done = any_jail.run("/usr/bin/python3", "-c", BIND_ALL)
    assert json.loads(done.stdout) == [], done.stderr


@pytest.mark.parametrize("port", [8080, 3000])
def test_a_dev_server_binds_its_usual_port_and_is_what_curl_finds(jail, port):
    (jail.folder / "index.html").write_text("mine\n")
    script = f"/usr/bin/python3 -m http.server {port} 2>/dev/null & until curl -s http://localhost:{port}/; do :; done"
    assert jail.run("sh", "-c", f"{script}; kill $!").stdout == "mine\n"


# --- Services of the machine ---


def fetch(name, port, path="/"):
    return ("get", f"http://{name}:{port}{path}")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_listed_port_of_the_machine_is_reached_and_no_other(jail, served, address):
    listed, other = served(address), served(address, "other")
    args = ["--host-port", str(listed.port)]
    answers = jail.calls(fetch(NAME, listed.port), fetch(NAME, other.port), fetch("localhost", listed.port), args=args)
    assert [answers[0]["status"], answers[0]["body"]] == [200, "host service\n"]
    assert [answer["status"] for answer in answers[1:]] == [0, 0]
    assert not other.seen, "the control: the listed one was seen"
    assert len(listed.seen) == 1


def test_without_a_line_the_name_does_not_exist(jail, served):
    server = served()
    assert "not known" in jail.call("look_up", NAME) or "No address" in jail.call("look_up", NAME)
    for wildcard in ('"*.gateway.internal"', '"*.internal"'):
        (jail.folder / "policy.yaml").write_text(f"domains:\n  - {wildcard}\nendpoints:\n  - {{host: x.test, port: {server.port}}}\n")
        assert jail.call(*fetch(NAME, server.port))["status"] == 0
    assert not server.seen


@pytest.mark.parametrize("name", [NAME, "host.docker.internal", "host.containers.internal"])
def test_each_name_of_the_host_means_this_machine(jail_of, served, name):
    server = served()
    jail = jail_of(policy=f"endpoints:\n  - {{host: {name}, port: {server.port}}}\n")
    assert jail.call(*fetch(name, server.port))["body"] == "host service\n"
    assert jail.call(*fetch(name, server.port), "http://100.64.0.1:3128", args=["--explicit-proxy", "3128"])["body"] == "host service\n"


def test_the_page_example_reaches_a_model_on_this_machine(jail_of, served):
    served(port=11434, text="model")
    jail = jail_of(policy=page_examples.block(PAGE, "Host services"))
    assert jail.call(*fetch(NAME, 11434))["body"] == "model\n"


def test_the_log_names_the_host_and_the_port(jail, served, folder):
    server = served()
    log = folder / "decisions"
    jail.call(*fetch(NAME, server.port), args=["--host-port", str(server.port), "--decisions", str(log)])
    records = [json.loads(line) for line in log.read_text().splitlines()]
    passed = [record for record in records if record["phase"] == "connect"]
    assert [(one["action"], one["host"], one["port"]) for one in passed] == [("allowed", NAME, server.port)], records


# --- Servers of the command, reached from the machine ---


def free_port(lab):
    with lab.gw.entered(), socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


SERVE = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("inside " + self.path).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
        if self.path == "/end": sys.stdout.flush(); import os; os._exit(0)
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    address_family = __import__("socket").AF_INET6 if ":" in sys.argv[1] else __import__("socket").AF_INET
server = Server((sys.argv[1], int(sys.argv[2])), Page)
print("ready", flush=True)
server.serve_forever()
"""


def get(lab, port, path="/", address="127.0.0.1"):
    with lab.gw.entered():
        return urllib.request.urlopen(f"http://{address}:{port}{path}", timeout=5).read().decode()


@pytest.mark.parametrize("bound", ["127.0.0.1", "::1", "0.0.0.0"])
def test_a_published_server_is_reached_wherever_it_listens(jail, lab, bound):
    outside = free_port(lab)
    process, _ = jail.ready("/usr/bin/python3", "-c", SERVE, bound, "3000", args=["--publish", f"{outside}:3000"])
    assert get(lab, outside, "/one") == "inside /one"
    assert get(lab, outside, "/two") == "inside /two"
    assert lab.gw.run("ss", "-Htln", f"sport = :{outside}").stdout.split()[3] == f"127.0.0.1:{outside}"
    process.kill()
    process.wait()
    with pytest.raises(OSError):
        get(lab, outside)


def test_each_kind_of_jail_publishes(any_jail, lab):
    outside = free_port(lab)
    any_jail.ready("/usr/bin/python3", "-c", SERVE, "127.0.0.1", "3000", args=["--publish", f"127.0.0.1:{outside}:3000"])
    assert get(lab, outside, "/callback?code=1") == "inside /callback?code=1"


def test_a_busy_port_is_an_error_before_the_command_starts(jail, served):
    taken = served()
    done = jail.run("sh", "-c", "echo started", args=["--publish", f"{taken.port}:3000"])
    assert (done.returncode, done.stdout) == (3, "")
    assert f"--publish: cannot listen on 127.0.0.1:{taken.port}: Address already in use" in done.stderr


@pytest.mark.parametrize("text", ["", "0", "x", "70000", "1:2:3:4", "1.2.3:1:2", "3000:", "53", "127.0.0.1::53"])
def test_what_is_no_port_to_publish_is_a_usage_error(jail, text):
    done = jail.run("true", args=["--publish", text])
    assert done.returncode == 2 and "--publish" in done.stderr


def test_without_a_server_inside_the_connection_ends(jail, lab):
    outside = free_port(lab)
    process, _ = jail.ready("sh", "-c", "echo ready; read line", args=["--publish", f"{outside}:3000"], stdin=subprocess.PIPE)
    with pytest.raises(OSError):
        get(lab, outside)
    process.stdin.close()
    assert process.wait(10) is not None


LEAK = """
import errno, json, os, socket, sys
out = {}
def tried(name, attempt):
    try: attempt(); out[name] = "ok"
    except OSError as error: out[name] = errno.errorcode.get(error.errno, "timeout")
def from_port(source, to):
    s = socket.socket(); s.settimeout(2); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("0.0.0.0", source)); s.connect(to); s.close()
evil, outside = sys.argv[1], int(sys.argv[2])
tried("plainly", lambda: socket.create_connection((evil, 9999), timeout=2))
tried("from the published port", lambda: from_port(3000, (evil, 9999)))
tried("to the machine's loopback", lambda: socket.create_connection(("127.0.0.1", outside), timeout=2))
tried("to the published port as a host service", lambda: socket.create_connection(("host.gateway.internal", outside), timeout=2).recv(1))
fds = [os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd") if fd not in "012" and os.path.exists("/proc/self/fd/" + fd)]
out["sockets"] = [fd for fd in fds if fd.startswith("socket")]
print(json.dumps(out), flush=True)
"""


def test_a_published_port_is_no_way_out(any_jail, lab):
    outside = free_port(lab)
    before = lab.ev.mark()
    args = ["--publish", f"{outside}:3000", "--host-port", str(outside)]
    tried = json.loads(any_jail.run("/usr/bin/python3", "-c", LEAK, at.EV, str(outside), args=args).stdout)
    assert tried.pop("sockets") == []
    assert tried.pop("to the published port as a host service") == "ECONNRESET", "it would lead back inside"
    assert set(tried.values()) == {"ECONNREFUSED"}, tried
    assert not lab.ev.since(before)
