"""`deny:` beside \"*\": what is taken out of everything stays out, by every way in."""
# SPDX-License-Identifier: GPL-3.0-or-later

import ssl

import pytest

from lab import addresses as at
from lab import dns_wire, inspection, web
from lab import tls_wire as tls

threat = pytest.mark.threat

PROXY = 8080
POLICY = f"""\
allow_all_public: true
domains: ["*"]
endpoints: [{{host: allowed.test, port: 9000}}]
deny:
  - denied.test
  - "*.wild.test"
  - host: allowed.test
    rules: [{{methods: [DELETE]}}, {{path: {{prefix: /admin}}}}]
  - {at.EV}
  - {{cidr: "{at.EV6}"}}
"""


@pytest.fixture(scope="module")
def router(lab, gateway_binary, tmp_path_factory):
    del gateway_binary
    yield from inspection.inspecting_router(lab, tmp_path_factory, POLICY)


def connect(lab, authority):
    """The status of a CONNECT."""
    with web.connected(lab.agent, at.GW, PROXY) as link:
        link.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        return web.Reader(link).head().status


@threat("T230")
@pytest.mark.parametrize("name", ["denied.test", "x.wild.test", "deep.sub.wild.test"])
def test_a_denied_name_is_out_by_every_way(case, lab, router, name):
    answer = web.resolve(lab.agent, name, dns_wire.A)
    assert at.stands_for_denied(answer.addresses())
    page = web.http(lab.agent, name)
    assert (page.status, page.headers["x-soleroute-reason"]) == (403, "denied_by_policy")
    assert b"policy.yaml:" in page.body
    inside = web.https(lab.agent, name, router.ca_certificate)
    assert (inside.status, inside.headers["x-soleroute-reason"]) == (403, "denied_by_policy")
    assert web.http(lab.agent, name, address=at.AL).status == 403, "its Host at an allowed address"
    assert connect(lab, f"{name}:443") == 403
    case.record(action="blocked", host=name, reason="denied_by_policy")
    case.no_syn()
    case.no_query(name)


@threat("T231")
@pytest.mark.parametrize(("method", "path"), [
    ("DELETE", "/"), ("delete", "/"), ("GET", "/admin"), ("GET", "/ADMIN/x"), ("GET", "//admin"), ("GET", "/%61dmin"), ("GET", "/%2561dmin"),
    ("GET", "/x/../admin"), ("GET", "/;a/admin;b"),
])  # fmt: skip
def test_a_denied_request_is_out_in_every_spelling(case, lab, router, method, path):
    for response in (web.http(lab.agent, "allowed.test", path, method=method),
                     web.https(lab.agent, "allowed.test", router.ca_certificate, path, method=method)):  # fmt: skip
        assert (response.status, response.headers["x-soleroute-reason"]) == (403, "denied_by_policy")
    case.control()


@threat("T231")
def test_a_header_cannot_name_a_denied_method(case, lab, router):
    for header, status in (("X-HTTP-Method-Override: DELETE", 403), ("X-Other: DELETE", 200)):
        assert web.https(lab.agent, "allowed.test", router.ca_certificate, method="GET", headers=[header]).status == status, header
    del case


@threat("T232")
def test_a_host_with_denied_requests_does_not_pass_unread(case, lab, router):
    assert connect(lab, "allowed.test:9000") == 403, "its endpoint is not read"
    with web.connected(lab.agent, web.address_of(lab.agent, "allowed.test"), 443) as link:
        link.sendall(tls.client_hello("allowed.test", alpn=[b"mqtt"]))
        answer, _ = web.read_to_end(link)
    assert answer[:1] == b"\x15", "an alert: another protocol is not read"
    with pytest.raises(ssl.SSLCertVerificationError), web.tls(lab.agent, "allowed.test", lab.ca.certificate):
        pass
    del case, router


@threat("T233")
def test_a_denied_address_is_out_whatever_leads_there(case, lab, router):
    page = web.http(lab.agent, "evil.test")
    assert page.headers["x-soleroute-reason"] == "denied_by_policy"
    assert at.EV.encode() in page.body or at.EV6.encode() in page.body
    assert b"policy.yaml:" in page.body
    inside = web.https(lab.agent, "evil.test", router.ca_certificate)
    assert inside.headers["x-soleroute-reason"] == "denied_by_policy"
    for address in (at.EV, f"[{at.EV6}]", f"[::ffff:{at.EV}]"):
        assert connect(lab, f"{address}:443") == 403, address
    case.record(action="blocked", host="evil.test", reason="denied_by_policy")
    case.no_syn()


@threat("T234")
def test_everything_is_nothing_of_this_network(case, lab, router):
    lab.dns.set("inside.test", a=["10.1.2.3"])
    page = web.http(lab.agent, "inside.test", address=at.AL)
    assert page.headers["x-soleroute-reason"] == "private_address"
    for name in ("metadata.google.internal", "db", "printer.local"):
        assert web.http(lab.agent, name, address=at.AL).status == 403, name
    assert web.http(lab.agent, "cdn-allowed.test").status == 200, "the control: no entry names it"
    case.no_syn(case.lab.capture.mark())
    del router


@threat("T235")
def test_a_reload_ends_what_it_denies(lab, router):
    address = web.address_of(lab.agent, "cdn-allowed.test")
    with web.connected(lab.agent, address, 443) as link:
        link.sendall(tls.client_hello("cdn-allowed.test"))
        assert link.recv(1) == b"\x16"
        router.reload(POLICY + "  - cdn-allowed.test\n")
        _, how = web.read_to_end(link)
    assert how == "rst"
    router.reload(POLICY)
    assert web.http(lab.agent, "cdn-allowed.test").status == 200, "the control"


@threat("T235")
def test_a_reload_ends_connections_to_an_address_that_it_denies(lab, router):
    address = web.address_of(lab.agent, "cdn-allowed.test")
    with web.connected(lab.agent, address, 443) as link:
        link.sendall(tls.client_hello("cdn-allowed.test"))
        assert link.recv(1) == b"\x16"
        router.reload(POLICY + f"  - {at.CDN}\n")
        _, how = web.read_to_end(link)
    assert how == "rst"
    router.reload(POLICY)
