"""What a user does first: copy the template, `up -d`, `exec`, work."""
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest

threat = pytest.mark.threat


def test_everything_is_healthy_and_the_agent_has_proved_it(stack):
    assert stack.health("proxy") == stack.health("agent-net") == "healthy"


@threat("C01")
@pytest.mark.parametrize("url", ["http://allowed.test/", "https://allowed.test/"])
def test_an_allowed_host_answers(stack, url):
    assert stack.agent("curl", "-sS", url).stdout == "AL\n"


def test_a_denied_host_is_refused_with_the_page(stack):
    answer = stack.agent("curl", "-sS", "-w", "%{http_code}", "http://denied.test/").stdout
    assert answer.startswith("Blocked by proxy policy: denied.test") and answer.endswith("403")


def test_verify_holds_for_whoever_asks(stack):
    for user in ("dev", "root"):
        assert "12 of 12 checks hold" in stack.agent("gateway", "verify", user=user).stdout


@threat("T110")
def test_the_gateways_ca_is_trusted_and_its_key_is_not_there(stack):
    """Over https the refusal is told on a certificate of the gateway's own: whoever reads it trusts the CA."""
    assert stack.agent("curl", "-sS", "https://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")
    assert stack.agent("ls", "/etc/mitmproxy").stdout.split() == ["ca.crt", "mitmproxy-ca-cert.pem"]
    assert "PRIVATE KEY" not in stack.agent("sh", "-c", "cat /etc/mitmproxy/*").stdout
