"""Real clients that know nothing of a proxy: behind the router, and in a jail, allowed and denied."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import shutil
import signal
import subprocess

import pytest

from lab import addresses as at
from lab import agent as agents
from lab import repositories, wait
from lab.case import Case

threat = pytest.mark.threat

BLOCKED = "Blocked by proxy policy: denied.test"


class Place:
    """Where a client runs: run() gives the finished process with text output."""

    def __init__(self, name, lab, program, home):
        self.name, self.lab, self.home = name, lab, home
        self._program = program
        self.policy = home / "policy.yaml"
        self.policy.write_text(at.POLICY)

    def command_line(self, *command):
        if self.name == "router":
            return self.lab.client_command(*command)
        user = ["setpriv", f"--reuid={agents.NOBODY}", f"--regid={agents.NOBODY}", "--clear-groups"]
        trust = ["--trust", str(self.lab.ca.certificate)]  # the jail's own bundle is what its programs are told of
        run = [str(self._program), "run", "--policy", str(self.policy), "--resolver", at.NS, *trust, "--", *command]
        return self.lab.gw.command(*user, *run)

    def run(self, *command, timeout=60, env=None, **options):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "TMPDIR": str(self.home), **(env or {})}
        return subprocess.run(
            self.command_line(*command), capture_output=True, text=True, timeout=timeout, check=False, cwd=self.home, env=environment,
            **options,
        )  # fmt: skip


@pytest.fixture(scope="module")
def shelf(lab, tmp_path_factory):
    """A folder that an ordinary user may enter, with the program in it."""
    del tmp_path_factory
    folder = lab.folder / "clients"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture(scope="module", params=["router", "jail"])
def place(request, lab, gateway_binary, shelf):
    home = shelf / request.param
    home.mkdir()
    home.chmod(0o777)
    if request.param == "router":
        request.getfixturevalue("router")
        yield Place("router", lab, None, home)
        return
    if lab.router:  # the jail's own gateway is the only one that may carry its clients
        lab.router.stop()
        lab.reset_gateway_namespace()
    program = shelf / "gateway"
    shutil.copy(gateway_binary, program)
    program.chmod(0o755)
    place = Place("jail", lab, program, home)
    yield place
    if lab.router:
        lab.router.start()


@pytest.fixture
def case(place):
    """The oracles without the router's control, which a jail does not answer: each client is its own control."""
    one = Case(place.lab)
    one.may_leave |= {(at.NS, 17, 53), (at.NS, 6, 53)}
    yield one
    one.canary_may_leave = True
    one.no_packet()


def needs(tool):
    if not shutil.which(tool):
        pytest.skip(f"needs {tool}")


def no_proxy_variables(place):
    names = place.run("env").stdout.lower()
    return [line for line in names.splitlines() if line.split("=")[0].endswith("_proxy") or line.startswith("all_proxy")]


# --- curl ---


class TestCurl:
    @pytest.fixture(autouse=True)
    def _needs(self):
        needs("curl")

    def ca(self, place):
        return ["--cacert", str(place.lab.ca.certificate)]

    def test_no_client_is_told_of_a_proxy(self, case, place):
        del case
        assert no_proxy_variables(place) == []

    @threat("C01")
    @pytest.mark.parametrize("url", ["http://allowed.test/", "https://allowed.test/", "http://ALLOWED.test:80/", "https://Allowed.Test/"])
    def test_an_allowed_url_is_fetched(self, case, place, url):
        done = place.run("curl", "-sS", "-m", "20", *self.ca(place), url)
        assert (done.returncode, done.stdout) == (0, "AL\n"), done.stderr
        del case

    def test_a_denied_http_url_shows_the_page(self, case, place):
        done = place.run("curl", "-sS", "-m", "20", "-w", "%{http_code}", "http://denied.test/")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0].startswith(BLOCKED)
        assert "- denied.test" in done.stdout, "how to allow it"
        assert done.stdout.endswith("403")
        failing = place.run("curl", "-sSf", "-m", "20", "http://denied.test/")
        assert failing.returncode == 22 and "403" in failing.stderr
        case.no_query("denied.test")

    @pytest.mark.parametrize("alpn", [[], ["--no-alpn"]], ids=["ALPN", "no ALPN"])
    def test_a_denied_https_url_fails_at_once_without_the_gateways_ca(self, case, place, alpn):
        """The page is on a certificate that this client does not trust. Of one that it trusts it is read: test_inspect_denied."""
        done = place.run("curl", "-sS", "-m", "20", *alpn, *self.ca(place), "https://denied.test/")
        assert done.returncode == 60, done.stderr
        assert "Blocked" not in done.stdout
        allowed = place.run("curl", "-sS", "-m", "20", *alpn, *self.ca(place), "https://allowed.test/")
        assert (allowed.returncode, allowed.stdout) == (0, "AL\n"), "the control"
        case.no_query("denied.test")

    @threat("T101")
    def test_a_redirect_to_a_denied_host_ends_there(self, case, place):
        answer = b"HTTP/1.1 302 Found\r\nLocation: http://denied.test/x\r\nContent-Length: 0\r\n\r\n"
        place.lab.al.script("/go", lambda c, _: c.send(answer) or True)
        done = place.run("curl", "-sSL", "-m", "20", "http://allowed.test/go")
        assert done.stdout.splitlines()[0].startswith(BLOCKED)
        del case

    @threat("C06")
    def test_uploads_and_downloads_are_whole(self, case, place):
        blob = place.home / "blob"
        blob.write_bytes(os.urandom(3 << 20))
        blob.chmod(0o644)
        for url in ("http://allowed.test/echo", "https://allowed.test/echo"):
            done = place.run("curl", "-sS", "-m", "60", *self.ca(place), "--data-binary", f"@{blob}", "-o", str(place.home / "back"), url)
            assert done.returncode == 0, done.stderr
            assert (place.home / "back").read_bytes() == blob.read_bytes()
        del case

    @threat("T001")
    def test_other_ports_and_names_of_attackers_are_refused_at_once(self, case, place):
        for url in (f"http://{at.EV}:9999/", "https://allowed.test:8443/", "telnet://allowed.test:25/", f"ftp://{at.EV}/"):
            done = place.run("curl", "-sS", "-m", "10", url)
            assert done.returncode in (7, 28, 5, 6), (url, done.returncode, done.stderr)
            assert done.returncode != 28, f"{url}: refused, not left waiting"
        case.no_packet()

    @threat("C01", "C09")
    def test_http_2_passes_through(self, case, place):
        needs("node")
        certificate, key = place.lab.ca.issue("spare.wild.test")
        script = (
            "const h=require('http2'),f=require('fs');"
            f"h.createSecureServer({{key:f.readFileSync('{key}'),cert:f.readFileSync('{certificate}')}},"
            "(q,r)=>{r.end('h2 '+q.httpVersion)}).listen(443,'" + at.SPARE + "',()=>console.log('up'))"
        )
        server = subprocess.Popen(place.lab.up.command("node", "-e", script), stdout=subprocess.PIPE)
        try:
            assert server.stdout.readline() == b"up\n"
            done = place.run("curl", "-sS", "-m", "20", "--http2", *self.ca(place), "-w", " %{http_version}", "https://spare.wild.test/")
            assert done.stdout == "h2 2.0 2", done.stderr
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
        del case


# --- python3, node ---

_URLLIB = """
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

_FETCH = """
fetch(process.argv[1]).then(async r => console.log(r.status, (await r.text()).trim()),
                            e => console.log('failed', String(e.cause && e.cause.code || e)))
"""


_HTTP_CLIENT = """
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

public class Get {
    public static void main(String[] urls) throws Exception {
        var client = HttpClient.newHttpClient();
        for (var url : urls) {
            try {
                var answer = client.send(HttpRequest.newBuilder(URI.create(url)).build(), BodyHandlers.ofString());
                System.out.println(answer.statusCode() + " " + answer.body().lines().findFirst().orElse(""));
            } catch (java.io.IOException error) {
                System.out.println("failed " + error.getClass().getName());
            }
        }
    }
}
"""


class TestPython:
    @threat("C11")
    def test_urllib(self, case, place):
        def get(url):
            return place.run("/usr/bin/python3", "-c", _URLLIB, url, str(place.lab.ca.certificate)).stdout

        assert get("http://allowed.test/") == "200 AL\n"
        assert get("https://allowed.test/") == "200 AL\n"
        assert get("http://denied.test/").startswith("403 " + BLOCKED)
        assert get("https://denied.test/").startswith("failed")
        case.no_query("denied.test")


class TestJava:
    """HttpClient: on port 80 it asks for an upgrade to HTTP/2 with every request, and it knows roots from a file of its own."""

    @threat("C11")
    def test_http_client(self, case, place):
        needs("javac")
        source, roots = place.home / "Get.java", place.home / "roots.p12"
        source.write_text(_HTTP_CLIENT)
        subprocess.run(["javac", "-d", place.home, source], check=True, capture_output=True)
        subprocess.run(["keytool", "-importcert", "-noprompt", "-storepass", "public", "-keystore", roots, "-file", place.lab.ca.certificate],
                       check=True, capture_output=True)  # fmt: skip
        for path in place.home.glob("*"):
            path.chmod(0o644)
        trust = [f"-Djavax.net.ssl.trustStore={roots}", "-Djavax.net.ssl.trustStorePassword=public"]
        urls = ["http://allowed.test/", "https://allowed.test/", "http://denied.test/", "https://denied.test/", "http://allowed.test/"]
        done = place.run("java", *trust, "-cp", str(place.home), "Get", *urls)
        allowed, over_tls, denied, denied_over_tls, again = done.stdout.splitlines()
        assert (allowed, over_tls, again) == ("200 AL",) * 3, done.stderr
        assert denied.startswith("403 " + BLOCKED)
        assert denied_over_tls.startswith("failed javax.net.ssl.SSL"), "at once, and not by a time-out"
        case.no_query("denied.test")


class TestNode:
    @threat("C11")
    def test_fetch(self, case, place):
        needs("node")

        def get(url):
            # NODE_EXTRA_CA_CERTS is set where node is started, inside; a jail has a bundle of its own.
            shell = 'NODE_EXTRA_CA_CERTS="$1" exec node -e "$2" "$3"'
            return place.run("sh", "-c", shell, "sh", str(place.lab.ca.certificate), _FETCH, url).stdout

        assert get("http://allowed.test/") == "200 AL\n"
        assert get("https://allowed.test/") == "200 AL\n"
        assert get("http://denied.test/").startswith("403 " + BLOCKED)
        assert get("https://denied.test/").startswith("failed")
        case.no_query("denied.test")


# --- git ---


class TestGit:
    @pytest.fixture(scope="class")
    def repository(self, lab, tmp_path_factory):
        needs("git")
        if not repositories.GIT_BACKEND.exists():
            pytest.skip("needs git-http-backend")
        return repositories.mount_git(lab.al, tmp_path_factory.mktemp("git"))

    def git(self, place, *args):
        config = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t",
                  "GIT_COMMITTER_EMAIL": "t@t"}  # fmt: skip
        return place.run("git", "-c", f"http.sslCAInfo={place.lab.ca.certificate}", "-c", "safe.directory=*", *args, env=config)

    @threat("C11")
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_clone_and_push(self, case, place, repository, scheme):
        subprocess.run(["chmod", "-R", "a+rwX", str(repository)], check=True)
        there = place.home / f"clone-{scheme}"
        done = self.git(place, "clone", "-q", f"{scheme}://allowed.test/git/demo.git", str(there))
        assert done.returncode == 0, done.stderr
        assert (there / "README").read_text() == repositories.CONTENT
        branch = f"from-{place.name}-{scheme}"
        (there / "more").write_bytes(os.urandom(1 << 20))
        for command in (["checkout", "-q", "-b", branch], ["add", "."], ["commit", "-q", "-m", "more"], ["push", "-q", "origin", branch]):
            done = self.git(place, "-C", str(there), *command)
            assert done.returncode == 0, (command, done.stderr)
        heads = subprocess.run(["git", "-C", str(repository), "-c", "safe.directory=*", "branch"], capture_output=True, text=True, check=True)
        assert branch in heads.stdout
        del case

    def test_a_denied_host_says_so(self, case, place):
        needs("git")
        done = self.git(place, "clone", "-q", "http://denied.test/git/demo.git", str(place.home / "no"))
        assert done.returncode == 128
        assert "403" in done.stderr
        done = self.git(place, "clone", "-q", "https://denied.test/git/demo.git", str(place.home / "no"))
        assert done.returncode == 128
        done = self.git(place, "clone", "-q", f"git://{at.EV}/demo.git", str(place.home / "no"))
        assert done.returncode == 128
        case.no_query("denied.test")


# --- npm ---


class TestNpm:
    def npm(self, place, *args):
        options = ["--cafile", str(place.lab.ca.certificate), "--cache", str(place.home / "npm"), "--no-update-notifier", "--fetch-retries=0", "--no-audit",
                   "--no-fund"]  # fmt: skip
        return place.run("npm", *args, *options)

    @threat("C11")
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_view_and_install(self, case, place, scheme):
        needs("npm")
        base = f"{scheme}://allowed.test"
        repositories.mount_npm(place.lab.al, base)
        registry = ["--registry", f"{base}/npm/"]
        done = self.npm(place, "view", "demo", "version", *registry)
        assert done.stdout.strip() == "1.2.3", done.stderr
        there = place.home / f"npm-{scheme}"
        done = self.npm(place, "install", "demo", "--prefix", str(there), *registry)
        assert done.returncode == 0, done.stderr
        assert json.loads((there / "node_modules" / "demo" / "package.json").read_text())["version"] == "1.2.3"
        del case

    def test_a_denied_registry_says_so(self, case, place):
        needs("npm")
        done = self.npm(place, "view", "demo", "version", "--registry", "http://denied.test/npm/")
        assert done.returncode != 0
        assert "403" in done.stderr
        case.no_query("denied.test")


# --- apt ---


class TestApt:
    @pytest.fixture(scope="class")
    def repository(self, lab, tmp_path_factory):
        needs("apt-get")
        needs("dpkg-deb")
        repositories.mount_apt(lab.al, tmp_path_factory.mktemp("apt"))

    def apt(self, place, source, *args):
        root = place.home / "apt"
        for folder in ("state/lists/partial", "cache/archives/partial", "etc", "log"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "state" / "status").write_text("")
        (root / "etc" / "sources.list").write_text(f"deb [trusted=yes] {source} ./\n")
        subprocess.run(["chmod", "-R", "a+rwX", str(root)], check=True)
        options = {
            "Dir::State": root / "state", "Dir::State::status": root / "state/status", "Dir::Cache": root / "cache", "Dir::Log": root / "log",
            "Dir::Etc::sourcelist": root / "etc/sources.list", "Dir::Etc::sourceparts": "/dev/null", "APT::Sandbox::User": "",
            "Acquire::https::CAInfo": place.lab.ca.certificate, "Acquire::Retries": "0", "Debug::NoLocking": "1",
        }  # fmt: skip
        return place.run("apt-get", *(part for key, value in options.items() for part in ("-o", f"{key}={value}")), *args)

    @threat("C11")
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_update_and_download(self, case, place, repository, scheme):
        del repository
        source = f"{scheme}://allowed.test/apt"
        done = self.apt(place, source, "update")
        assert done.returncode == 0 and "Err:" not in done.stdout, (done.stdout, done.stderr)
        done = self.apt(place, source, "download", "soleroute-demo")
        assert done.returncode == 0, done.stderr
        assert (place.home / "soleroute-demo_1.0_all.deb").stat().st_size > 100
        (place.home / "soleroute-demo_1.0_all.deb").unlink()
        del case

    def test_a_denied_repository_says_so(self, case, place, repository):
        del repository
        done = self.apt(place, "http://denied.test/apt", "update")
        assert "403" in done.stdout + done.stderr
        case.no_query("denied.test")


# --- name resolution by libc ---


@threat("T038")
def test_libc_resolves_allowed_names_and_never_asks_denied_ones(case, place):
    done = place.run("getent", "ahosts", "allowed.test")
    assert at.AL in done.stdout, done.stderr
    done = place.run("getent", "ahosts", f"{case.canary}.denied.test")
    assert at.EV not in done.stdout
    case.no_query()


@threat("C16")
def test_a_client_that_is_killed_leaves_no_connection(case, place):
    command = place.command_line("curl", "-sS", "-m", "60", "-o", "/dev/null", "--limit-rate", "100k", "http://allowed.test/bytes/100000000")
    with place.lab.capture.headers_only():
        mark = place.lab.al.mark()
        client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        place.lab.al.wait_for(mark, "/bytes/100000000")
        client.terminate()
        client.wait(20)

    def closed():
        with place.lab.gw.entered():
            out = subprocess.run(["ss", "-Htn", "state", "established", "dst", at.AL], capture_output=True, text=True, check=True).stdout
        return not out.strip()

    wait.until(closed, "the connection to the origin to be gone", 15)
    del case
