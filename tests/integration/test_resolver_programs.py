"""Beside real forwarders: what the gateway answers is what dig gets from the same unbound or dnsmasq."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab import dns_wire as dns
from lab import wait
from lab.faulty_resolver import ADDRESS, SERVER, Fault, FaultyResolver

SUPPORT = Path(__file__).resolve().parents[1] / "support"
MANY = [f"45.33.41.{number}" for number in range(1, 41)]
CHAINS = (1, 5, 8, 9, 10)  # unbound itself ends chains of more than 11


def _zone(query):
    """What the servers behind the forwarders say, by the first label of the name."""
    kind, _, number = query.name.partition(".")[0].partition("-")
    if query.name.startswith("hop") or query.qtype != dns.A:
        return [query.reply(dns.a(ADDRESS, ttl=60) if query.qtype == dns.A else [])]
    if kind == "many":
        return [query.reply(dns.a(*MANY, ttl=60), **({"flags": 0x8380} if query.transport == "udp" else {}))]
    if kind == "chain":
        owner, records = b"\xc0\x0c", []
        for hop in range(int(number)):
            records.append(dns.cname(f"hop{hop}.cdn.example", ttl=60, owner=owner))
            owner = dns.labels(f"hop{hop}.cdn.example")
        return [query.reply(records + dns.a(ADDRESS, ttl=60, owner=owner))]
    if kind == "failing":
        return [query.reply([], rcode=dns.SERVFAIL, authority=[])]
    if kind == "short":
        return [query.reply(dns.a(ADDRESS, ttl=0))]
    return [query.reply()]


NAMES = [f"{first}.wild.test" for first in ("plain", "gone", "short", "many", "failing", *(f"chain-{n}" for n in CHAINS))]
UNBOUND = """
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: {address}
  do-ip6: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "test." nodefault
  {more}
forward-zone:
  name: "."
  forward-addr: {server}
remote-control:
  control-enable: no
"""


@contextlib.contextmanager
def _running(namespace, address, *command):
    """A forwarder, from when it answers."""
    process = subprocess.Popen(namespace.command(*command), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def answers():
        assert process.poll() is None, process.stderr.read()
        with namespace.entered():
            return dns.ask(address, dns.question("plain.wild.test"), timeout=0.3)

    try:
        wait.until(answers, f"{command[0]} to answer", 10)
        yield
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()


def _unbound(namespace, folder, address, more=""):
    program = shutil.which("unbound")
    assert program, "unbound is not installed (tools/packages.txt)"
    (folder / "unbound.conf").write_text(UNBOUND.format(folder=folder, address=address, server=SERVER, more=more))
    return _running(namespace, address, program, "-d", "-c", str(folder / "unbound.conf"))


def _dnsmasq(namespace, _folder, address, *more):
    program = shutil.which("dnsmasq")
    assert program, "dnsmasq is not installed (tools/packages.txt)"
    return _running(
        namespace, address, program, "--keep-in-foreground", "--no-resolv", "--no-hosts", f"--server={SERVER}", "--user=root",
        f"--listen-address={address}", "--bind-interfaces", "--conf-file=/dev/null", "--pid-file", *more,
    )  # fmt: skip


FORWARDERS = {
    "unbound": lambda *a: _unbound(*a),
    "unbound, minimal, 512 bytes": lambda *a: _unbound(*a, more="minimal-responses: yes\n  edns-buffer-size: 512"),
    "unbound, without TCP": lambda *a: _unbound(*a, more="do-tcp: yes\n  incoming-num-tcp: 0"),
    "dnsmasq": lambda *a: _dnsmasq(*a),
    "dnsmasq, without a cache, 512 bytes": lambda *a: _dnsmasq(*a, "--cache-size=0", "--edns-packet-max=512"),
}
ASK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from lab import dns_wire as dns
out = {}
for name in sys.argv[2:]:
    answer = dns.ask("192.0.2.53", dns.question(name, edns=[]), timeout=8)
    out[name] = [answer.rcode, sorted(answer.addresses())]
print(json.dumps(out))
"""


def _by_dig(namespace, address, name):
    said = namespace.run("dig", f"@{address}", name, "A", "+tries=2", "+time=3", check=False).stdout
    rcode = {"NOERROR": 0, "SERVFAIL": 2, "NXDOMAIN": 3}[said.split("status: ")[1].split(",")[0]]
    return rcode, {line.split()[4] for line in said.splitlines() if line[:1] not in (";", "") and line.split()[3] == "A"}


@pytest.mark.parametrize("what", FORWARDERS)
def test_the_gateway_answers_what_dig_gets_from_the_same_forwarder(namespace, gateway_binary, tmp_path, what):
    address = f"127.0.2.{list(FORWARDERS).index(what) + 1}"
    policy = tmp_path / "policy.yaml"
    policy.write_text('domains: ["*.wild.test"]\n')
    with FaultyResolver(namespace, Fault(_zone)), FORWARDERS[what](namespace, tmp_path, address):
        done = subprocess.run(
            namespace.command(gateway_binary, "run", "-q", "--resolver", address, "--policy", policy, "--",
                              sys.executable, "-B", "-c", ASK, SUPPORT, *NAMES),
            capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answers = json.loads(done.stdout)
        theirs = {name: _by_dig(namespace, address, name) for name in NAMES}
    assert theirs["plain.wild.test"] == (dns.NOERROR, {ADDRESS}), "the control: the forwarder works"
    for name, (rcode, addresses) in answers.items():
        their_rcode, their_addresses = theirs[name]
        assert rcode == their_rcode, (name, addresses)
        if name.startswith("many"):
            assert len(addresses) == 16 and set(addresses) <= set(MANY), (name, addresses)
        else:
            assert set(addresses) == their_addresses, name
