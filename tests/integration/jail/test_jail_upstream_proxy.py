"""`gateway run` behind a corporate proxy: found in the environment, used by the gateway, kept from the command."""
# SPDX-License-Identifier: GPL-3.0-or-later

import shlex

import pytest

from lab import addresses as at
from lab import corporate, page_examples
from lab.origin import Origin

HOST = "plain.proxied.test"
POLICY = f"domains:\n  - {HOST}\n  - allowed.test\nendpoints:\n  - {{host: db.proxied.test, port: {corporate.ENDPOINT_PORT}, protocol: tcp}}\n"
PROXY = f"http://{corporate.NAME}:{corporate.PORT}"


@pytest.fixture(scope="module")
def proxy(lab, gateway_binary):
    del gateway_binary
    if corporate.available():
        pytest.skip(corporate.available())
    corporate.place(lab, HOST, "db.proxied.test", "denied.proxied.test")
    origin = Origin(lab.up, "SPARE", [at.SPARE], lab.ca.issue(HOST), ports=(80, corporate.ENDPOINT_PORT))
    squid = corporate.Squid(lab, corporate.folder(lab))
    yield squid
    squid.close()
    origin.close()


@pytest.fixture
def jail(jail_of):
    return jail_of(policy=POLICY)


def dialled(lab, mark):
    return {p.destination for p in lab.capture.syns(mark) if p.dport != 53}


def trusting(lab):
    return ["--trust", str(lab.ca.certificate)]


def test_the_command_of_the_page_works(jail, lab, proxy):
    (line,) = page_examples.commands("docs/networks.md", "Corporate proxy")
    variable, program, run, separator, *command = shlex.split(line)
    assert (program, run, separator) == ("gateway", "run", "--")
    mark = lab.capture.mark()
    done = jail.run(*command, "-sS", env=dict([variable.split("=", 1)]), args=trusting(lab))
    assert done.stdout == "SPARE\n", done.stderr
    assert done.stderr.count("using the upstream proxy http://proxy.corp.test:3128") == 1 and "--upstream-proxy off" in done.stderr
    assert dialled(lab, mark) == {corporate.ADDRESS} and HOST in proxy.text()


def test_each_flow_of_a_command_goes_through_it(jail, lab, proxy):
    mark = lab.capture.mark()
    script = f"curl -sS http://{HOST}/ && curl -sS http://db.proxied.test:{corporate.ENDPOINT_PORT}/ && env | grep -ci proxy"
    env = {"https_proxy": PROXY, "npm_config_proxy": PROXY, "YARN_HTTPS_PROXY": PROXY}
    done = jail.run("sh", "-c", script, env=env)
    assert done.stdout == "SPARE\nSPARE\n0\n", done.stderr
    assert dialled(lab, mark) == {corporate.ADDRESS}
    denied = jail.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://denied.proxied.test/", env=env)
    assert denied.stdout == "403" and "denied.proxied.test" not in proxy.text()


def test_off_and_no_proxy_connect_directly(jail, lab, proxy):
    del proxy
    for env, args in (({"HTTPS_PROXY": PROXY}, ["--upstream-proxy", "off"]), ({"HTTPS_PROXY": PROXY, "NO_PROXY": "allowed.test"}, []),
                      ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, []), ({"HTTPS_PROXY": PROXY}, ["--no-upstream-proxy", "allowed.test"])):  # fmt: skip
        mark = lab.capture.mark()
        assert jail.run("curl", "-sS", "http://allowed.test/", env=env, args=args).stdout == "AL\n"
        assert dialled(lab, mark) == {at.AL}, (env, args)


def test_a_password_stays_outside(jail, lab, proxy):
    del proxy
    password = jail.folder / "proxy-password"
    password.write_text("hidden-in-a-file\n")
    password.chmod(0o644)
    env = {"HTTPS_PROXY": f"http://me:hidden-in-a-url@{corporate.NAME}:{corporate.PORT}", "SOLEROUTE_UPSTREAM_PROXY": f"http://me:hidden-too@{corporate.NAME}:{corporate.PORT}"}
    show = f"env; cat {password}; cat /proc/1/environ /proc/1/cmdline 2>/dev/null; curl -sS http://{HOST}/"
    done = jail.run("sh", "-c", show, env=env, args=["--upstream-proxy-password-file", str(password)])
    assert done.stdout.endswith("SPARE\n"), done.stderr
    assert "hidden" not in done.stdout + done.stderr
    del lab


def test_a_proxy_that_does_not_answer_is_named_and_nothing_is_dialled(jail, lab, proxy):
    del proxy
    mark = lab.capture.mark()
    done = jail.run("curl", "-sS", "http://allowed.test/", env={"HTTPS_PROXY": f"http://{corporate.ADDRESS}:9"})
    assert f"upstream proxy {corporate.ADDRESS}:9" in done.stdout and "Connection refused" in done.stdout
    assert dialled(lab, mark) == {corporate.ADDRESS}


def test_a_proxy_that_is_not_understood_is_an_error(jail, lab):
    mark = lab.capture.mark()
    done = jail.run("curl", "-sS", "http://allowed.test/", env={"HTTPS_PROXY": "socks4://me:hidden@proxy.corp.test"})
    assert done.returncode == 2 and "HTTPS_PROXY: unknown kind of proxy" in done.stderr and "hidden" not in done.stderr
    assert "--upstream-proxy off" in done.stderr and dialled(lab, mark) == set()
