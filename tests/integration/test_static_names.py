"""Names with addresses that people wrote down: `hosts:` of the policy, and the gateway's own hosts file."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import subprocess
from pathlib import Path

import pytest

from lab import addresses as at
from lab import gateway as gateways
from lab import wait, web
from lab.rawserver import listening

PRIVATE = "10.30.0.5"
POLICY = f"""\
hosts:
  build.corp.test: {PRIVATE}
  two.corp.test: [{at.SPARE}, {PRIVATE}]
  db_main: {PRIVATE}
  secret.corp.test: {PRIVATE}
  meta.corp.test: 169.254.169.254
  self.corp.test: {at.GW_OWN}
domains: [build.corp.test, two.corp.test, meta.corp.test, self.corp.test, allowed.test, "*.wild.test"]
endpoints: [{{host: db_main, port: 5432}}]
"""


@pytest.fixture
def private_server(lab):
    """A server at a private address that the gateway can reach: HTTP, and a database."""
    lab.up.ip("address", "add", f"{PRIVATE}/32", "dev", "out0")
    lab.gw.ip("route", "replace", "10.30.0.0/16", "dev", "up0")
    try:
        with listening(lab.up, PRIVATE, 80), listening(lab.up, PRIVATE, 5432):
            yield
    finally:
        lab.up.ip("address", "del", f"{PRIVATE}/32", "dev", "out0")
        lab.gw.ip("route", "del", "10.30.0.0/16", "dev", "up0")


@pytest.fixture
def hosts_file(lab):
    """hosts_file(text) is /etc/hosts of the gateway."""
    path = Path("/etc/netns") / lab.gw.name / "hosts"
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(text):
        path.write_text(text)  # in place: it is a bind mount there

    yield write
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def test_names_of_the_policy_have_its_addresses_on_every_path(lab, make_gateway, private_server):
    del private_server
    make_gateway(policy=POLICY).start()
    mark = lab.dns.mark()
    lab.dns.set("build.corp.test", a=[at.EV])
    assert web.resolve(lab.agent, "build.corp.test").addresses() == [PRIVATE]
    assert web.http(lab.agent, "build.corp.test", "/", address=at.WILD).body == b"hi\n", "whatever address the client has"
    assert sorted(web.resolve(lab.agent, "two.corp.test").addresses()) == sorted([at.SPARE, PRIVATE])
    assert web.resolve(lab.agent, "db_main").addresses() == [PRIVATE]
    assert b"hi" in web.talk(lab.agent, PRIVATE, 5432, b"x", enough=10)[0]
    assert web.resolve(lab.agent, "build.corp.test", 65).records == []
    assert lab.dns.since(mark, "corp.test") == [], "never asked upstream"


def test_names_of_the_policy_stay_within_its_rules(lab, make_gateway, private_server):
    del private_server
    gateway = make_gateway(policy=POLICY).start()
    secret = web.resolve(lab.agent, "secret.corp.test")
    assert PRIVATE not in secret.addresses(), "no entry allows this name"
    assert web.http(lab.agent, "secret.corp.test", "/", address=PRIVATE).status == 403
    for name in ("meta.corp.test", "self.corp.test"):
        assert web.resolve(lab.agent, name).addresses() == [], name
        page = web.http(lab.agent, name, "/", address=at.WILD)
        assert (page.status, page.headers["x-soleroute-reason"]) == (502, "private_address"), name
    checked = subprocess.run([gateways.binary(), "check", str(gateway.policy_file)], capture_output=True, text=True, check=False)
    printed = checked.stdout + checked.stderr
    assert "hosts secret.corp.test: no entry" in printed and "hosts meta.corp.test: 169.254.169.254 is a loopback" in printed, printed
    gateway.reload(POLICY.replace(f"  build.corp.test: {PRIVATE}\n", f"  build.corp.test: {at.WILD}\n"))
    assert web.resolve(lab.agent, "build.corp.test").addresses() == [at.WILD], "a reload changes them"
    assert web.http(lab.agent, "build.corp.test", "/", address=at.WILD).status == 200


def test_the_hosts_file_of_the_gateway_is_read_and_followed(lab, make_gateway, private_server, hosts_file):
    del private_server
    hosts_file(f"127.0.0.1 localhost a.wild.test\n{at.SPARE} extra.wild.test\n{PRIVATE} inner.wild.test outer.test\n")
    policy = 'domains: ["*.wild.test", allowed.test, {host: listed.wild.test, addresses: [10.30.0.0/16]}]\n'
    make_gateway(policy=policy).start()
    lab.dns.set("a.wild.test", a=[at.WILD])
    lab.dns.set("extra.wild.test", a=[at.WILD])
    assert web.resolve(lab.agent, "extra.wild.test").addresses() == [at.SPARE]
    with listening(lab.up, at.SPARE, 80):
        assert web.http(lab.agent, "extra.wild.test", "/", address=at.WILD).body == b"hi\n"
    assert web.resolve(lab.agent, "inner.wild.test").addresses() == [], "a private address needs `addresses:`"
    assert web.http(lab.agent, "inner.wild.test", "/", address=at.WILD).status == 502
    assert PRIVATE not in web.resolve(lab.agent, "outer.test").addresses(), "no entry allows this name"
    assert web.resolve(lab.agent, "a.wild.test").addresses() == [at.WILD], "no address of the machine itself"
    assert web.resolve(lab.agent, "localhost").addresses() == ["127.0.0.1"]
    hosts_file(f"{PRIVATE} listed.wild.test\n")
    wait.until(lambda: web.resolve(lab.agent, "listed.wild.test").addresses() == [PRIVATE], "the new file to be read")
    assert web.http(lab.agent, "listed.wild.test", "/", address=at.WILD).body == b"hi\n"
    assert web.resolve(lab.agent, "extra.wild.test").addresses() == [at.WILD], "it is asked upstream again"
