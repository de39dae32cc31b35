"""The CA: `gateway ca`, its directory against the real mitmproxy, and what serving makes of it."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import http.server
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from lab import addresses as at
from lab import wait, web
from lab.case import Case

threat = pytest.mark.threat

PUBLIC = {"mitmproxy-ca-cert.pem", "mitmproxy-ca-cert.cer", "mitmproxy-ca-cert.p12"}
SECRET = {"mitmproxy-ca.pem", "mitmproxy-ca.p12"}
TEXT = b"from the origin\n"
RULED = """\
domains:
  - host: allowed.test
    rules:
      - {schemes: [https], path: {prefix: /ok/}}
      - {schemes: [http]}
"""


def ca(gateway_binary, action, *args, ok=True):
    done = subprocess.run([gateway_binary, "ca", action, *map(str, args)], capture_output=True, text=True, check=False,
                          timeout=30)
    assert not ok or done.returncode == 0, done.stderr
    return done


def facts(gateway_binary, folder):
    return json.loads(ca(gateway_binary, "show", "--format", "json", "--ca-dir", folder).stdout)


def openssl(*args):
    return subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.fixture
def confdir(gateway_binary, tmp_path):
    """A CA made here."""
    folder = tmp_path / "ca"
    ca(gateway_binary, "create", "--ca-dir", folder)
    return folder


class TestCommand:
    def test_what_is_created_is_what_openssl_reads(self, gateway_binary, confdir):
        assert {file.name for file in confdir.iterdir()} == PUBLIC | SECRET
        assert all((confdir / name).stat().st_mode & 0o777 == 0o600 for name in SECRET)
        told = facts(gateway_binary, confdir)
        printed = openssl("x509", "-in", confdir / "mitmproxy-ca.pem", "-noout", "-fingerprint", "-sha256", "-subject")
        assert told["sha256"] in printed and told["subject"] in printed
        exported = openssl("pkcs12", "-in", confdir / "mitmproxy-ca.p12", "-passin", "pass:", "-nodes")
        assert "PRIVATE KEY" in exported and "BEGIN CERTIFICATE" in exported
        exported = openssl("pkcs12", "-in", confdir / "mitmproxy-ca-cert.p12", "-passin", "pass:", "-nodes")
        assert "PRIVATE KEY" not in exported and "BEGIN CERTIFICATE" in exported

    def test_creating_again_leaves_it_and_rotating_does_not(self, gateway_binary, confdir):
        before = facts(gateway_binary, confdir)["sha256"]
        assert "not changed" in ca(gateway_binary, "create", "--ca-dir", confdir).stdout
        assert facts(gateway_binary, confdir)["sha256"] == before
        assert "CA replaced. Restart running gateways" in ca(gateway_binary, "rotate", "--ca-dir", confdir).stdout
        assert facts(gateway_binary, confdir)["sha256"] != before

    def test_show_without_one_says_how_to_make_it(self, gateway_binary, tmp_path):
        done = ca(gateway_binary, "show", "--ca-dir", tmp_path, ok=False)
        assert done.returncode == 2
        assert "gateway ca create" in done.stderr

    @threat("T110")
    def test_only_the_certificate_goes_out(self, gateway_binary, tmp_path, confdir):
        out = tmp_path / "out"
        ca(gateway_binary, "rotate", "--ca-dir", confdir, "--ca-out", out)
        assert {file.name for file in out.iterdir()} == {"mitmproxy-ca-cert.pem", "ca.crt"}
        assert not [file for file in out.iterdir() if b"PRIVATE" in file.read_bytes()]
        assert all(file.stat().st_mode & 0o777 == 0o644 for file in out.iterdir())
        done = ca(gateway_binary, "rotate", "--ca-dir", confdir, "--ca-out", confdir, ok=False)
        assert done.returncode == 2
        assert "contains the private key" in done.stderr

    @threat("T111")
    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            (lambda d: d.chmod(0o777), "chmod go-w"),
            (lambda d: (d / "mitmproxy-ca.pem").chmod(0o644), "chmod 600"),
            (lambda d: (d / "mitmproxy-ca.pem").rename(d / "x") and (d / "mitmproxy-ca.pem").symlink_to("x"),
             "symbolic link"),
            (lambda d: (d / "mitmproxy-ca-cert.pem").unlink() or (d / "mitmproxy-ca-cert.pem").symlink_to("mitmproxy-ca.pem"),
             "symbolic link"),
            (lambda d: (d / "mitmproxy-ca.pem").write_text("x"), "private key"),
            (lambda d: shutil.chown(d / "mitmproxy-ca.pem", 65534), "is owned by user 65534"),
            (lambda d: shutil.chown(d, 65534), "is owned by user 65534"),
            (lambda d: (d / "mitmproxy-ca.pem").unlink(), "without its key"),
        ],
    )  # fmt: skip
    def test_a_doubtful_directory_is_refused_by_name(self, gateway_binary, confdir, spoil, says):
        ca(gateway_binary, "show", "--ca-dir", confdir)  # the control
        spoil(confdir)
        done = ca(gateway_binary, "create", "--ca-dir", confdir, ok=False)
        assert done.returncode == 2, done.stderr
        assert says in done.stderr and str(confdir) in done.stderr

    @threat("T111")
    def test_many_who_start_at_once_agree(self, gateway_binary, tmp_path):
        folder = tmp_path / "new" / "ca"
        many = [subprocess.Popen([gateway_binary, "ca", "create", "--ca-dir", folder], stdout=subprocess.PIPE, text=True)
                for _ in range(8)]  # fmt: skip
        told = [process.communicate(timeout=30)[0] for process in many]
        assert [process.returncode for process in many] == [0] * 8
        assert len({re.search(r"SHA-256\s+(\S+)", text)[1] for text in told}) == 1
        assert sum("CA created" in text for text in told) == 1
        assert {file.name for file in folder.iterdir()} == PUBLIC | SECRET

    def test_installs_into_a_bundle_that_curl_trusts(self, gateway_binary, confdir, tmp_path):
        bundle = tmp_path / "bundle.pem"
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", bundle)
        args = ["--certificate", confdir / "mitmproxy-ca-cert.pem", "--bundle", bundle]
        assert "written" in ca(gateway_binary, "install", *args).stdout
        assert "already" in ca(gateway_binary, "install", *args).stdout
        certificate = confdir / "mitmproxy-ca-cert.pem"
        assert openssl("verify", "-CAfile", bundle, certificate).strip().endswith("OK")

    def test_installs_into_a_store_and_says_what_is_left_to_do(self, gateway_binary, confdir, tmp_path):
        store = tmp_path / "anchors"
        done = ca(gateway_binary, "install", "--ca-dir", confdir, "--store", store)
        assert "No program was run" in done.stdout
        assert (store / "soleroute-ca.crt").read_text() == (confdir / "mitmproxy-ca-cert.pem").read_text()

    @pytest.mark.parametrize(
        ("args", "says"),
        [
            ([], "action is required"),
            (["destroy"], "destroy"),
            (["show", "--bundle", "x"], "--bundle: only with"),
            (["create", "--format", "json"], "--format: only with"),
            (["install", "--certificate", "/etc/hostname"], "/etc/hostname: contains no PEM certificate"),
            (["install", "--certificate", "/none"], "cannot open /none: No such file"),
        ],
    )
    def test_what_it_cannot_mean_is_a_usage_error(self, gateway_binary, args, says):
        done = subprocess.run([gateway_binary, "ca", *args], capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 2
        assert says in done.stderr


# --- the real mitmproxy ---


class Origin(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(TEXT)))
        self.end_headers()
        self.wfile.write(TEXT)

    def log_message(self, *args):
        pass


@pytest.fixture
def origin(lab):
    """An https origin on loopback, its certificate the laboratory's."""
    certificate, key = lab.ca.issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def mitmdump(confdir, *settings):
    """A running mitmdump on this confdir; gives its port."""
    program = shutil.which("mitmdump")
    if not program:
        pytest.skip("mitmdump is not installed")
    port = free_port()
    options = [part for setting in settings for part in ("--set", setting)]
    process = subprocess.Popen([program, "--set", f"confdir={confdir}", "--listen-host", "127.0.0.1", "-p", str(port),
                                *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip

    def listens():
        assert process.poll() is None, process.stdout.read().decode()
        with socket.socket() as link:
            return link.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait.until(listens, "mitmdump to listen", 60)
        yield port
    finally:
        process.terminate()
        process.wait(15)


def through(port, url, ca_file=None):
    args = ["curl", "-sSv", "--max-time", "30", "--proxy", f"http://127.0.0.1:{port}", "--noproxy", ""]
    if ca_file:
        args += ["--cacert", str(ca_file)]
    return subprocess.run([*args, url], capture_output=True, text=True, check=False, timeout=60)


class TestMitmproxy:
    def test_intercepts_with_a_ca_made_here(self, gateway_binary, confdir, origin, lab):
        subject = facts(gateway_binary, confdir)["subject"]
        before = {file.name: file.read_bytes() for file in confdir.iterdir()}
        with mitmdump(confdir, f"ssl_verify_upstream_trusted_ca={lab.ca.certificate}") as port:
            done = through(port, f"https://localhost:{origin}/", confdir / "mitmproxy-ca-cert.pem")
            assert (done.returncode, done.stdout) == (0, TEXT.decode()), done.stderr
            issuer = re.search(r"issuer: (.*)", done.stderr)[1]
            assert "Soleroute CA" in issuer and re.search(r"Soleroute CA \w+", subject)[0] in issuer
            assert through(port, f"https://localhost:{origin}/").returncode == 60, "the control: only our CA makes it pass"
        for name, content in before.items():
            assert (confdir / name).read_bytes() == content, f"{name} is as we made it"

    def test_made_one_that_is_used_here_as_it_is(self, gateway_binary, tmp_path):
        folder = tmp_path / "theirs"
        with mitmdump(folder):
            pass
        before = {file.name: file.read_bytes() for file in folder.iterdir()}
        told = facts(gateway_binary, folder)
        assert "mitmproxy" in told["subject"]
        assert told["key"] == "RSA 2048"
        assert "not changed" in ca(gateway_binary, "create", "--ca-dir", folder).stdout
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == before

    def test_made_one_that_the_gateway_inspects_with(self, lab, make_gateway, tmp_path):
        folder = tmp_path / "theirs"
        with mitmdump(folder):
            pass
        before = {file.name: file.read_bytes() for file in folder.iterdir()}
        one = make_gateway(policy=RULED, arguments=["--trust", str(lab.ca.certificate)])
        one.arguments[one.arguments.index("--ca-dir") + 1] = str(folder)
        one.start()
        told = openssl("x509", "-in", folder / "mitmproxy-ca.pem", "-noout", "-fingerprint", "-sha256")
        record = one.log.wait_for(0, type="lifecycle", event="ca")
        assert told.strip().split("=")[1] in record["detail"]
        assert "using CA from" in record["detail"]
        case = Case(lab, one.log)
        trusted = lab.folder / "mitmproxy-ca-cert.pem"
        trusted.write_bytes((folder / "mitmproxy-ca-cert.pem").read_bytes())

        def fetch(url, *options):
            done = subprocess.run(lab.client_command("curl", "-sSv", "-m", "20", "-w", "%{http_code}", *options, url),
                                  capture_output=True, text=True, check=False, timeout=30)  # fmt: skip
            return done.returncode, done.stdout, done.stderr

        code, answer, said = fetch("https://allowed.test/ok/x", "--cacert", str(trusted))
        assert (code, answer) == (0, "AL\n200"), said
        assert re.search(r"issuer: .*CN=mitmproxy", said) and "SSL certificate verify ok" in said, said
        for url in ("https://allowed.test/no", "https://denied.test/ok/"):
            code, answer, said = fetch(url, "--cacert", str(trusted))
            assert code == 0 and answer.startswith("Blocked by proxy policy: ") and answer.endswith("403"), (answer, said)
        assert fetch("https://allowed.test/ok/x", "--cacert", str(lab.ca.certificate))[0] == 60, "the control: only their CA makes it pass"
        assert case.record(action="allowed", path="/ok/x", host="allowed.test", scheme="https")["status"] == 200
        assert case.record(action="blocked", path="/no")["reason"] == "no_rule_matched"
        assert case.record(action="blocked", host="denied.test", path="/ok/")["reason"] == "host_not_allowed"
        case.finish()
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


# --- serving ---


class TestServing:
    @threat("T110")
    def test_gives_agents_the_certificate_alone_and_logs_no_key(self, make_gateway, tmp_path):
        out = tmp_path / "out"
        one = make_gateway(arguments=["--ca-out", str(out)]).start()
        assert {file.name for file in out.iterdir()} == {"mitmproxy-ca-cert.pem", "ca.crt"}
        secret = (one.folder / "ca" / "mitmproxy-ca.pem").read_text()
        body = re.search(r"KEY-----\n([A-Za-z0-9+/=\n]{40})", secret)[1].encode()
        assert not any(b"PRIVATE" in line or body in line for line in one.log.lines)
        fresh = openssl("x509", "-in", out / "ca.crt", "-noout", "-fingerprint", "-sha256").strip().split("=")[1]
        assert fresh in one.log.find(0, type="lifecycle", event="ca")[0]["detail"]

    @threat("T111")
    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            (lambda d: d.chmod(0o777), "chmod go-w"),
            (lambda d: (d / "mitmproxy-ca.pem").chmod(0o640), "chmod 600"),
            (lambda d: (d / "mitmproxy-ca.pem").write_text("x"), "private key"),
        ],
    )
    def test_does_not_open_with_a_doubtful_ca(self, lab, make_gateway, gateway_binary, spoil, says):
        one = make_gateway()
        folder = one.folder / "ca"
        ca(gateway_binary, "create", "--ca-dir", folder)
        spoil(folder)
        one.start(healthy=False)
        assert one.process.wait(15) == 2
        wait.until(lambda: says in one.errors.decode(), "the message", 5)
        assert str(folder) in one.errors.decode()
        assert not one.log.find(0, type="lifecycle", event="healthy")
        assert "table inet soleroute" in lab.gw.run("nft", "list", "tables").stdout, "the closed rules stand"

    @threat("T111")
    def test_two_on_one_empty_directory_agree(self, make_gateway):
        one, other = make_gateway(), make_gateway()
        shared = one.folder / "shared"
        for each in (one, other):
            each.arguments[each.arguments.index("--ca-dir") + 1] = str(shared)
            each.arguments.append("--no-rules")
            each.start(healthy=False)
        details = [each.log.wait_for(0, type="lifecycle", event="ca")["detail"] for each in (one, other)]
        assert len({re.search(r"SHA-256 (\S+?),", detail)[1] for detail in details}) == 1, details

    def test_a_root_that_cannot_be_read_is_a_usage_error(self, make_gateway, tmp_path):
        (tmp_path / "no.pem").write_text("hello")
        one = make_gateway(arguments=["--trust", str(tmp_path / "no.pem")])
        one.start(healthy=False)
        assert one.process.wait(15) == 2
        wait.until(lambda: "no.pem: contains no PEM certificate" in one.errors.decode(), "the message", 5)

    def test_control_a_gateway_with_its_own_ca_serves(self, lab, make_gateway):
        one = make_gateway().start()
        case = Case(lab, one.log)
        assert web.http(lab.agent, "allowed.test", address=at.AL).status == 200
        case.control()
