"""Denied hosts over https: the page for every client that can read it, an alert for the others, and what the log says."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import re
import shutil
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import addresses as at
from lab import inspection, web
from lab import tls_wire as tls

threat = pytest.mark.threat


@pytest.fixture(scope="module")
def router(lab, gateway_binary, tmp_path_factory):
    del gateway_binary
    yield from inspection.inspecting_router(lab, tmp_path_factory, inspection.INSPECTED)


@pytest.fixture
def get(lab, router):
    """One request of a client that trusts the gateway's CA and nobody else."""

    def ask(host, path="/", **options):
        return web.https(lab.agent, host, router.ca_certificate, path, **options)

    return ask


def test_a_denied_host_gets_the_page_over_tls_and_is_never_dialled(case, lab, get):
    response = get("denied.test", f"/{case.canary}")
    assert response.status == 403
    assert response.first_line.startswith("Blocked by proxy policy: denied.test")
    assert response.headers["x-soleroute-reason"] == "host_not_allowed"
    assert "- denied.test" in response.body.decode()
    as_json = get("denied.test", headers=["Accept: application/json"])
    assert json.loads(as_json.body)["host"] == "denied.test"
    record = case.record(action="blocked", host="denied.test", path=f"/{case.canary}")
    assert (record["scheme"], record["status"], record["reason"]) == ("https", 403, "host_not_allowed")
    case.no_syn()
    case.no_query("denied.test")


_URLLIB_OF_A_CONTEXT = """
import ssl, sys, urllib.request as u
try: print(u.urlopen(sys.argv[1], context=ssl.create_default_context()).read().decode())
except u.HTTPError as e: print(e.code, e.read().decode())
"""

_URL_CONNECTION = """
public class Get {
    public static void main(String[] urls) throws Exception {
        var link = (javax.net.ssl.HttpsURLConnection) new java.net.URL(urls[0]).openConnection();
        var body = link.getResponseCode() < 400 ? link.getInputStream() : link.getErrorStream();
        System.out.println(link.getResponseCode() + " " + new String(body.readAllBytes()));
    }
}
"""

# Clients that offer no ALPN, to be followed by the URL. SSL_CERT_FILE tells them of a CA.
WITHOUT_ALPN = {
    "wget": ["sh", "-c", 'exec wget -nv -S -O- --content-on-error --ca-certificate="$SSL_CERT_FILE" "$1"', "wget"],
    "python3 with a context of its own": ["/usr/bin/python3", "-c", _URLLIB_OF_A_CONTEXT],
    "openssl s_client": ["sh", "-c", """
        host=${1#https://}; host=${host%%/*}
        printf 'GET /ok/ HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n' "$host" |
            openssl s_client -quiet -verify_quiet -verify_return_error -connect "$host:443" -servername "$host"
    """, "s_client"],
    "java's HttpsURLConnection": ["sh", "-c", """
        set -e; cd "$(mktemp -d)"; trap 'rm -rf "$PWD"' EXIT
        keytool -importcert -noprompt -storepass public -keystore roots.p12 -file "$SSL_CERT_FILE" 2>keytool.log
        printf %s "$0" >Get.java
        java -XX:TieredStopAtLevel=1 -Djavax.net.ssl.trustStore=roots.p12 -Djavax.net.ssl.trustStorePassword=public Get.java "$1"
    """, _URL_CONNECTION],
}  # fmt: skip


@pytest.fixture(params=WITHOUT_ALPN)
def without_alpn(request):
    if not shutil.which(re.match(r"\w+", request.param)[0]):
        pytest.skip(f"needs {request.param}")
    return WITHOUT_ALPN[request.param]


def test_a_client_without_alpn_gets_the_page_of_a_denied_host_and_the_origin_of_an_allowed_one(case, lab, router, without_alpn):
    trusting = {"SSL_CERT_FILE": router.ca_certificate}
    mark, syns = lab.al.mark(), lab.capture.mark()
    _, denied = lab.run_client(*without_alpn, "https://denied.test/", **trusting)
    assert "403" in denied and "Blocked by proxy policy: denied.test" in denied, denied
    case.no_syn(syns)
    record = case.one_record(action="blocked", host="denied.test", scheme="https")
    assert (record["reason"], record["status"], record["phase"]) == ("host_not_allowed", 403, "http")
    assert lab.al.since(mark, "/ok/") == []
    status, allowed = lab.run_client(*without_alpn, "https://allowed.test/ok/", **trusting)
    assert status == 0 and "AL" in allowed and "Blocked" not in allowed, allowed
    assert lab.al.since(mark, "/ok/"), "the control: the origin was asked"
    case.no_query("denied.test")


def test_a_client_without_alpn_that_does_not_trust_the_ca_gets_no_page_and_is_logged(case, lab, router, without_alpn):
    del router
    syns = lab.capture.mark()
    status, said = lab.run_client(*without_alpn, "https://denied.test/", SSL_CERT_FILE=lab.ca.certificate)
    assert status != 0 and "Blocked by proxy policy" not in said, said
    case.no_syn(syns)
    record = case.one_record(phase="tls", action="blocked", host="denied.test")
    assert record["reason"] == "host_not_allowed"
    assert "does not trust the gateway's certificate (" in record["detail"] or "accepted the gateway's certificate, but sent" in record["detail"]


def test_a_client_that_does_not_trust_the_ca_is_told_by_an_alert_and_the_log_says_so(case, lab):
    with pytest.raises(ssl.SSLError):
        web.https(lab.agent, "denied.test", lab.ca.certificate)
    record = case.one_record(phase="tls", action="blocked", host="denied.test")
    assert record["reason"] == "host_not_allowed"
    assert "does not trust the gateway's certificate" in record["detail"]
    with pytest.raises(ssl.SSLError):
        web.https(lab.agent, "allowed.test", lab.ca.certificate)
    record = case.one_record(action="blocked", host="allowed.test")
    assert record["reason"] == "certificate_refused"
    assert "tls: passthrough" in record["detail"]


@threat("T115")
@pytest.mark.parametrize("alpn", [(b"http/1.1",), ()], ids=["http/1.1", "no ALPN"])
def test_one_client_cannot_have_certificates_made_without_end(case, lab, router, alpn):
    def ask(number):
        hello = tls.client_hello(f"r{number}.denied.test", alpn=alpn)
        return tls.verdict(*web.talk(lab.agent, at.EV, 443, hello, enough=1))

    begin = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(600)))
    most = (64 + 16 * (time.monotonic() - begin)) * os.cpu_count() + 2  # the burst and the rate of each worker
    assert set(answers) <= {"handshake", "alert"}
    assert 0 < answers.count("handshake") <= most
    assert "alert" in answers or most > len(answers), "certificates for the first, alerts for the rest"
    case.no_syn()
    del router
