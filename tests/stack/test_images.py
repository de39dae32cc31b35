"""The images: small, without a shell where none is needed, without privilege, built by both of Docker's builders."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import re
import subprocess
from pathlib import Path

import pytest

import images as image_builds

_ROOT = Path(__file__).resolve().parents[2]

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
    assert "has CAP_NET_ADMIN" in with_it and "CAP_NET_ADMIN is missing" in without


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
                 "AWS_CA_BUNDLE", "NIX_SSL_CERT_FILE", "npm_config_cafile", "NODE_EXTRA_CA_CERTS", "DENO_CERT"):  # fmt: skip
        assert environment[name] == bundle
    owned = engine.docker(*run, "stat -c '%U %n' /home/dev/.config/soleroute/dotfiles /home/dev/.config/soleroute/shell.d /home/dev/.local/bin /workspace")
    assert {line.split()[0] for line in owned.stdout.splitlines()} == {"dev"}


def test_the_base_image_where_a_person_is_root(engine, images):
    """DEV_UID=0, as `id -u` says there, keeps dev an ordinary user."""
    done = image_builds.build_base(engine, images.context, images.debian, "soleroute-test/base:root", DEV_UID=0)
    assert "dev keeps uid 501" in done.stdout + done.stderr
    assert engine.docker("run", "--rm", "--entrypoint", "id", "soleroute-test/base:root", "-u").stdout == "501\n"


def test_every_package_of_the_default_image_exists():
    """By name alone: to install them takes minutes. The image is Debian 12's, and so is the machine that runs the tests."""
    dockerfile = (_ROOT / "docker/base/Dockerfile").read_text()
    tools = re.search(r'^ARG TOOLS="([^"]*)"', dockerfile, re.MULTILINE).group(1).replace("\\\n", "")
    listed = subprocess.run([_ROOT / "docker/base/packages", tools, "cpp go java node python rust", "ffmpeg"], check=True, capture_output=True, text=True)
    names = listed.stdout.split()
    assert {"python3-venv", "make", "gcc", "wget", "unzip", "xz-utils", "file", "iputils-ping", "ffmpeg", "cargo"} <= set(names)
    known = subprocess.run(["apt-cache", "--names-only", "search", "^ca-certificates$"], check=False, capture_output=True, text=True)
    if not known.stdout:
        pytest.skip("apt has no package lists: apt-get update")
    simulated = subprocess.run(["apt-get", "install", "--simulate", "--no-install-recommends", *names], check=False, capture_output=True, text=True)
    assert simulated.returncode == 0, simulated.stderr
    wrong = subprocess.run([_ROOT / "docker/base/packages", "", "cobol", ""], check=False, capture_output=True, text=True)
    assert wrong.returncode == 1 and "'cobol' is not one of" in wrong.stderr


def test_the_node_stage_brings_node_and_npm(engine, images, tmp_path):
    """From an image that is laid out as the Node project's are."""
    layout = "mkdir -p lib/node_modules/npm/bin && printf '#!/bin/sh\\necho v99\\n' > bin/node && cp bin/node lib/node_modules/npm/bin/npm-cli.js && chmod +x bin/node lib/node_modules/npm/bin/npm-cli.js"
    (tmp_path / "Dockerfile").write_text(f"FROM {images.debian}\nWORKDIR /usr/local\nRUN {layout} && ln -s ../lib/node_modules/npm/bin/npm-cli.js bin/npm\n")
    engine.docker("build", "-q", "-t", "soleroute-test/node-layout", tmp_path)
    image_builds.build_base(engine, images.context, images.debian, "soleroute-test/base:node", NODE="yes", NODE_IMAGE="soleroute-test/node-layout")
    run = ["run", "--rm", "--entrypoint", "sh", "soleroute-test/base:node", "-c", "npm --version && node --version && ls -l /usr/local/bin/npm"]
    assert engine.docker(*run).stdout.split()[:2] == ["v99", "v99"]



def test_no_program_of_the_base_image_can_give_a_capability(engine, images):
    del images
    found = engine.docker("run", "--rm", "--user", "root", "--entrypoint", "/sbin/getcap", "soleroute/base:0.1.0", "-r", "/",
                          check=False)
    assert found.stdout == ""
    assert json.dumps(engine.inspect("soleroute/gateway:0.1.0")["Config"].get("Volumes")) == "null"
