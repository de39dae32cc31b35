"""Which names are names, which addresses they may lead to, and what is remembered of both."""
# SPDX-License-Identifier: GPL-3.0-or-later

import ipaddress
import subprocess

import pytest

from lab import addresses as at
from lab import gateway as gateways
from lab import wait, web
from lab.rawserver import listening

threat = pytest.mark.threat

POLICY = """\
domains:
  - allowed.test
  - "*.wild.test"
  - "*.corp.internal"
  - "*.local"
  - foo_bar.example
endpoints:
  - {host: my_db, port: 5432}
  - {host: db.wild.test, port: 5433}
"""


@pytest.fixture(scope="module")
def router(lab, gateway_binary, tmp_path_factory):
    """One gateway with the policy of this file."""
    del gateway_binary
    gateway = gateways.Gateway(lab, tmp_path_factory.mktemp("names"), policy=POLICY)
    lab.router = gateway
    try:
        yield gateway.start()
    finally:
        lab.router = None
        gateway.stop()
        lab.reset_gateway_namespace()


def explained(router, url):
    asked = subprocess.run(
        [gateways.binary(), "explain", "--policy", str(router.policy_file), url], capture_output=True, text=True, check=False
    )
    return asked.stdout


@threat("T192")
@pytest.mark.parametrize("name", ["db.corp.internal", "a.b.corp.internal", "printer.local"])
def test_a_star_below_a_local_domain_means_its_names_on_every_path(lab, router, name):
    """T192: DNS, HTTP and `explain` say one thing of them."""
    lab.dns.set(name, a=[at.WILD])
    assert web.resolve(lab.agent, name).addresses() == [at.WILD]
    assert web.http(lab.agent, name, "/", address=at.WILD).status == 200
    assert "allowed" in explained(router, f"http://{name}/").lower()
    other = web.resolve(lab.agent, "db.other.internal")
    assert other.rcode == 3 and not lab.dns.since(0, "db.other.internal"), "the control: no star means this one"
    assert web.resolve(lab.agent, "gateway.internal").addresses() == [at.GW]


@threat("T193")
def test_underscores_are_taken_where_browsers_and_compose_take_them(lab, router):
    """T193: in a name of two labels, and in a single one that is an endpoint."""
    lab.dns.set("foo_bar.example", a=[at.WILD])
    lab.dns.set("my_db", a=[at.SPARE])
    assert web.resolve(lab.agent, "foo_bar.example").addresses() == [at.WILD]
    assert web.http(lab.agent, "foo_bar.example", "/", address=at.WILD).status == 200
    assert web.http(lab.agent, "bar_foo.example", "/", address=at.WILD).status == 403, "the control: not in the policy"
    with listening(lab.up, at.SPARE, 5432):
        assert web.resolve(lab.agent, "my_db").addresses() == [at.SPARE]
        answer, how = web.talk(lab.agent, at.SPARE, 5432, b"x", enough=10)
        assert b"hi" in answer, how
    wrong = router.folder / "wrong.yaml"
    wrong.write_text('domains: ["b@d_name"]\n')
    asked = subprocess.run([gateways.binary(), "check", str(wrong)], capture_output=True, text=True, check=False)
    assert "'b@d_name' has a character that host names cannot have" in asked.stdout + asked.stderr


NAT64 = "64:ff9b::2d21:2029"  # SPARE, as a translator shows it


@threat("T194")
def test_public_addresses_behind_the_well_known_nat64_prefix_are_dialled(lab, router):
    """T194: and those that are not public behind it are not."""
    lab.up.ip("-6", "address", "add", f"{NAT64}/128", "dev", "out0", "nodad")
    lab.gw.ip("-6", "route", "replace", "64:ff9b::/96", "dev", "up0")
    try:
        lab.dns.set("nat.wild.test", aaaa=[NAT64])
        with listening(lab.up, NAT64, 80):
            assert web.resolve(lab.agent, "nat.wild.test", 28).addresses() == [NAT64]
            assert web.http(lab.agent, "nat.wild.test", "/", address=at.WILD).body == b"hi\n"
        for number, inner in enumerate(("64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "::7f00:1", "64:ff9b:1::2d21:2029")):
            name = f"nat{number}.wild.test"
            lab.dns.set(name, aaaa=[inner])
            assert web.resolve(lab.agent, name, 28).addresses() == [], inner
            refused = web.http(lab.agent, name, "/", address=at.WILD)
            assert (refused.status, refused.headers["x-soleroute-reason"]) == (502, "private_address"), inner
        lab.dns.set("self.wild.test", aaaa=[str(ipaddress.IPv6Address("64:ff9b::") + int(ipaddress.IPv4Address(at.GWUP)))])
        assert web.resolve(lab.agent, "self.wild.test", 28).addresses() == [], "the gateway itself, by way of the translator"
    finally:
        lab.up.ip("-6", "address", "del", f"{NAT64}/128", "dev", "out0")
        lab.gw.ip("-6", "route", "del", "64:ff9b::/96", "dev", "up0")


@threat("T195")
def test_an_endpoint_stays_known_among_many_names_of_its_address(lab, router):
    """T195: forty other names with longer lives lead to the same address."""
    del router
    lab.dns.set("db.wild.test", a=[at.SPARE], ttl=120)
    assert web.resolve(lab.agent, "db.wild.test").addresses() == [at.SPARE]
    for number in range(40):
        lab.dns.set(f"n{number}.wild.test", a=[at.SPARE], ttl=300)
        assert web.resolve(lab.agent, f"n{number}.wild.test").addresses() == [at.SPARE]
    with listening(lab.up, at.SPARE, 5433), listening(lab.up, at.SPARE, 5434):
        assert b"hi" in web.talk(lab.agent, at.SPARE, 5433, b"x", enough=10)[0]
        assert b"hi" not in web.talk(lab.agent, at.SPARE, 5434, b"x", enough=10)[0], "the control: no endpoint"


@threat("T196")
def test_what_was_known_is_told_while_no_resolver_answers(lab, router):
    """T196: DNS and HTTP alike, for 30 s at a time, and the record says so."""
    name = "stale.wild.test"
    lab.dns.set(name, a=[at.WILD], ttl=1)
    assert web.resolve(lab.agent, name).addresses() == [at.WILD]
    lab.dns.failing = True
    try:
        mark = router.log.mark()

        def told():
            answer = web.resolve(lab.agent, name)
            assert answer.addresses() == [at.WILD], answer.rcode
            return router.log.find(mark, host=name, detail=lambda detail: detail and "stale: expired" in detail)

        wait.until(told, "an answer from before", 5)
        assert web.http(lab.agent, name, "/", address=at.WILD).status == 200
        assert web.resolve(lab.agent, "fresh.wild.test").rcode == 2, "the control: nothing is known of it"
    finally:
        lab.dns.failing = False
