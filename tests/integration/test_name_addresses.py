"""Which non-public addresses a name may lead to: placeholder resolvers, and translators of IPv6-only networks."""
# SPDX-License-Identifier: GPL-3.0-or-later

import subprocess

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import gateway as gateways
from lab import page_examples, web
from lab.rawserver import listening

HOST = "api.example.test"  # of the page's examples
PLACEHOLDER = "198.18.0.5"


@pytest.fixture
def reachable(lab):
    """reachable(address, prefix): the outside has the address, and the gateway's route leads there."""
    undo = []

    def make(address, prefix):
        six = ["-6"] if ":" in address else []
        length = 128 if six else 32
        lab.up.ip(*six, "address", "add", f"{address}/{length}", "dev", "out0", *(["nodad"] if six else []))
        lab.gw.ip(*six, "route", "replace", prefix, "dev", "up0")
        undo.append((lab.up, [*six, "address", "del", f"{address}/{length}", "dev", "out0"]))
        undo.append((lab.gw, [*six, "route", "del", prefix, "dev", "up0"]))

    yield make
    for namespace, arguments in undo:
        namespace.ip(*arguments)


def suggested(gateway):
    log = b"".join(line + b"\n" for line in gateway.log.lines)
    command = [gateways.binary(), "suggest", "--policy", str(gateway.policy_file)]
    return subprocess.run(command, input=log, capture_output=True, check=False).stdout.decode()


def test_a_placeholder_resolver_is_named_and_one_line_helps_all_names(lab, make_gateway, reachable):
    policy = page_examples.block("docs/networks.md", "Placeholder resolvers")
    line, _, rest = policy.partition("\n")
    assert line == "addresses: [198.18.0.0/15]"
    lab.dns.set(HOST, a=[PLACEHOLDER])
    lab.dns.set("other.example.test", a=[PLACEHOLDER])
    lab.dns.set("private.example.test", a=["10.20.0.5"])
    rest += "  - private.example.test\n"
    gateway = make_gateway(policy=rest).start()
    reachable(PLACEHOLDER, "198.18.0.0/15")
    with listening(lab.up, PLACEHOLDER, 80):
        mark = gateway.log.mark()
        assert web.resolve(lab.agent, HOST).addresses() == []
        record = gateway.log.wait_for(mark, host=HOST, reason="private_address")
        assert "this resolver hands out placeholder addresses" in record["detail"], record
        page = web.http(lab.agent, HOST, "/", address=at.WILD)
        assert page.status == 502 and b"placeholder addresses" in page.body, page.body
        assert b"addresses:\n  - 198.18.0.0/15\n" in page.body, page.body
        gateway.reload(line + "\n" + rest)
        assert web.resolve(lab.agent, HOST).addresses() == [PLACEHOLDER]
        assert web.http(lab.agent, HOST, "/", address=PLACEHOLDER).body == b"hi\n"
        denied = web.resolve(lab.agent, "other.example.test")
        assert PLACEHOLDER not in denied.addresses(), "the control: the line lists no name"
        assert web.resolve(lab.agent, "private.example.test").addresses() == [], "the control: another private address"
        assert web.http(lab.agent, "private.example.test", "/", address=at.WILD).status == 502


def test_a_placeholder_gets_one_line_from_suggest(lab, make_gateway):
    names = ["a.example.test", "b.example.test", "c.example.test"]
    gateway = make_gateway(policy="domains: [a.example.test, b.example.test, c.example.test]\n").start()
    for number, name in enumerate(names):
        lab.dns.set(name, a=[f"198.18.7.{number}"])
        mark = gateway.log.mark()
        assert web.resolve(lab.agent, name).addresses() == []
        gateway.log.wait_for(mark, host=name, reason="private_address")
    lines = suggested(gateway)
    assert lines.count("198.18.0.0/15") == 1 and "addresses:" in lines, lines
    assert "host:" not in lines, lines


NETWORK = "fd00:64::"  # the network's own prefix; SPARE behind it
TRANSLATED = f"{NETWORK}2d21:2029"


def test_a_configured_nat64_prefix_is_judged_by_the_address_inside(lab, make_gateway, reachable):
    command = page_examples.commands("docs/networks.md", "IPv6-only networks")[0].split()
    assert command[command.index("--nat64") + 1] == f"{NETWORK}/96"
    gateway = make_gateway(policy='domains: ["*.wild.test", allowed.test]\nendpoints: [{host: db.wild.test, port: 5432}]\n',
                           arguments=["--nat64", f"{NETWORK}/96"]).start()  # fmt: skip
    reachable(TRANSLATED, f"{NETWORK}/96")
    lab.dns.set("nat.wild.test", aaaa=[TRANSLATED])
    lab.dns.set("db.wild.test", aaaa=[TRANSLATED])
    with listening(lab.up, TRANSLATED, 80), listening(lab.up, TRANSLATED, 5432):
        assert web.resolve(lab.agent, "nat.wild.test", dns.AAAA).addresses() == [TRANSLATED]
        assert web.http(lab.agent, "nat.wild.test", "/", address=at.WILD).body == b"hi\n"
        assert web.resolve(lab.agent, "db.wild.test", dns.AAAA).addresses() == [TRANSLATED]
        assert b"hi" in web.talk(lab.agent, TRANSLATED, 5432, b"x", enough=10)[0]
    for number, inside in enumerate(("10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", at.GWUP, at.GW_OWN)):
        name = f"inside{number}.wild.test"
        lab.dns.set(name, aaaa=[f"{NETWORK}{inside}"])
        mark = gateway.log.mark()
        assert web.resolve(lab.agent, name, dns.AAAA).addresses() == [], inside
        assert gateway.log.wait_for(mark, host=name)["reason"] == "private_address", inside
        page = web.http(lab.agent, name, "/", address=at.WILD)
        assert (page.status, page.headers["x-soleroute-reason"]) == (502, "private_address"), inside
    lab.dns.set("beside.wild.test", aaaa=["fd00:65::1"])
    assert web.resolve(lab.agent, "beside.wild.test", dns.AAAA).addresses() == [], "the control: not in the prefix"


def test_a_discovered_nat64_prefix_only_denies(lab, make_gateway, reachable):
    """Of public addresses those are refused that mean a private one; private addresses of it stay private."""
    public = "2600:64::"
    lab.dns.set("ipv4only.arpa", aaaa=[f"{public}192.0.0.170", f"{NETWORK}192.0.0.171"])
    gateway = make_gateway(policy='domains: ["*.wild.test", allowed.test]\n')
    gateway.start()
    gateway.log.wait_for(0, type="lifecycle", event="nat64")
    reachable(f"{public}2d21:2029", f"{public}/96")
    lab.dns.set("nat.wild.test", aaaa=[f"{public}2d21:2029"])
    with listening(lab.up, f"{public}2d21:2029", 80):
        assert web.resolve(lab.agent, "nat.wild.test", dns.AAAA).addresses() == [f"{public}2d21:2029"]
        assert web.http(lab.agent, "nat.wild.test", "/", address=at.WILD).body == b"hi\n"
    for number, where in enumerate((f"{public}10.0.0.1", f"{public}169.254.169.254", f"{public}{at.GWUP}", TRANSLATED)):
        name = f"inside{number}.wild.test"
        lab.dns.set(name, aaaa=[where])
        assert web.resolve(lab.agent, name, dns.AAAA).addresses() == [], where
        assert web.http(lab.agent, name, "/", address=at.WILD).status == 502, where
    mark = gateway.log.mark()
    web.resolve(lab.agent, "inside3.wild.test", dns.AAAA)
    detail = gateway.log.wait_for(mark, host="inside3.wild.test")["detail"]
    assert f"start the gateway with --nat64 {NETWORK}/96" in detail, detail
    lab.dns.forget("ipv4only.arpa")


def test_doctor_names_a_resolver_that_hands_out_placeholders(lab, gateway_binary):
    command = lab.gw.command(gateway_binary, "doctor", "--in", "gateway", "--resolver", at.NS)
    lab.dns.set("example.com", a=[PLACEHOLDER])
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert f"resolver {at.NS}:53 hands out placeholder addresses" in printed, printed
    assert "addresses: [198.18.0.0/15]" in printed, printed
    lab.dns.set("example.com", a=[at.WILD])
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "placeholder" not in printed and f"resolver {at.NS}" in printed, "the control: a real address"
    lab.dns.forget("example.com")
