"""What a jailed command reaches, what it is told where it does not, and that neither needs its cooperation."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import re
import socket
import subprocess

import pytest

from lab import addresses as at
from lab import wait

threat = pytest.mark.threat


def test_what_the_policy_allows_is_fetched(any_jail, lab):
    ca = str(lab.ca.certificate)
    plain = any_jail.call("get", "http://allowed.test/")
    assert (plain["status"], plain["body"]) == (200, "AL\n")
    done = any_jail.run("curl", "-sS", "--cacert", ca, "https://allowed.test/")
    assert (done.returncode, done.stdout) == (0, "AL\n"), done.stderr


def test_what_it_denies_gets_the_page_that_says_how_to_allow_it(any_jail):
    page = any_jail.call("get", "http://denied.test/secret")
    assert page["status"] == 403
    assert page["body"].splitlines()[0].startswith("Blocked by proxy policy: denied.test")
    assert "denied.test" in page["body"].split("policy.yaml", 1)[1]
    assert page["reason"] == "host_not_allowed"


def test_a_denied_name_on_the_proxys_port_gets_the_page_too(jail):
    page = jail.call("get", "http://sub.denied.test:8080/secret", args=["--explicit-proxy", "8080"])
    assert (page["status"], page["reason"]) == (403, "endpoint_not_allowed")
    assert page["body"].splitlines()[0].startswith("Blocked by proxy policy: sub.denied.test")
    assert "{host: sub.denied.test, port: 8080}" in page["body"]


def test_the_gateway_tells_about_itself(any_jail):
    denied, home, told, none = any_jail.calls(
        ("get", "http://denied.test/asked"), ("get", "http://gateway.internal/"), ("get", "http://gateway.internal/denials"),
        ("get", "http://gateway.internal/none"),
    )  # fmt: skip
    assert denied["status"] == 403
    assert home["status"] == 200 and "restricted by an allowlist" in home["body"]
    assert "denied.test" in [denial.get("host") for denial in json.loads(told["body"])["denials"]]
    assert none["status"] == 404


def test_denied_tls_ends_at_once(jail, lab):
    done = jail.run("curl", "-sS", "--cacert", str(lab.ca.certificate), "https://denied.test/", timeout=10)
    assert done.returncode in (35, 56, 60), done.stderr
    assert jail.run("curl", "-sS", "--cacert", str(lab.ca.certificate), "https://allowed.test/").stdout == "AL\n"


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@threat("T037")
def test_every_resolver_is_the_gateway(jail, lab, tcp):
    servers = ["127.0.0.53", "127.0.0.11", "127.0.0.1", "100.64.0.1", "9.9.9.9", "10.0.0.1", "::1", "2620:fe::fe"]
    asked = lab.dns.mark()
    allowed = jail.calls(*[("ask", server, "allowed.test", tcp) for server in servers])
    denied = jail.calls(*[("ask", server, "canary.evil.test", tcp) for server in servers])
    assert dict(zip(servers, allowed, strict=True)) == {server: [at.AL] for server in servers}
    assert at.stands_for_denied(denied[0])
    assert dict(zip(servers, denied, strict=True)) == {server: denied[0] for server in servers}
    assert not lab.dns.since(asked, "evil.test")


@pytest.mark.parametrize(
    "text",
    ["nameserver 127.0.0.53\n", "nameserver fe80::1%eth0\n", "nameserver 9.9.9.9\nsearch wild.test\n", ""],
    ids=["stub", "link-local", "search", "empty"],
)
def test_the_hosts_resolv_conf_does_not_matter(jail, lab, text):
    before = open(f"/etc/netns/{lab.gw.name}/resolv.conf").read()
    lab.gw.etc("resolv.conf", text)
    try:
        assert jail.call("look_up", "allowed.test") == [at.AL]
        seen = jail.call("read", "/etc/resolv.conf")
        if text.startswith("nameserver 9"):
            assert jail.call("look_up", "x") == [at.WILD], "search domains stay"
    finally:
        lab.gw.etc("resolv.conf", before)
    assert seen.splitlines()[0] == "nameserver 100.64.0.1"
    assert [line for line in seen.splitlines() if line.startswith("nameserver")] == ["nameserver 100.64.0.1"]


def test_services_of_the_commands_own_work_on_loopback(any_jail):
    assert any_jail.calls(("own_service", 3000), ("own_service", 8000)) == ["own", "own"]


@pytest.mark.parametrize("port", [3128, 8080])
def test_the_explicit_proxy_works_inside_where_it_is_asked_for(jail, port):
    proxy, on = f"http://100.64.0.1:{port}", ["--explicit-proxy", str(port)]
    assert jail.call("get", "http://allowed.test/", proxy, args=on)["status"] == 200
    assert jail.call("get", "http://denied.test/", proxy, args=on)["status"] == 403
    assert jail.call("get", "http://allowed.test/", proxy)["status"] == 0, "it is off by default"


def test_a_server_of_the_command_takes_port_8080(any_jail):
    assert any_jail.call("own_service", 8080) == "own"


def test_a_proxy_of_the_caller_is_left_out_and_that_is_said(jail):
    proxies = {"HTTPS_PROXY": "http://proxy.test:3128", "http_proxy": "http://127.0.0.1:9", "ALL_PROXY": "", "NO_PROXY": "x"}
    show = ["sh", "-c", "env | grep -i _proxy; curl -sS http://allowed.test/"]
    done = jail.run(*show, env=proxies, args=["--upstream-proxy", "off"])
    assert done.stdout.splitlines() == ["NO_PROXY=x", "AL"]
    assert done.stderr.count("HTTPS_PROXY") == 1 and "ignored inside" in done.stderr
    kept = jail.run("sh", "-c", "echo $HTTPS_PROXY $http_proxy", env={**proxies, "http_proxy": "http://127.0.0.1:3128"}, args=["--explicit-proxy", "3128"])
    assert kept.stdout == "http://100.64.0.1:3128 http://127.0.0.1:3128\n", "the control: with a proxy inside"
    assert kept.stderr.count("HTTPS_PROXY") == 2 and "http_proxy" not in kept.stderr, kept.stderr


def test_a_variable_names_the_gateways_page(any_jail):
    done = any_jail.run("sh", "-c", "curl -sS $SOLEROUTE", env={"SOLEROUTE": "http://other.test/"})
    assert "http://gateway.internal/policy" in done.stdout, done.stderr


def test_endpoints_work_inside(jail_of, lab):
    policy = f"endpoints:\n  - {{cidr: {at.EV}/32, port: 9999, protocol: tcp}}\n"
    mark = lab.ev.mark()
    jail = jail_of(policy=policy)
    script = f"import socket; s = socket.create_connection(('{at.EV}', 9999)); s.sendall(b'hello'); s.close()"
    assert jail.run("/usr/bin/python3", "-c", script).returncode == 0
    wait.until(lambda: [e for e in lab.ev.since(mark) if e[2] == b"hello"], "the bytes at the endpoint")
    assert jail.call("connect", at.EV, 9998)["how"] == "ECONNREFUSED"


def test_decisions_are_appended_as_lines_of_json(any_jail, folder):
    log = folder / "decisions.jsonl"
    for url in ("http://allowed.test/", "http://denied.test/x"):
        any_jail.call("get", url, args=["--decisions", str(log)])
    records = [json.loads(line) for line in log.read_text().splitlines()]
    http = [(r["host"], r["action"], r["reason"]) for r in records if r.get("phase") == "http"]
    assert http == [("allowed.test", "allowed", "host_allowed"), ("denied.test", "blocked", "host_not_allowed")]
    assert {r["client"] for r in records if "client" in r} <= {"100.64.0.1", "fd73:6f6c:6572::1", "127.0.0.1"}


def test_decisions_that_could_not_be_written_are_counted_aloud(jail, folder):
    for file, lost in (("/dev/full", True), (folder / "decisions.jsonl", False)):
        done = jail.run("curl", "-sS", "http://allowed.test/", args=["--decisions", str(file)])
        assert (done.returncode, done.stdout) == (0, "AL\n"), "the command is none the worse"
        assert ("cannot write 3 decisions to /dev/full" in done.stderr) == lost, done.stderr


def test_a_refused_packet_is_named_in_the_decisions(jail, folder):
    log = folder / "decisions.jsonl"
    jail.call("connect", at.EV, 9999, args=["--decisions", str(log)])
    records = [json.loads(line) for line in log.read_text().splitlines()]
    packets = [r for r in records if r.get("phase") == "packet"]
    assert [(r["action"], r["destination"]) for r in packets] == [("blocked", f"{at.EV}:9999")]


class TestPing:
    @pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
    def test_loopback_answers(self, any_jail, address):
        done = any_jail.run("ping", "-c1", "-W2", address)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 received" in done.stdout

    def test_an_address_outside_is_refused_at_once_and_recorded(self, any_jail, folder):
        log = folder / "decisions.jsonl"
        done = any_jail.run("ping", "-c1", "-W20", at.EV, args=["--decisions", str(log)], timeout=15)
        assert done.returncode != 0
        assert f"gateway: blocked {at.EV}: ICMP is not forwarded" in done.stderr, done.stdout + done.stderr
        packets = [r for r in map(json.loads, log.read_text().splitlines()) if r.get("phase") == "packet"]
        assert packets and packets[0]["action"] == "blocked" and packets[0]["detail"].startswith("icmp")

    def test_no_program_gains_by_its_file(self, any_jail):
        """A set-user-ID program starts, as it would without the bit."""
        done = any_jail.run("sh", "-c", "ping -V > /dev/null && grep -c nosuid /proc/self/mountinfo && id -u")
        mounts, user = done.stdout.split()
        assert int(mounts) > 1 and int(user) == any_jail.uid


class TestSummary:
    def test_it_says_what_was_denied_and_how_to_allow_it(self, jail):
        done = jail.run(*jail.python("get_all", ["http://allowed.test/"] * 3 + ["http://denied.test/"] * 2),
                        args=["--summary"])  # fmt: skip
        assert done.returncode == 0
        lines = done.stderr.splitlines()
        assert lines[0] == "gateway: 1 host allowed, 1 denied"
        assert ["allowed.test", "3x"] in [line.split() for line in lines]
        assert ["denied.test", "2x", "not", "in", "the", "policy"] in [line.split() for line in lines]
        assert "    domains:\n      - denied.test" in done.stderr
        assert "\x1b" not in done.stderr

    def test_the_probes_of_verify_are_no_denials(self, jail):
        done = jail.run(jail.program, "verify", args=["--summary"])
        assert done.returncode == 0, done.stdout + done.stderr
        assert "FAILED" not in done.stdout
        assert "denied" not in done.stderr and "verify.soleroute.example" not in done.stderr, done.stderr

    def test_what_it_suggests_allows_it(self, jail, folder):
        done = jail.run(*jail.python("get", "http://denied.test/"), args=["--summary"])
        suggested = done.stderr.split("add to policy.yaml:\n")[1].split("  or for one run")[0]
        (folder / "more.yaml").write_text("".join(line[4:] + "\n" for line in suggested.splitlines()))
        args = ["--policy", "policy.yaml", "--policy", "more.yaml"]
        assert jail.call("get", "http://denied.test/", args=args)["status"] != 403
        assert jail.call("get", "http://denied.test/")["status"] == 403

    def test_an_address_gets_one_answer_everywhere_and_its_lines_allow_it(self, jail, folder):
        """The page, the log, `explain`, `suggest` and the summary; on 443 the client names nothing, and the rest says it."""
        log, more = folder / "decisions.jsonl", folder / "more.yaml"
        ask = f"curl -sS http://{at.AL}/; curl -sSk https://{at.AL}/ || true"
        done = jail.run("sh", "-c", ask, args=["--summary", "--decisions", str(log)])
        web, secure = (f'  - {{cidr: {at.AL}/32, port: {port}}}\n' for port in (80, 443))
        assert done.stdout.startswith(f"Blocked by proxy policy: {at.AL} (to allow it, add to ") and "endpoints:\n" + web in done.stdout, done.stdout
        records = [json.loads(line) for line in log.read_text().splitlines()]
        reasons = [(r["destination"], r["reason"]) for r in records if r.get("phase") in ("http", "tls")]
        assert reasons == [(f"{at.AL}:80", "endpoint_not_allowed"), (f"{at.AL}:443", "no_sni")]
        told = subprocess.run([jail.program, "explain", f"http://{at.AL}/"], cwd=folder, capture_output=True, text=True, check=False)
        assert told.returncode == 1 and "endpoint_not_allowed" in told.stdout and web.strip() in told.stdout, told.stdout
        careful = subprocess.run([jail.program, "suggest", str(log)], cwd=folder, capture_output=True, text=True, check=False).stdout
        assert "# endpoints:\n#   - {cidr:" in careful and "\nendpoints:" not in careful, careful
        suggested = subprocess.run([jail.program, "suggest", "--all", str(log)], cwd=folder, capture_output=True, text=True, check=False).stdout
        assert "endpoints:\n" + web + secure in re.sub(r"  # [^\n]*", "", suggested), suggested
        lines = done.stderr.split("add to policy.yaml:\n")[1].split("  or for one run")[0]
        more.write_text("".join(line[4:] + "\n" for line in lines.splitlines()))
        assert more.read_text() == "endpoints:\n" + web + secure
        both = jail.run("sh", "-c", ask, args=["--policy", "policy.yaml", "--policy", "more.yaml"])
        assert both.stdout == "AL\nAL\n", both.stderr

    def test_without_a_terminal_there_is_none_for_a_command_that_succeeds(self, jail):
        assert jail.run(*jail.python("get", "http://denied.test/")).stderr == ""

    def test_a_command_that_used_no_network_gets_none(self, jail):
        assert jail.run("true", args=["--summary"]).stderr == ""

    def test_nothing_of_the_commands_choice_drives_the_terminal(self, jail):
        name = "x\\033[31m.test"
        script = f"printf 'GET / HTTP/1.1\\r\\nHost: {name}\\r\\n\\r\\n' | nc -w 2 100.64.0.1 80 || true"
        done = jail.run("bash", "-c", script.replace("| nc -w 2 100.64.0.1 80", "> /dev/tcp/100.64.0.1/80"), args=["--summary"])
        assert "\x1b" not in done.stderr


class TestTrust:
    BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT",
                        "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "NIX_SSL_CERT_FILE",
                        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", "HEX_CACERTS_PATH", "npm_config_cafile")  # fmt: skip

    def test_a_further_root_is_trusted_without_being_named(self, any_jail, lab):
        ca = str(lab.ca.certificate)
        before = open("/etc/ssl/certs/ca-certificates.crt").read()
        assert any_jail.run("curl", "-sS", "https://allowed.test/").returncode == 60
        done = any_jail.run("curl", "-sS", "https://allowed.test/", args=["--trust", ca])
        assert (done.returncode, done.stdout) == (0, "AL\n"), done.stderr
        script = "import urllib.request; print(urllib.request.urlopen('https://allowed.test/').read().decode(), end='')"
        assert any_jail.run("/usr/bin/python3", "-c", script, args=["--trust", ca]).stdout == "AL\n"
        assert open("/etc/ssl/certs/ca-certificates.crt").read() == before

    def test_node_and_git_trust_it_too(self, jail, lab):
        args = ["--trust", str(lab.ca.certificate)]
        script = "require('https').get('https://allowed.test/', r => { r.pipe(process.stdout) })"
        assert jail.run("node", "-e", script, args=args).stdout == "AL\n"
        done = jail.run("git", "ls-remote", "https://allowed.test/x.git", args=args)
        assert "certificate" not in done.stderr
        assert "certificate" in jail.run("git", "ls-remote", "https://allowed.test/x.git").stderr

    def test_the_systems_roots_stay_trusted(self, jail, lab):
        system = open("/etc/ssl/certs/ca-certificates.crt").read()
        args = ["--trust", str(lab.ca.certificate)]
        assert jail.call("read", "/etc/ssl/certs/ca-certificates.crt", args=args).startswith(system)

    def test_the_variables_lead_to_the_bundle_and_node_to_what_was_added(self, jail, lab):
        state = jail.call("state", args=["--trust", str(lab.ca.certificate)])["environment"]
        assert {state[v] for v in self.BUNDLE_VARIABLES} == {"/etc/ssl/certs/ca-certificates.crt"}
        assert state["NODE_EXTRA_CA_CERTS"] == state["DENO_CERT"]
        added = jail.call("read", state["NODE_EXTRA_CA_CERTS"], args=["--trust", str(lab.ca.certificate)])
        assert added.count("BEGIN CERTIFICATE") == 2  # this run's CA, and the further root
        assert lab.ca.certificate.read_text().strip() in added

    def test_what_the_variables_named_before_stays_trusted(self, jail, lab):
        done = jail.run("curl", "-sS", "https://allowed.test/", env={"CURL_CA_BUNDLE": str(lab.ca.certificate)})
        assert (done.returncode, done.stdout) == (0, "AL\n"), done.stderr

    def test_a_file_without_a_certificate_is_an_error(self, jail, folder):
        (folder / "no.pem").write_text("hello")
        done = jail.run("true", args=["--trust", "no.pem"])
        assert done.returncode == 2
        assert "no.pem" in done.stderr


class TestClientsThatKnowNothingOfProxies:
    """Real programs as an ordinary user, in one jail."""

    @pytest.mark.parametrize(
        "command",
        [
            ["curl", "-sS", "http://allowed.test/"],
            ["/usr/bin/python3", "-c", "import urllib.request as u; print(u.urlopen('http://allowed.test/').read().decode(), end='')"],
            ["node", "-e", "require('http').get('http://allowed.test/', r => r.pipe(process.stdout))"],
        ],
        ids=["curl", "python", "node"],
    )
    def test_they_fetch(self, jail, command):
        done = jail.run(*command)
        assert (done.returncode, done.stdout) == (0, "AL\n"), done.stderr

    def test_git_is_refused_with_the_reason(self, jail):
        done = jail.run("git", "ls-remote", "http://denied.test/x.git")
        assert "403" in done.stderr

    @pytest.mark.parametrize("kind", ["user", "root"])
    def test_apt_get_is_refused_with_the_reason_and_served_what_is_allowed(self, jail_of, folder, kind):
        """As root it gives up its identity for _apt, which the jail must not hinder."""
        jail = jail_of(kind)
        options = [
            "-o", f"Dir::Etc::sourcelist={folder}/sources.list", "-o", "Dir::Etc::sourceparts=-",
            "-o", f"Dir::State={folder}/state", "-o", f"Dir::State::lists={folder}/lists",
            "-o", f"Dir::Cache={folder}/cache", "-o", "Debug::NoLocking=1", "-o", "Acquire::Retries=0",
        ]  # fmt: skip
        for sub in ("lists/partial", "cache/archives/partial", "state"):
            (folder / sub).mkdir(parents=True)
        (folder / "sources.list").write_text("deb [trusted=yes] http://denied.test/debian stable main\n")
        subprocess.run(["chown", "-R", str(jail.uid), folder], check=True)
        refused = jail.run("apt-get", *options, "update")
        assert "403" in refused.stderr + refused.stdout
        (folder / "sources.list").write_text("deb [trusted=yes] http://allowed.test/debian stable main\n")
        served = jail.run("apt-get", *options, "update")
        said = served.stderr + served.stdout
        assert "403" not in said
        assert "Operation not permitted" not in said


@threat("T176")
def test_an_address_that_the_machine_got_after_the_start_is_not_dialled(jail, lab):
    """T176: a laptop that joins another network, with a jail running."""
    late = "45.33.32.78"
    lab.dns.set("late-jail.wild.test", a=[late])
    ask = "curl -s -o /dev/null -w '%{http_code}\\n' --connect-to late-jail.wild.test:80:9.9.9.9:80 http://late-jail.wild.test/"
    script = f"echo up; read -r _; {ask}; curl -sS http://allowed.test/"
    process = jail.start("sh", "-c", script, stdin=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    lab.gw.ip("address", "add", f"{late}/24", "dev", "up0")  # a secondary one, as at.GWUP is of its network
    try:
        with lab.gw.entered():
            listener = socket.create_server((late, 80))
        with listener:
            listener.setblocking(False)
            out, _ = process.communicate(b"\n", timeout=20)
            assert out == b"502\nAL\n"
            with pytest.raises(BlockingIOError):
                listener.accept()
    finally:
        lab.gw.ip("address", "del", f"{late}/24", "dev", "up0")
