"""The images: small, without a shell where none is needed, without privilege, built by both of Docker's builders."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json

import pytest

import images as image_builds

BUILDERS = {"classic": False, "buildkit": True}


@pytest.fixture(scope="module", params=BUILDERS)
def gateway_image(request, engine, images):
    tag = f"soleroute-test/gateway:{request.param}"
    image_builds.build_gateway(engine, images.context, images.debian, tag, BUILDERS[request.param])
    return tag


def test_the_gateways_image_is_small_and_has_no_shell(engine, gateway_image):
    assert engine.inspect(gateway_image)["Size"] < 40e6
    for shell in ("/bin/sh", "/bin/bash", "/usr/bin/dpkg"):
        assert engine.docker("run", "--rm", "--entrypoint", shell, gateway_image, check=False).returncode == 127


def test_the_gateways_image_starts_without_any_capability_and_is_not_root(engine, gateway_image):
    run = ["run", "--rm", "--cap-drop", "ALL", "--read-only", "--network", "none", gateway_image]
    assert engine.docker(*run, "--version").stdout.startswith("gateway ")
    assert engine.docker(*run, "services", "claude").stdout.startswith("claude:")
    assert engine.inspect(gateway_image)["Config"]["User"] == "65532:65532"


def test_net_admin_reaches_the_program_and_nothing_else_does(engine, gateway_image):
    run = ["run", "--rm", "--cap-drop", "ALL", "--read-only", "--network", "none"]
    doctor = ["doctor", "--in", "gateway"]
    with_it = engine.docker(*run, "--cap-add", "NET_ADMIN", gateway_image, *doctor, check=False).stdout
    without = engine.docker(*run, gateway_image, *doctor, check=False).stdout
    assert "CAP_NET_ADMIN is there" in with_it and "CAP_NET_ADMIN is missing" in without


def test_the_health_check_is_the_program_itself(engine, gateway_image):
    assert engine.inspect(gateway_image)["Config"]["Healthcheck"]["Test"] == ["CMD", "/usr/bin/gateway", "status"]


def test_the_base_image_runs_as_dev_with_the_tools_and_the_environment(engine, images):
    del images
    run = ["run", "--rm", "--entrypoint", "sh", "soleroute/base:0.1.0", "-c"]
    tools = "for tool in zsh git gh curl jq rg fzf tmux vim gateway; do command -v $tool > /dev/null || echo no $tool; done"
    assert engine.docker(*run, f"id -un; id -u; {tools}").stdout.split() == ["dev", "501"]
    environment = dict(entry.split("=", 1) for entry in engine.inspect("soleroute/base:0.1.0")["Config"]["Env"])
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT", "CARGO_HTTP_CAINFO",
                 "AWS_CA_BUNDLE"):  # fmt: skip
        assert environment[name] == bundle
    assert environment["NODE_EXTRA_CA_CERTS"] == environment["DENO_CERT"] == "/etc/mitmproxy/ca.crt"


def test_no_program_of_the_base_image_can_give_a_capability(engine, images):
    del images
    found = engine.docker("run", "--rm", "--user", "root", "--entrypoint", "/sbin/getcap", "soleroute/base:0.1.0", "-r", "/",
                          check=False)
    assert found.stdout == ""
    assert json.dumps(engine.inspect("soleroute/gateway:0.1.0")["Config"].get("Volumes")) == "null"
