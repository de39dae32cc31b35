"""Which names are names, which addresses they may lead to, and what is remembered of both."""
# SPDX-License-Identifier: GPL-3.0-or-later

import ipaddress
import subprocess
from pathlib import Path

import pytest

from lab import addresses as at
from lab import gateway as gateways
from lab import tls_wire, wait, web
from lab.rawserver import listening

threat = pytest.mark.threat
SOURCES = Path(__file__).resolve().parents[2]

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


LISTED = """
domains: ["*.internal", "*.local", "*.home.arpa", "*.consul", single, plain.test, x.onion, x.invalid, x.alt, localhost]
"""
# name, and what every path must say: True allowed, False denied
TABLE = [
    ("db.corp.internal", True), ("internal", True), ("printer.local", True), ("api.default.svc.cluster.local", True), ("nas.home.arpa", True),
    ("web.service.consul", True), ("single", True), ("plain.test", True), ("x.onion", False), ("y.onion", False), ("x.invalid", False),
    ("x.alt", False), ("localhost", False), ("app.localhost", False), ("1.0.0.127.in-addr.arpa", False), ("ipv4only.arpa", False),
    ("other.arpa", False), ("other", False), ("other.test", False), ("use-application-dns.net", False),
]  # fmt: skip


def test_dns_http_tls_and_explain_say_one_thing_of_every_special_name(lab, make_gateway):
    gateway = make_gateway(policy=LISTED).start()
    for name, allowed in TABLE:
        lab.dns.set(name, a=[at.WILD], aaaa=[at.WILD6])
        mark = lab.dns.mark()
        answer = web.resolve(lab.agent, name)
        http = web.http(lab.agent, name, "/", address=at.WILD)
        said = {
            "dns": answer.addresses() == [at.WILD],
            "http": http.status == 200,
            "tls": tls_is_allowed(lab, gateway, name),
            "explain": explained(gateway, f"http://{name}/").lower().startswith("allowed"),
            "explain https": explained(gateway, f"https://{name}/").lower().startswith("allowed"),
        }
        assert set(said.values()) == {allowed}, (name, said, answer, http.status)
        assert bool(lab.dns.since(mark, name)) == allowed, f"{name}: asked upstream"
    loopback = [web.resolve(lab.agent, name, kind).addresses() for name in ("localhost", "app.localhost") for kind in (1, 28)]
    assert loopback == [["127.0.0.1"], ["::1"]] * 2


def tls_is_allowed(lab, gateway, name):
    """What is decided of a ClientHello with this name."""
    mark = gateway.log.mark()
    web.talk(lab.agent, at.WILD, 443, tls_wire.client_hello(name), enough=6)
    return gateway.log.wait_for(mark, type="decision", phase="tls", host=name)["action"] == "allowed"


def test_check_warns_of_listed_names_that_never_resolve(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text('domains: [x.onion, "*.localhost", "*.internal"]\nendpoints: [{host: y.invalid, port: 22}]\n')
    asked = subprocess.run([gateways.binary(), "check", str(policy)], capture_output=True, text=True, check=False)
    printed = asked.stdout + asked.stderr
    for name in ("x.onion", "*.localhost", "y.invalid"):
        assert f"{name} has no effect" in printed, printed
    assert "*.internal has no effect" not in printed


def test_the_example_for_internal_names_works(lab, make_gateway):
    policy = (SOURCES / "policy" / "examples" / "internal.yaml").read_text()
    make_gateway(policy=policy).start()
    private = "10.96.0.7"
    lab.up.ip("address", "add", f"{private}/32", "dev", "out0")
    lab.gw.ip("route", "replace", "10.96.0.0/12", "dev", "up0")
    try:
        lab.dns.set("api.default.svc.cluster.local", a=[private])
        lab.dns.set("git.corp.example.net", a=["10.99.0.1"])
        with listening(lab.up, private, 80):
            assert web.resolve(lab.agent, "api.default.svc.cluster.local").addresses() == [private]
            assert web.http(lab.agent, "api.default.svc.cluster.local", "/", address=private).body == b"hi\n"
        assert web.resolve(lab.agent, "git.corp.example.net").addresses() == [], "the control: not an address of this entry"
    finally:
        lab.up.ip("address", "del", f"{private}/32", "dev", "out0")
        lab.gw.ip("route", "del", "10.96.0.0/12", "dev", "up0")


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
