"""Programs that know no proxy: they work for allowed hosts, with no variable set and nothing configured."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import base_image
import probes
from lab import addresses as at
from lab import repositories

threat = pytest.mark.threat


def test_no_proxy_variable_is_set(stack):
    names = [line.partition("=")[0].lower() for line in stack.agent("env").stdout.splitlines()]
    assert not [name for name in names if name.endswith("_proxy")]


@threat("C01")
@pytest.mark.parametrize("call", ["fetch('https://allowed.test/').then(r => r.text())",
                                  "new Promise(done => require('https').get('https://allowed.test/', r => r.on('data', d => done(String(d)))))"])
def test_node(stack, call):
    script = f"{call}.then(text => process.stdout.write(text))"
    bundle = "NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt"
    assert stack.agent("env", bundle, "node", "-e", script).stdout == "AL\n"


def test_python(stack):
    source = "import urllib.request; print(urllib.request.urlopen('https://allowed.test/').read().decode(), end='')"
    assert stack.agent("python3", "-c", source).stdout == "AL\n"


@threat("C08")
def test_a_websocket(stack):
    assert stack.python(probes.WEBSOCKET, json.dumps(["a.wild.test", "hello"])) == "hello"


@threat("C11")
def test_git_clones_over_https_and_by_an_ssh_address_that_is_rewritten(stack, world, tmp_path):
    if not repositories.GIT_BACKEND.exists():
        pytest.skip("needs git-http-backend")
    repositories.mount_git(world.al, tmp_path)
    stack.agent("git", "clone", "-q", "https://allowed.test/git/demo.git", "/tmp/one")
    assert stack.agent("cat", "/tmp/one/README").stdout == repositories.CONTENT
    assert stack.agent("git", "ls-remote", "--get-url", "git@github.com:owner/name.git").stdout == "https://github.com/owner/name.git\n"
    stack.agent("rm", "-rf", "/tmp/one")


@threat("C11")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_apt(stack, world, tmp_path, scheme):
    repositories.mount_apt(world.al, tmp_path)

    def apt(source, *command):
        options = {"Dir::State": "/tmp/apt", "Dir::Cache": "/tmp/apt", "Dir::Log": "/tmp/apt", "Dir::Etc::sourcelist": "/tmp/apt/sources.list",
                   "Dir::Etc::sourceparts": "/dev/null", "Acquire::Retries": "0"}  # fmt: skip
        line = " ".join(["apt-get", *(f"-o {key}={value}" for key, value in options.items()), *command])
        return stack.agent("sh", "-c", "mkdir -p /tmp/apt/lists/partial /tmp/apt/archives/partial && cd /tmp/apt && "
                           f"echo 'deb [trusted=yes] {source}/apt ./' > sources.list && {line}", check=False)  # fmt: skip

    update = apt(f"{scheme}://allowed.test", "update")
    assert update.returncode == 0 and "Err:" not in update.stdout, update.stdout + update.stderr
    assert apt(f"{scheme}://allowed.test", "download", "soleroute-demo").returncode == 0
    assert int(stack.agent("stat", "-c", "%s", "/tmp/apt/soleroute-demo_1.0_all.deb").stdout) > 100
    refused = apt("http://denied.test", "update")
    assert "403" in refused.stdout + refused.stderr
    stack.agent("rm", "-r", "/tmp/apt")


@threat("C11")
def test_pip(stack, world):
    repositories.mount_pypi(world.al)

    def pip(host):
        return stack.agent("pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0", "--target", "/tmp/pip",
                           "--index-url", f"https://{host}/simple/", "demo", check=False)  # fmt: skip

    done = pip("allowed.test")
    assert "Successfully installed demo-1.2.3" in done.stdout, done.stderr
    stack.agent("rm", "-r", "/tmp/pip")
    refused = pip("denied.test")
    assert refused.returncode != 0 and "No matching distribution" in refused.stderr


@threat("C11")
def test_npm(stack, world, engine, tmp_path):
    if not shutil.which("npm"):
        pytest.skip("needs npm")
    repositories.mount_npm(world.al, "https://allowed.test")
    base_image.copy_npm(tmp_path / "root")
    engine.docker("cp", f"{tmp_path}/root/.", f"{stack.container('agent')}:/")

    def npm(registry):
        return stack.agent("env", "NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt", "npm", "install", "--prefix", "/tmp/npm", "--cache",
                           "/tmp/npm/cache", "--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=0", "--registry",
                           f"{registry}/npm/", "demo", check=False)  # fmt: skip

    done = npm("https://allowed.test")
    assert done.returncode == 0, done.stderr
    assert json.loads(stack.agent("cat", "/tmp/npm/node_modules/demo/package.json").stdout)["version"] == "1.2.3"
    stack.agent("rm", "-r", "/tmp/npm")
    refused = npm("http://denied.test")
    assert refused.returncode != 0 and "403" in refused.stderr


def test_a_static_program_with_a_resolver_of_its_own(stack, engine, tmp_path):
    """As Go builds them: no libc, so nothing preloaded or configured there could have held it."""
    source = Path(__file__).resolve().parent / "static_client.c"
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "static_client", source], check=True)
    engine.docker("cp", tmp_path / "static_client", f"{stack.container('agent')}:/usr/local/bin/static_client")
    assert stack.agent("static_client", "allowed.test").stdout.endswith("AL\n")
    refused = stack.agent("static_client", "denied.test").stdout
    assert refused.startswith("HTTP/1.1 403") and "Blocked by proxy policy: denied.test" in refused


@threat("C11")
def test_java(stack, engine, tmp_path):
    """HttpClient, on a runtime made of the machine's JDK. Its roots are the system's, as Debian's ca-certificates-java has them."""
    if missing := [program for program in ("javac", "jlink", "keytool") if not shutil.which(program)]:
        pytest.skip(f"needs {missing}: apt-get install openjdk-17-jdk-headless")
    source, place = Path(__file__).resolve().parent / "Client.java", tmp_path / "java"
    subprocess.run(["jlink", "--add-modules", "java.net.http,jdk.crypto.ec,jdk.naming.dns", "--strip-debug", "--output", place], check=True)
    subprocess.run(["javac", "-Xlint:all", "-Werror", "-d", place, source], check=True)
    engine.docker("cp", place, f"{stack.container('agent')}:/opt/java")
    for name, certificate in (("gateway", "/etc/mitmproxy/ca.crt"), ("world", "/usr/local/share/ca-certificates/world.crt")):
        stack.agent("/opt/java/bin/keytool", "-importcert", "-noprompt", "-storepass", "changeit", "-keystore", "/tmp/roots.p12", "-alias", name,
                    "-file", certificate)  # fmt: skip

    asked = ["GET http://allowed.test/", "GET https://allowed.test/", "GET https://inspected.wild.test/", "POST https://inspected.wild.test/",
             "GET http://denied.test/", "GET https://denied.test/", "A allowed.test", "A denied.test"]  # fmt: skip
    trust = ["-Djavax.net.ssl.trustStore=/tmp/roots.p12", "-Djavax.net.ssl.trustStorePassword=changeit"]

    def run(*options):
        words = [word for line in asked for word in line.split()]
        return stack.agent("/opt/java/bin/java", *options, "-cp", "/opt/java", "Client", *words).stdout.splitlines()

    plain, passed, inspected, refused_by_rule, denied, denied_over_tls, address, denied_address = run(*trust)
    assert plain == "200 - AL"
    origins, _, answer = passed.partition(" ")[2].partition(" ")
    assert passed.startswith("200 ") and answer == "AL"
    gateways, _, answer = inspected.partition(" ")[2].partition(" ")
    assert inspected.startswith("200 ") and answer == "WILD" and gateways != origins, "the certificate is the gateway's own"
    assert refused_by_rule.startswith(f"403 {gateways} Blocked by proxy policy: inspected.wild.test")
    assert denied.startswith("403 - Blocked by proxy policy: denied.test")
    assert denied_over_tls.startswith(f"403 {gateways} Blocked by proxy policy: denied.test")
    assert address == at.AL and at.stands_for_denied([denied_address]), "with its own resolver, a denied name leads to the refusal"
    records = [record for record in stack.decisions() if record["type"] == "decision" and record.get("method") == "POST"]
    assert [(record["host"], record["action"], record["reason"]) for record in records] == [("inspected.wild.test", "blocked", "no_rule_matched")]
    # Without the gateway's CA a refusal over https is one of the handshake, at once.
    untrusting = run()
    assert untrusting[0] == plain and untrusting[4] == denied
    assert untrusting[5].startswith("failed javax.net.ssl.SSL")
    stack.agent("rm", "-r", "/opt/java", user="root", check=False)


@threat("C07")
def test_a_stream_of_events_arrives_as_it_is_sent(stack):
    out = stack.agent("curl", "-sSN", "http://allowed.test/sse/1").stdout
    assert "data: 0" in out


def test_a_denied_host_is_named_to_programs_too(stack):
    source = ("import urllib.request, urllib.error\ntry: urllib.request.urlopen('http://denied.test/')\n"
              "except urllib.error.HTTPError as error: print(error.code, error.read().decode())")
    assert stack.agent("python3", "-c", source).stdout.startswith("403 Blocked by proxy policy: denied.test")
