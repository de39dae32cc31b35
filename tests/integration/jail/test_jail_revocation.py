"""Clients that insist on a revocation list, and clients whose clock is wrong, accept the gateway's certificates."""
# SPDX-License-Identifier: GPL-3.0-or-later

import glob
import os
import shutil
import subprocess

import pytest

from test_jail_trust import CLIENT

JAVAS = sorted({os.path.realpath(path) for path in glob.glob("/usr/lib/jvm/*/bin/java")})
PAGE = "Blocked by proxy policy: denied.test ("
LIST = "http://gateway.internal/ca.crl"


class TestRevocation:
    def test_openssl_fetches_the_list_that_the_certificate_names(self, jail):
        ask = ("openssl", "s_client", "-connect", "denied.test:443", "-servername", "denied.test", "-verify_return_error")
        assert "Verify return code: 0" in jail.run(*ask, "-crl_check", "-crl_download").stdout
        assert "unable to get certificate CRL" in jail.run(*ask, "-crl_check").stderr, "control: it does insist"

    def test_curl_takes_the_list_as_a_file(self, jail):
        script = f"curl -sS -o ca.crl {LIST} && openssl crl -inform DER -in ca.crl -out ca.pem && curl -sS --crlfile ca.pem https://denied.test/"
        assert jail.run("bash", "-c", script).stdout.startswith(PAGE)

    def test_the_list_is_signed_empty_and_cannot_be_changed(self, jail):
        script = f"curl -sS {LIST} | openssl crl -inform DER -noout -text -CAfile $SSL_CERT_FILE"
        done = jail.run("bash", "-c", script)
        assert "verify OK" in done.stderr and "No Revoked Certificates" in done.stdout and "Next Update" in done.stdout
        for method in ("POST", "PUT", "DELETE"):
            assert jail.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, LIST).stdout == "405", method
        assert jail.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{LIST}/x").stdout == "404"

    @pytest.mark.skipif(not shutil.which("javac") or not JAVAS, reason="needs a JDK")
    def test_java_that_insists_sees_the_page(self, jail, world):
        source = world / "Get.java"
        source.write_text(CLIENT)
        subprocess.run(["javac", "--release", "17", "-d", str(world), str(source)], check=True)
        ask = (JAVAS[0], "-Dcom.sun.net.ssl.checkRevocation=true")
        fetch = ("-cp", str(world), "Get", "https://denied.test/")
        assert jail.run(*ask, "-Dcom.sun.security.enableCRLDP=true", *fetch).stdout.startswith(f"403 {PAGE}")
        assert "Could not determine revocation status" in jail.run(*ask, *fetch).stderr, "control: it does insist"


@pytest.mark.skipif(not shutil.which("faketime"), reason="needs faketime")
class TestClocks:
    @pytest.mark.parametrize("offset", ["-7d", "+7d"])
    def test_a_clock_that_is_a_week_wrong_is_good_enough(self, jail, offset):
        assert jail.run("faketime", "-f", offset, "curl", "-sS", "https://denied.test/").stdout.startswith(PAGE)

    def test_the_log_names_a_clock_that_is_months_wrong(self, jail, folder):
        for offset, words in (("-90d", "Or set the client's clock"), ("+90d", "the clock of the client is wrong")):
            log = folder / f"log{offset}"
            done = jail.run("faketime", "-f", offset, "curl", "-sS", "https://denied.test/", args=["--decisions", str(log)])
            assert done.returncode == 60
            assert words in log.read_text(), log.read_text()
