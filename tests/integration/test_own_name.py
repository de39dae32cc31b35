"""gateway.internal is the gateway itself under every policy, on every path and in every version of HTTP."""
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest

from lab import addresses as at
from lab import http2_wire as h2
from lab import web
from lab.http1 import get, talk

threat = pytest.mark.threat

POLICIES = {
    "not in it": "domains: [allowed.test]\n",
    "a star over it": 'domains: [allowed.test, "*.internal"]\n',
    "inspected by it": "domains: [allowed.test, {host: gateway.internal, tls: inspect}]\n",
}


@pytest.fixture(scope="module", params=POLICIES)
def policy(router, request):
    router.reload(POLICIES[request.param])
    yield request.param
    router.reload(at.POLICY)


@threat("T186")
def test_over_plain_http(case, lab, policy):
    page = web.http(lab.agent, "gateway.internal", "/")
    assert page.status == 200 and b"restricted by an allowlist" in page.body
    case.no_query("gateway.internal")
    case.no_syn()
    del policy


@threat("T186")
@pytest.mark.parametrize("alpn", [("http/1.1",), ("h2", "http/1.1"), ()])
def test_over_https(case, lab, router, policy, alpn):
    with web.tls(lab.agent, "gateway.internal", router.folder / "ca" / "mitmproxy-ca-cert.pem", alpn=alpn) as link:
        link.sendall(web.request_bytes("gateway.internal", "/"))
        page = web.Reader(link).response()
    assert page.status == 200 and b"restricted by an allowlist" in page.body
    case.no_query("gateway.internal")
    case.no_syn()
    del policy


def curl(lab, router, *words):
    public = lab.folder / "own-name-ca.pem"
    public.write_bytes((router.folder / "ca" / "mitmproxy-ca-cert.pem").read_bytes())
    public.chmod(0o644)
    return lab.run_client("curl", "-sS", "--cacert", str(public), *words)


@threat("T186")
def test_to_a_client_of_http2_alone(case, lab, router, policy):
    public = lab.folder / "own-name-ca.pem"
    public.write_bytes((router.folder / "ca" / "mitmproxy-ca-cert.pem").read_bytes())
    with h2.linked(lab.agent, at.GW, "gateway.internal", str(public)) as link:
        link.send(h2.get(1, "gateway.internal", "/"))
        how, body = link.end_of(1)
    assert how == "end" and b"restricted by an allowlist" in body
    case.no_query("gateway.internal")
    del policy


@threat("T186")
def test_through_the_explicit_proxy(case, lab, router, policy):
    proxy = f"http://{at.GW}:8080"
    for url in ("http://gateway.internal/", "https://gateway.internal/"):
        code, said = curl(lab, router, "--proxy", proxy, url)
        assert code == 0 and "restricted by an allowlist" in said, (url, said)
    found, _, _ = talk(lab, b"CONNECT gateway.internal:22 HTTP/1.1\r\nHost: gateway.internal:22\r\n\r\n", at.GW)
    assert found == [403] or found == [405]
    case.no_query("gateway.internal")
    case.no_syn()
    del policy


@threat("T186")
def test_a_host_beside_it_is_decided_by_the_policy(case, lab, policy):
    found, answer, _ = talk(lab, get("other.internal", "/", "Connection: close\r\n"))
    assert found == [403 if policy != "a star over it" else 502], answer
    case.control()
