"""A denied name has an address that represents it: every port of it is refused, and recorded with name and port."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import shutil

import pytest

from lab import addresses as at

CONNECT = """
import socket, sys, time
begun = time.monotonic()
try:
    link = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
    link.sendall(sys.argv[3].encode())
    answer = link.recv(100)
except OSError as error:
    answer = str(error)
print(answer, time.monotonic() - begun < 3)
"""


def denials_of(jail, folder, *command, args=()):
    log = folder / "decisions.jsonl"
    log.unlink(missing_ok=True)
    done = jail.run(*command, args=["--decisions", str(log), *args], timeout=30)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    return done, [record for record in records if record["type"] == "decision" and record["action"] == "blocked"]


@pytest.mark.parametrize(("port", "sent"), [(6379, "PING\r\n"), (22, ""), (6380, "*1\r\n$4\r\nPING\r\n"), (2222, "")])
def test_other_protocols_are_refused_and_recorded_with_name_and_port(jail, folder, port, sent):
    done, denials = denials_of(jail, folder, "python3", "-c", CONNECT, "cache.denied.test", str(port), sent)
    assert done.stdout.split()[-1] == "True", "at once, or after a second"
    seen = [record for record in denials if record["phase"] != "dns"]
    assert {(r["host"], r["port"], r["reason"]) for r in seen} == {("cache.denied.test", port, "endpoint_not_allowed")}


def test_udp_is_recorded_with_name_and_port(jail, folder):
    script = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('cache.denied.test', 5000)); s.send(b'x')"
    _, denials = denials_of(jail, folder, "python3", "-c", script)
    packets = [(r["host"], r["port"], r["reason"]) for r in denials if r["phase"] == "packet"]
    assert ("cache.denied.test", 5000, "endpoint_not_allowed") in packets


@pytest.mark.parametrize("port", [3000, 4873, 8000])
def test_http_on_another_port_gets_the_page(jail, port):
    page = jail.call("get", f"http://npm.denied.test:{port}/left-pad")
    assert (page["status"], page["reason"]) == (403, "endpoint_not_allowed")
    assert f"{{host: npm.denied.test, port: {port}}}" in page["body"]
    assert "100.65." not in page["body"]


def test_tls_on_another_port_gets_the_page_too(jail):
    done = jail.run("curl", "-sS", "https://api.denied.test:8443/", timeout=20)
    assert "Blocked by proxy policy: api.denied.test" in done.stdout, done.stderr
    assert "{host: api.denied.test, port: 8443}" in done.stdout


def test_the_advice_is_an_endpoint_and_never_an_address_of_a_denied_name(jail, folder, program):
    script = CONNECT.replace("sys.argv[2]", "6379").replace("sys.argv[3]", "'PING'")
    log = folder / "decisions.jsonl"
    log.unlink(missing_ok=True)
    jail.run("python3", "-c", script, "cache.denied.test", args=["--decisions", str(log)])
    done = jail.run("true", args=[])  # control: the jail runs without a log
    assert done.returncode == 0
    advised = jail.namespace.run(str(program), "suggest", str(log)).stdout
    assert "host: cache.denied.test, port: 6379" in advised
    assert "100.65." not in advised and "fd73:" not in advised


def test_the_pool_moves_away_from_what_the_policy_lists(jail_of):
    jail = jail_of(policy="endpoints:\n  - {cidr: 100.65.0.0/16, port: 9999}\n  - {cidr: 100.66.0.1/32, port: 9999}\n")
    found = jail.call("look_up", "cache.denied.test")
    assert [address.rsplit(".", 2)[0] for address in found if "." in address] == ["100.67"]


def test_nothing_that_a_range_lists_leads_to_a_denied_name(jail_of, folder):
    jail = jail_of(policy="endpoints:\n  - {cidr: 0.0.0.0/0, port: 9999}\n")
    done, denials = denials_of(jail, folder, "python3", "-c", CONNECT, "evil.test", "9999", "hello")
    assert "b''" in done.stdout or "reset" in done.stdout.lower(), done.stdout
    assert ("evil.test", 9999) in {(r["host"], r.get("port")) for r in denials}
    _, denials = denials_of(jail, folder, "python3", "-c", CONNECT, at.EV, "9999", "hello")
    assert denials == [], "control: the address itself is allowed"


def test_search_domains_lead_to_the_origin_of_an_endpoint(jail_of, lab):
    before = open(f"/etc/netns/{lab.gw.name}/resolv.conf").read()
    lab.gw.etc("resolv.conf", before + "search corp.example svc.cluster.local\noptions ndots:5\n")
    try:
        jail = jail_of(policy="endpoints:\n  - {host: allowed.test, port: 8443}\n")
        assert jail.call("look_up", "allowed.test") == [at.AL]
        done = jail.run("getent", "ahosts", "nosuchhost")
        assert done.returncode == 2, "a name that is none does not exist"
        found = jail.call("look_up", "denied.test")
        assert at.stands_for_denied([address for address in found if "." in address]), "control: a denied name"
    finally:
        lab.gw.etc("resolv.conf", before)


@pytest.mark.skipif(not shutil.which("dig"), reason="needs dig: install bind9-dnsutils")
def test_dig_shows_why(jail):
    done = jail.run("dig", "denied.test")
    assert "EDE: 15 (Blocked)" in done.stdout
    assert "denied.test is not in the policy: http://gateway.internal/policy" in done.stdout
    assert "EDE" not in jail.run("dig", "allowed.test").stdout, "control"


def test_denied_names_can_be_made_not_to_exist(jail_of):
    jail = jail_of(policy=at.POLICY + "denied_names: nxdomain\n")
    assert jail.run("getent", "ahosts", "denied.test").returncode == 2
    assert jail.call("look_up", "allowed.test") == [at.AL], "control"
