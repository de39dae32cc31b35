"""The gateway in the place of agent-sandbox's mitmproxy container: port 8080, its variables, SIGHUP, and what it gets wrong.

No privilege, no rules, no DNS for the agent: only real clients with HTTPS_PROXY set. Each refusal stands beside a control.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import json
import os
import shutil
import subprocess

import pytest

from lab import addresses as at
from lab import agent as agents
from lab import gateway as gateways
from lab import repositories
from lab import tls_wire as tls
from lab import web
from lab.case import Case

PORT = 8080
PROXY = f"http://{at.GW_OWN}:{PORT}"
POLICY = at.POLICY + """\
  - host: rules.wild.test
    rules: [{schemes: [http], methods: [GET], path: {prefix: /repos/ok/}}]
"""


class DropIn(gateways.Gateway):
    """The program as an ordinary user without a capability, configured by the variables of agent-sandbox alone."""

    def __init__(self, lab, folder, program, policy=POLICY, **variables):
        super().__init__(lab, folder, policy)
        self.program = program
        self.arguments = ["--topology", "proxy", "--resolver", at.NS, "--workers", "1", "--explicit-proxy", "[::]:8080"]
        authority = self.folder / "mitmproxy"  # its volume proxy-state
        authority.mkdir(mode=0o700)
        os.chown(authority, agents.NOBODY, agents.NOBODY)
        self.environment = {
            "POLICY_PATH": str(self.policy_file), "PROXY_MODE": "enforce", "GATEWAY_CA_DIR": str(authority), "GATEWAY_TRUST": str(lab.ca.certificate),
            **variables,
        }  # fmt: skip

    def command(self):
        user = ["setpriv", f"--reuid={agents.NOBODY}", f"--regid={agents.NOBODY}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        return self.lab.gw.command(*user, "--no-new-privs", str(self.program), *self.arguments)

    def start(self, healthy=True):
        environment = {"PATH": os.environ["PATH"], **self.environment}
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True)
        self.log = gateways.LogReader(self.process.stdout)
        if healthy:
            self.log.wait_for(0, event="healthy")
        return self


@pytest.fixture(scope="module")
def shelf(lab, gateway_binary):
    folder = lab.folder / "dropin"
    folder.mkdir()
    folder.chmod(0o777)
    program = folder / "gateway"
    shutil.copy(gateway_binary, program)
    program.chmod(0o755)
    return folder


@pytest.fixture
def drop_in(lab, shelf, request):
    """drop_in(**variables) starts one; all are ended after the test."""
    lab.reset_gateway_namespace()
    made = []

    def start(policy=POLICY, healthy=True, **variables):
        folder = shelf / f"{request.node.name[:40].replace('/', '_')}-{len(made)}"
        folder.mkdir()
        folder.chmod(0o755)
        made.append(DropIn(lab, folder, shelf / "gateway", policy, **variables))
        return made[-1].start(healthy)

    yield start
    for one in made:
        if one.process.poll() is None:
            one.stop()


@pytest.fixture
def home(shelf, request):
    folder = shelf / f"home-{request.node.name[:40].replace('/', '_')}"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture
def case(lab):
    one = Case(lab)
    one.canary_may_leave = True
    yield one
    one.no_packet()


def needs(tool):
    if not shutil.which(tool):
        pytest.skip(f"needs {tool}")


def run(lab, home, *command, env=None):
    """A client in the agent's container, told of the proxy as agent-sandbox tells it."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "http_proxy": PROXY,
        "https_proxy": PROXY, "NO_PROXY": "localhost,127.0.0.1", "SSL_CERT_FILE": str(lab.ca.certificate), **(env or {}),
    }  # fmt: skip
    return subprocess.run(lab.client_command(*command), capture_output=True, text=True, timeout=60, check=False, cwd=home, env=environment)


def connect(lab, authority, then=b"", headers=""):
    """CONNECT, and when it is granted `then`: (status, headers, what came behind the head)."""
    with web.connected(lab.agent, at.GW_OWN, PORT, timeout=5) as link:
        link.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{headers}\r\n".encode("latin1"))
        reader = web.Reader(link)
        head = reader.head()
        if head.status == 200 and not then:
            return 200, head.headers, b""
        if head.status == 200:
            link.sendall(then)
        with contextlib.suppress(OSError):
            answer, _ = web.read_to_end(link, enough=1 if head.status == 200 else 100000)
            return head.status, head.headers, reader.buffer + answer
        return head.status, head.headers, reader.buffer


def absolute(lab, url, headers="Connection: close\r\n", host=None):
    host = host or url.split("/")[2]
    return web.talk(lab.agent, at.GW_OWN, PORT, f"GET {url} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode("latin1"))[0]


# --- Real clients ---


def test_curl_fetches_what_is_allowed_and_is_told_of_the_rest(lab, drop_in, home, case):
    needs("curl")
    one = drop_in()

    def curl(url, *options):
        return run(lab, home, "curl", "-sS", "-m", "20", "--cacert", str(lab.ca.certificate), *options, url)

    assert curl("https://allowed.test/").stdout == "AL\n"
    assert curl("http://allowed.test/").stdout == "AL\n"
    assert curl("https://x.wild.test/").stdout == "WILD\n"
    assert curl("http://denied.test/").stdout.splitlines()[0].startswith("Blocked by proxy policy: denied.test")
    denied = curl("https://denied.test/")
    assert denied.returncode == 56 and "403" in denied.stderr
    page = curl("http://gateway.internal/policy")
    assert "*.wild.test" in page.stdout, page.stderr
    assert json.loads(curl("http://gateway.internal/denials").stdout)["denials"][0]["host"] == "denied.test"
    record = one.log.wait_for(0, phase="connect", action="blocked", host="denied.test")
    assert (record["reason"], record["status"], record["method"], record["scheme"]) == ("host_not_allowed", 403, "CONNECT", "https")
    case.no_query("denied.test")


def test_git_clones_through_it(lab, drop_in, home, case, tmp_path):
    needs("git")
    if not repositories.GIT_BACKEND.exists():
        pytest.skip("needs git-http-backend")
    drop_in()
    repository = repositories.mount_git(lab.al, tmp_path)
    subprocess.run(["chmod", "-R", "a+rwX", str(repository)], check=True)
    config = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "GIT_SSL_CAINFO": str(lab.ca.certificate)}
    done = run(lab, home, "git", "-c", "safe.directory=*", "clone", "-q", "https://allowed.test/git/demo.git", str(home / "clone"), env=config)
    assert done.returncode == 0, done.stderr
    assert (home / "clone" / "README").read_text() == repositories.CONTENT
    done = run(lab, home, "git", "clone", "-q", "https://denied.test/git/demo.git", str(home / "no"), env=config)
    assert done.returncode == 128 and "403" in done.stderr
    case.no_query("denied.test")


def test_npm_installs_through_it(lab, drop_in, home, case):
    needs("npm")
    drop_in()
    repositories.mount_npm(lab.al, "https://allowed.test")
    options = ["--cafile", str(lab.ca.certificate), "--cache", str(home / "npm"), "--no-update-notifier", "--fetch-retries=0", "--no-audit", "--no-fund"]
    there = home / "installed"
    done = run(lab, home, "npm", "install", "demo", "--prefix", str(there), "--registry", "https://allowed.test/npm/", *options)
    assert done.returncode == 0, done.stderr
    assert json.loads((there / "node_modules" / "demo" / "package.json").read_text())["version"] == "1.2.3"
    done = run(lab, home, "npm", "view", "demo", "version", "--registry", "https://denied.test/npm/", *options)
    assert done.returncode != 0 and "403" in done.stderr
    case.no_query("denied.test")


_NODE = """
const http = require('http'), tls = require('tls'), fs = require('fs');
const [name, ca] = process.argv.slice(1), proxy = new URL(process.env.HTTPS_PROXY);
http.request({host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: name + ':443',
              headers: {host: name + ':443'}}).on('connect', (answer, socket) => {
  if (answer.statusCode !== 200) { console.log(answer.statusCode); return socket.destroy(); }
  const secure = tls.connect({socket, servername: name, ca: fs.readFileSync(ca)}, () => {
    secure.write('GET / HTTP/1.1\\r\\nHost: ' + name + '\\r\\nConnection: close\\r\\n\\r\\n');
  });
  let text = '';
  secure.on('data', d => text += d).on('end', () => console.log(answer.statusCode, text.split('\\r\\n\\r\\n')[1].trim()));
}).end();
"""


def test_node_tunnels_through_it(lab, drop_in, home, case):
    needs("node")
    drop_in()

    def get(name):
        return run(lab, home, "node", "-e", _NODE, name, str(lab.ca.certificate))

    assert get("allowed.test").stdout == "200 AL\n", get("allowed.test").stderr
    assert get("denied.test").stdout == "403\n"
    case.no_query("denied.test")


_PYTHON = """
import ssl, sys, urllib.request, urllib.error
context = ssl.create_default_context(cafile=sys.argv[2])
try:
    with urllib.request.urlopen(sys.argv[1], timeout=20, context=context) as answer:
        print(answer.status, answer.read().decode(), end="")
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode(), end="")
except (urllib.error.URLError, OSError) as error:
    print("failed", error)
"""


def test_python_honours_its_variables(lab, drop_in, home, case):
    drop_in()

    def get(url):
        return run(lab, home, "/usr/bin/python3", "-c", _PYTHON, url, str(lab.ca.certificate)).stdout

    assert get("https://allowed.test/") == "200 AL\n"
    assert get("http://allowed.test/") == "200 AL\n"
    assert get("http://denied.test/").startswith("403 Blocked by proxy policy: denied.test")
    assert "403" in get("https://denied.test/")
    case.no_query("denied.test")


# --- As its users know it ---


def test_a_refused_connect_says_what_agents_look_for(lab, drop_in, case):
    drop_in()
    status, headers, body = connect(lab, "denied.test:443")
    assert status == 403
    assert body.splitlines()[0].startswith(b"Blocked by proxy policy: denied.test")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert int(headers["content-length"]) == len(body)
    assert connect(lab, "allowed.test:443")[0] == 200, "control"
    case.no_query("denied.test")


def test_sighup_replaces_the_policy_and_a_bad_one_changes_nothing(lab, drop_in, case):
    one = drop_in()
    assert connect(lab, "cdn-denied.test:443")[0] == 403
    one.reload(POLICY + "  - cdn-denied.test\n")
    assert connect(lab, "cdn-denied.test:443")[0] == 200
    one.reload("domians: [allowed.test]\n", accepted=False)
    assert connect(lab, "cdn-denied.test:443")[0] == 200
    one.reload(POLICY)
    assert connect(lab, "cdn-denied.test:443")[0] == 403
    assert connect(lab, "allowed.test:443")[0] == 200, "control"
    del case


def test_the_mode_log_denies_nothing_public_and_says_what_it_would_have_denied(lab, drop_in, case):
    one = drop_in(PROXY_MODE="log")
    lab.dns.set("observed.test", a=[at.WILD])
    assert "nothing public is blocked" in one.log.wait_for(0, event="starting")["detail"]
    assert absolute(lab, "http://observed.test/").endswith(b"WILD\n")
    record = one.log.wait_for(0, phase="http", host="observed.test")
    assert (record["action"], record["observed"], record["reason"]) == ("blocked", True, "host_not_allowed")
    status, _, answer = connect(lab, "observed.test:443", tls.client_hello("observed.test"))
    assert (status, answer[:1]) == (200, b"\x16")
    assert one.log.wait_for(0, phase="tls", host="observed.test")["observed"]
    assert absolute(lab, "http://allowed.test/").endswith(b"AL\n")
    assert "observed" not in one.log.wait_for(0, phase="http", host="allowed.test"), "control"
    for private in ("127.0.0.1:8080", "169.254.169.254:80", f"{at.GW_OWN}:8080", "10.0.0.1:443"):
        assert connect(lab, private)[0] == 403, private
    lab.dns.set("inner.test", a=["10.1.2.3"])
    assert b"private_address" in absolute(lab, "http://inner.test/")
    lab.dns.forget("observed.test")
    lab.dns.forget("inner.test")
    case.may_leave |= {(at.WILD, 6, 80), (at.WILD, 6, 443)}


def test_an_unknown_mode_ends_it_before_anything_listens(drop_in, lab):
    one = drop_in(healthy=False, PROXY_MODE="enforced")
    assert one.process.wait(10) == 2
    assert b"PROXY_MODE: 'enforced' is not one of enforce, log" in one.process.stderr.read()
    del lab


def test_without_a_policy_everything_is_denied(lab, drop_in, case):
    one = drop_in(POLICY_PATH="")
    assert "all network access is blocked" in one.log.wait_for(0, event="starting")["detail"]
    assert connect(lab, "allowed.test:443")[0] == 403
    case.no_syn()


def test_the_health_check_of_its_compose_file_costs_no_log_line(lab, drop_in, case):
    one = drop_in()
    mark = one.log.mark()
    for _ in range(3):
        with web.connected(lab.agent, at.GW_OWN, PORT, timeout=5):
            pass
    assert connect(lab, "allowed.test:443", tls.client_hello("allowed.test"))[0] == 200, "control"
    one.log.wait_for(mark, type="decision", host="allowed.test")
    assert not one.log.find(mark, type="decision", reason=lambda r: r in ("malformed", "timed_out"), host=None)
    del case


def test_a_gateway_that_is_killed_leaves_nothing_open(lab, drop_in, case):
    one = drop_in()
    assert connect(lab, "allowed.test:443")[0] == 200, "control"
    mark = lab.capture.mark()
    one.kill()
    with pytest.raises(OSError):
        connect(lab, "allowed.test:443")
    case.no_syn(mark)


# --- What agent-sandbox's proxy gets wrong, each beside what must go on working ---


def test_connect_to_an_allowed_host_is_for_443_alone(lab, drop_in, case):
    drop_in()
    for port in (22, 25, 80, 8080, 8443, 5432, 1, 65535):
        mark = lab.capture.mark()
        assert connect(lab, f"allowed.test:{port}", b"SSH-2.0-x\r\n")[0] == 403, port
        case.no_syn(mark)
    assert connect(lab, "allowed.test:443")[0] == 200, "control"


def test_an_endpoint_of_the_policy_opens_exactly_its_port(lab, drop_in, case):
    drop_in(POLICY + "endpoints: [{host: allowed.test, port: 8443}]\n")
    case.may_leave |= {(at.AL, 6, 8443)}
    status, _, _ = connect(lab, "allowed.test:8443")
    assert status in (200, 502), "allowed, whether somebody listens there or not"
    assert connect(lab, "allowed.test:8444")[0] == 403


def test_an_allowed_connect_carries_no_other_name(lab, drop_in, case):
    drop_in()
    mark = lab.capture.mark()
    for inner in ("denied.test", "cdn-allowed.test", "evil.test", "x.allowed.test"):
        status, _, answer = connect(lab, "allowed.test:443", tls.client_hello(inner))
        assert (status, answer[:1]) == (200, b"\x15"), (inner, answer[:40])
    case.no_syn(mark)
    status, _, answer = connect(lab, "allowed.test:443", tls.client_hello("allowed.test"))
    assert (status, answer[:1]) == (200, b"\x16"), "control"


def test_an_allowed_connect_carries_nothing_but_tls(lab, drop_in, case):
    drop_in()
    mark = lab.capture.mark()
    for inner in (b"GET / HTTP/1.1\r\nHost: denied.test\r\n\r\n", b"GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n", b"SSH-2.0-x\r\n", b"\x05\x01\x00"):
        status, _, answer = connect(lab, "allowed.test:443", inner)
        assert status == 200 and answer[:1] in (b"", b"\x15"), (inner, answer[:40])
    case.no_syn(mark)
    assert connect(lab, "allowed.test:443", tls.client_hello("allowed.test"))[2][:1] == b"\x16", "control"


def test_the_host_of_a_url_decides_whatever_host_says(lab, drop_in, case):
    drop_in()
    mark = lab.capture.mark()
    assert absolute(lab, "http://denied.test/", host="allowed.test").startswith(b"HTTP/1.1 403")
    case.no_syn(mark)
    seen = lab.al.mark()
    assert absolute(lab, "http://allowed.test/by-url", host="denied.test").endswith(b"AL\n")
    assert [request.headers["host"] for request in lab.al.since(seen)] == ["allowed.test"], "the control, and what its origin sees"


def test_a_prefix_admits_no_dot_segments(lab, drop_in, case):
    drop_in()
    mark = lab.wild.mark()
    for path in (
        "/repos/ok/../other", "/repos/ok/%2e%2e/other", "/repos/ok/..%2fother", "/repos/ok/.%2e/other", "/repos/ok/..;/other", "/repos/ok/%252e%252e/other",
        "/repos/ok/x/../../other", "/repos/ok/..\\other", "//repos/ok/../other",
    ):  # fmt: skip
        answer = absolute(lab, f"http://rules.wild.test{path}")
        assert answer[:12] in (b"HTTP/1.1 403", b"HTTP/1.1 400"), (path, answer[:60])
    assert not lab.wild.since(mark, "other")
    assert absolute(lab, "http://rules.wild.test/repos/ok/file")[:12] == b"HTTP/1.1 200", "control"
    del case


def test_pipelined_bytes_behind_a_connect_are_the_tunnels(lab, drop_in, case):
    drop_in()
    hello = tls.client_hello("allowed.test")
    with web.connected(lab.agent, at.GW_OWN, PORT, timeout=5) as link:
        link.sendall(b"CONNECT allowed.test:443 HTTP/1.1\r\nHost: allowed.test:443\r\n\r\n" + hello)
        reader = web.Reader(link)
        assert reader.head().status == 200
        answer, _ = web.read_to_end(link, enough=1)
        assert (reader.buffer + answer)[:1] == b"\x16"
    mark = lab.capture.mark()
    second = b"GET http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n"
    answer = web.talk(lab.agent, at.GW_OWN, PORT, b"CONNECT denied.test:443 HTTP/1.1\r\nHost: denied.test:443\r\n\r\n" + second)[0]
    assert answer.startswith(b"HTTP/1.1 403") and answer.count(b"HTTP/1.1 ") == 1, "what follows a refused CONNECT is not served"
    body = b"CONNECT allowed.test:443 HTTP/1.1\r\nHost: allowed.test:443\r\nContent-Length: 5\r\n\r\nhello"
    assert web.talk(lab.agent, at.GW_OWN, PORT, body)[0].startswith(b"HTTP/1.1 400")
    case.no_syn(mark)


def test_proxy_credentials_go_no_further(lab, drop_in, case):
    drop_in()
    mark = lab.al.mark()
    answer = absolute(lab, "http://allowed.test/creds", f"Proxy-Authorization: Basic {case.canary}\r\nConnection: close\r\n")
    assert b" 200 " in answer[:20]
    assert "proxy-authorization" not in lab.al.since(mark, "/creds")[0].headers
    status, _, _ = connect(lab, "allowed.test:443", headers=f"Proxy-Authorization: Basic {case.canary}\r\n")
    assert status == 200
    case.no_canary()
