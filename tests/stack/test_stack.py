"""What a user does first: copy the template, `up -d`, `exec`, work."""
# SPDX-License-Identifier: GPL-3.0-or-later

import datetime
import json
import os
import subprocess

import pytest

import probes
from lab import gateway as gateways
from lab import repositories, wait

threat = pytest.mark.threat


def test_everything_is_healthy_and_the_agent_has_proved_it(stack):
    assert stack.health("proxy") == stack.health("agent-guard") == "healthy"
    wait.until(lambda: stack.health("agent") == "healthy", "the agent's health check")


def test_a_clean_start_logs_no_error(stack):
    for service in ("proxy", "agent-net", "agent-guard"):
        log = stack.engine.docker("logs", stack.container(service))
        assert log.stderr == ""
        assert [line for line in log.stdout.splitlines() if json.loads(line)["type"] == "error"] == [], service
    said = stack.engine.docker("logs", stack.container("agent")).stderr.splitlines()
    assert said == ["soleroute: 13 passed, 0 failed"]


def test_trust_is_there_within_a_second_of_the_start_and_before_the_network_is_proved(stack):
    """As the container says: when it was started, when the bundle was written, when the mark was made."""
    state = stack.engine.inspect(stack.container("agent"))["State"]["StartedAt"]
    started = datetime.datetime.fromisoformat(state[:26].rstrip("Z") + "+00:00").timestamp()
    files = ("/etc/ssl/certs/soleroute.pem", "/run/soleroute/proved")
    trusted, proved = (float(stack.agent("stat", "-c", "%.Y", file).stdout) for file in files)
    print(f"trust {trusted - started:.2f} s, proof {proved - started:.2f} s after the start")
    assert trusted - started < 1.0
    assert trusted <= proved


@threat("C01")
@pytest.mark.parametrize("url", ["http://allowed.test/", "https://allowed.test/"])
def test_an_allowed_host_answers(stack, url):
    assert stack.agent("curl", "-sS", url).stdout == "AL\n"


def test_a_denied_host_is_refused_with_the_page(stack):
    answer = stack.agent("curl", "-sS", "-w", "%{http_code}", "http://denied.test/").stdout
    assert answer.startswith("Blocked by proxy policy: denied.test") and answer.endswith("403")


def test_verify_holds_for_whoever_asks(stack):
    for user in ("dev", "root"):
        assert "13 passed, 0 failed" in stack.agent("gateway", "verify", user=user).stdout


@threat("T110")
def test_the_gateways_ca_is_trusted_and_its_key_is_not_there(stack):
    """Over https the refusal is told on a certificate of the gateway's own: whoever reads it trusts the CA."""
    assert stack.agent("curl", "-sS", "https://denied.test/").stdout.startswith("Blocked by proxy policy: denied.test")
    assert stack.agent("ls", "/etc/mitmproxy").stdout.split() == ["ca.crt", "mitmproxy-ca-cert.pem"]
    assert "PRIVATE KEY" not in stack.agent("sh", "-c", "cat /etc/mitmproxy/*").stdout


def test_the_bundle_has_the_systems_roots_and_the_gateways_ca_once(stack):
    """Whatever adds to it: the entry point at each start, and update-ca-certificates, here run by the fixture."""
    stack.agent("trust-gateway")
    stack.agent("trust-gateway")
    lines = stack.agent("cat", "/etc/ssl/certs/ca-certificates.crt").stdout
    authority = stack.agent("cat", "/etc/mitmproxy/ca.crt").stdout
    assert lines.count("# soleroute: the gateway") == 1
    assert lines.count("BEGIN CERTIFICATE") > 100 and authority in lines
    assert stack.agent("sh", "-c", "ls /etc/ssl/certs | grep -c '[.]soleroute[.]'", check=False).stdout == "0\n"


def test_programs_that_use_the_directory_of_roots_trust_it_too(stack):
    source = ("import socket, ssl; context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); context.load_verify_locations(capath='/etc/ssl/certs')\n"
              "link = context.wrap_socket(socket.create_connection(('denied.test', 443)), server_hostname='denied.test')\n"
              "print(dict(link.getpeercert()['subject'][0]).get('commonName', 'trusted'))")
    assert stack.agent("python3", "-c", source).stdout.strip() in ("denied.test", "trusted")


def test_the_health_check_knows_a_mark_of_an_earlier_start(stack):
    mark = stack.agent("cat", "/run/soleroute/proved").stdout
    stack.agent("sh", "-c", "echo 1 > /run/soleroute/proved")
    assert stack.agent("proved", check=False).returncode == 1
    waited = stack.agent("proved", "--wait", "0", check=False)
    assert waited.returncode == 1 and "docker compose logs agent" in waited.stderr
    stack.agent("sh", "-c", f"echo {mark.strip()} > /run/soleroute/proved && proved --wait")


def run_beside(stack, *options, command=("true",), image="soleroute/base:0.1.0"):
    """A further container of the agent's image in the agent's network, started as the template starts it."""
    run = ["run", "--rm", "--network", f"container:{stack.container('agent-net')}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
           "-v", f"{stack.name}_proxy-ca:/etc/mitmproxy:ro"]  # fmt: skip
    return stack.engine.docker(*run, *options, image, *command, check=False)


def test_a_workspace_that_cannot_be_written_is_said_with_the_step(stack, tmp_path):
    folders = {}
    for name, owner in (("roots", 0), ("others", 1234), ("devs", 501)):
        folders[name] = tmp_path / name
        folders[name].mkdir(mode=0o755)
        os.chown(folders[name], owner, owner)
    folders["others"].chmod(0o700)  # not even to be looked into
    tmp_path.chmod(0o755)
    said = {name: run_beside(stack, "-v", f"{folder}:/workspace").stderr for name, folder in folders.items()}
    assert "owner is user 0" in said["roots"] and "chown -R 501" in said["roots"]
    assert "owner is user 1234" in said["others"] and "--build-arg DEV_UID=1234" in said["others"]
    assert "not writable" not in said["devs"]
    assert "not writable" not in run_beside(stack, "-v", f"{folders['roots']}:/workspace:ro").stderr, "read-only is meant so"


def test_an_agent_without_the_guards_rules_does_not_start(stack, engine):
    """On the agents' network all that the gateway's container decides is as it should be; the guard's rules are missing."""
    run = ["run", "--rm", "--network", f"{stack.name}_inside", "--dns", stack.gateway, "--cap-drop", "ALL", "soleroute/base:0.1.0", "echo", "started"]
    done = engine.docker(*run, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "no firewall rules in this network" in done.stderr and "docker compose up -d" in done.stderr
    assert run_beside(stack, command=("echo", "started")).stdout == "started\n"


def test_doctor_knows_the_guard_from_an_agent(stack):
    done = stack.engine.docker("exec", stack.container("agent-guard"), "gateway", "doctor", check=False)
    assert done.returncode == 0 and "has CAP_NET_ADMIN" in done.stdout, done.stdout
    agents = stack.agent("gateway", "doctor")
    assert "no network capabilities" in agents.stdout and "only one network: the gateway's" in agents.stdout


def test_root_without_capabilities_installs_a_package(stack, world, tmp_path):
    repositories.mount_apt(world.al, tmp_path)
    script = ("set -e; rm -f /etc/apt/sources.list; echo 'deb [trusted=yes] http://allowed.test/apt ./' > /etc/apt/sources.list.d/demo.list; "
              "apt-get update; apt-get install -y soleroute-demo; dpkg -s soleroute-demo")  # fmt: skip
    done = stack.engine.docker("exec", "-u", "root", stack.container("agent"), "sh", "-c", script, check=False)
    assert done.returncode == 0 and "install ok installed" in done.stdout, done.stdout + done.stderr
    assert stack.python(probes.POWERS, user="root")["CapBnd"] == "0" * 16


@pytest.mark.parametrize("command", [("suggest", "-"), ("watch", "--denied", "-")])
def test_a_log_with_composes_prefix_is_read(stack, command):
    stack.agent("curl", "-sS", "http://denied.test/")
    log = stack.compose("logs", "--no-color", "proxy").stdout
    assert "| {" in log
    done = subprocess.run([gateways.binary(), *command], input=log, check=False, capture_output=True, text=True, timeout=60)
    assert "denied.test" in done.stdout, done.stdout + done.stderr


def test_java_of_a_derived_image_trusts_the_gateway_or_the_log_says_why(stack, tmp_path):
    """A stand-in for Debian's hook, which adds the certificates that it is told of to a store; the store is root's."""
    hook = "/etc/ca-certificates/update.d/jks-keystore"
    (tmp_path / "Dockerfile").write_text(
        "FROM soleroute/base:0.1.0\nUSER root\nRUN ln -s /bin/true /usr/local/bin/java && echo theirs > /etc/ssl/certs/java/cacerts"
        f" && printf '#!/bin/sh\\ncat >> /etc/ssl/certs/java/cacerts\\n' > {hook} && chmod +x {hook}\nUSER dev\n")
    stack.engine.docker("build", "-q", "-t", "soleroute-test/java", tmp_path)
    store = "until grep -q soleroute /etc/ssl/certs/java/cacerts; do sleep 0.1; done; cat /etc/ssl/certs/java/cacerts"
    done = run_beside(stack, command=("timeout", "20", "sh", "-c", store), image="soleroute-test/java")
    assert done.stdout == "theirs\n+/etc/ssl/certs/soleroute.pem\n", done.stderr
    note = "until grep -q Java /run/soleroute/notes; do sleep 0.1; done; cat /run/soleroute/notes"
    (tmp_path / "Dockerfile").write_text("FROM soleroute/base:0.1.0\nUSER root\nRUN ln -s /bin/true /usr/local/bin/java\nUSER dev\n")
    stack.engine.docker("build", "-q", "-t", "soleroute-test/other-java", tmp_path)
    done = run_beside(stack, command=("timeout", "20", "sh", "-c", note), image="soleroute-test/other-java")
    assert "Java does not trust the gateway: this JDK has a separate certificate store" in done.stdout
