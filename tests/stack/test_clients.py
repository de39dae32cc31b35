"""Programs that know no proxy: they work for allowed hosts, with no variable set and nothing configured."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json

import pytest

import probes
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


@threat("C07")
def test_a_stream_of_events_arrives_as_it_is_sent(stack):
    out = stack.agent("curl", "-sSN", "http://allowed.test/sse/1").stdout
    assert "data: 0" in out


def test_a_denied_host_is_named_to_programs_too(stack):
    source = ("import urllib.request, urllib.error\ntry: urllib.request.urlopen('http://denied.test/')\n"
              "except urllib.error.HTTPError as error: print(error.code, error.read().decode())")
    assert stack.agent("python3", "-c", source).stdout.startswith("403 Blocked by proxy policy: denied.test")
