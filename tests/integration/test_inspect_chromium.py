"""A browser through inspection: Chromium, headless, a page over HTTP/2 some of whose parts the rules refuse."""
# SPDX-License-Identifier: GPL-3.0-or-later

import shutil
import subprocess
from pathlib import Path

import pytest

from lab import http2_origin, inspection

threat = pytest.mark.threat
HOST = http2_origin.HOST
SECONDS = 90
TRUST_GATEWAY = Path(__file__).resolve().parents[2] / "docker/base/trust-gateway"
POLICY = """\
domains:
  - allowed.test
  - host: spare.wild.test
    rules:
      - {schemes: [https], methods: [GET], path: {prefix: /ok/}}
"""


@pytest.fixture(scope="module")
def origin(lab):
    yield from http2_origin.serving(lab, "chromium", "certutil")


@pytest.fixture(scope="module")
def router(lab, gateway_binary, origin, tmp_path_factory):
    del gateway_binary, origin
    yield from inspection.inspecting_router(lab, tmp_path_factory, POLICY)


class Browser:
    """A user's, with a profile of its own; dom(url) is what the page is once it is loaded."""

    def __init__(self, lab, home):
        self._lab, self._home = lab, home
        home.chmod(0o777)

    def _run(self, *words, check=True):
        setting = ["env", "-i", f"HOME={self._home}", f"XDG_RUNTIME_DIR={self._home}", "PATH=/usr/bin:/bin"]
        return subprocess.run(self._lab.client_command(*setting, *words), capture_output=True, text=True, check=check,
                              timeout=SECONDS)  # fmt: skip

    def trust(self, certificate):
        """As an agent's container does it at each start: in the database that Chromium shares with NSS."""
        script = self._home / "trust-gateway"
        script.write_text(TRUST_GATEWAY.read_text().replace("ca=/etc/mitmproxy/ca.crt", f"ca={certificate}"))
        for _ in range(2):
            self._run("sh", str(script), "--nss")
        stored = self._run("certutil", "-L", "-d", f"sql:{self._home}/.pki/nssdb").stdout
        assert [line.split() for line in stored.splitlines() if "soleroute" in line] == [["soleroute", "C,,"]]

    def dom(self, url):
        # No sandbox: not every machine lets this user make the namespaces for it.
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={self._home}/profile"]
        return self._run("chromium", *options, "--dump-dom", url, check=False).stdout


@pytest.fixture
def browser(lab):
    home = lab.folder / "browser"  # reached by any user
    home.mkdir()
    yield Browser(lab, home)
    shutil.rmtree(home)


@threat("C01")
def test_a_page_comes_over_http2_without_the_parts_that_the_rules_refuse(case, router, origin, browser):
    browser.trust(router.ca_certificate)
    text = browser.dom(f"https://{HOST}/ok/page")
    for part in ("[script loaded]", "[over h2]", "[script refused]", f"[403 Blocked by proxy policy: {HOST}"):
        assert part in text, text
    assert origin.asked("/ok/script.js") and not origin.asked("/denied/script.js") and not origin.asked("/denied/data")
    assert case.record(path="/ok/page", host=HOST)["action"] == "allowed"
    for path in ("/denied/script.js", "/denied/data"):
        record = case.record(path=path, host=HOST)
        assert (record["action"], record["reason"], record["status"]) == ("blocked", "no_rule_matched", 403)


def test_a_page_of_a_denied_host_is_the_gateways(case, router, browser):
    browser.trust(router.ca_certificate)
    assert "Blocked by proxy policy: denied.test" in browser.dom("https://denied.test/page")
    assert case.record(path="/page", host="denied.test")["reason"] == "host_not_allowed"
    case.no_query("denied.test")


def test_a_browser_that_does_not_trust_the_ca_shows_nothing_and_the_log_says_why(case, router, origin, browser):
    before = len(origin.asked("/ok/page"))
    assert "[script loaded]" not in browser.dom(f"https://{HOST}/ok/page")
    assert case.record(action="blocked", host=HOST)["reason"] == "certificate_refused"
    assert len(origin.asked("/ok/page")) == before
    del router
