"""Policy files that are odd, hostile or replaced, through the real program."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest

from lab import addresses as at
from lab import gateway as gateways
from lab import wait, web
from lab.agent import NOBODY
from lab.case import Case

threat = pytest.mark.threat

SECONDS = 1.0  # a hostile file is refused within this
MEMORY = 100 << 20


def check(*files, timeout=10.0, user=None, memory=None):
    """`gateway check`: (exit status, stdout, stderr, seconds)."""

    def limits():
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    command = [gateways.binary(), "check", *(part for file in files for part in ("--policy", str(file)))]
    if user:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, timeout=timeout, check=False, preexec_fn=limits)  # noqa: PLW1509
    return done.returncode, done.stdout.decode(), done.stderr.decode(), time.monotonic() - begin


def verdict_of(policy, url):
    """`gateway explain --format json` of one URL."""
    command = [gateways.binary(), "explain", "--policy", str(policy), "--format", "json", url]
    done = subprocess.run(command, capture_output=True, timeout=10, check=False)
    assert done.returncode in (0, 1), done.stderr
    answer = json.loads(done.stdout)
    assert (answer["action"] == "allowed") == (done.returncode == 0)
    return answer


@pytest.fixture
def policy(tmp_path, gateway_binary):
    """Writes a policy file and returns its path."""
    del gateway_binary
    tmp_path.chmod(0o755)

    def write(text):
        path = tmp_path / "policy.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def refused(path, said="policy.yaml", **options):
    """Refused with exit 2 and a message that names the file; quickly."""
    status, _, errors, seconds = check(path, **options)
    assert status == 2, (status, errors[:500])
    assert said in errors, errors[:500]
    assert seconds < SECONDS, seconds
    assert all(ord(c) >= 0x20 or c in "\n\t" for c in errors), "no control byte of the file reaches the terminal"
    return errors


# --- Unreadable and odd files ---


@threat("T118")
def test_files_that_are_not_files_are_refused_without_waiting(policy, tmp_path):
    fifo, directory, link = tmp_path / "fifo", tmp_path / "directory", tmp_path / "socket"
    os.mkfifo(fifo)
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(link))
        for path in (fifo, directory, link, "/dev/zero", tmp_path / "missing", tmp_path / "no" / "parent.yaml"):
            refused(path, str(path))
    huge = policy("")
    with open(huge, "r+b") as file:
        file.truncate(1 << 30)
    refused(huge, "larger")


@threat("T118")
def test_an_unreadable_file_is_refused_with_its_reason(policy):
    path = policy("domains: [allowed.test]\n")
    path.chmod(0)
    for parent in path.parents[:4]:
        if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o777 == 0o700:
            parent.chmod(0o755)
    binary = gateways.binary()
    if subprocess.run(["setpriv", f"--reuid={NOBODY}", "test", "-x", binary], check=False).returncode:
        pytest.skip("an ordinary user cannot reach the program under test")
    assert "ermission denied" in refused(path, user=NOBODY)


@threat("T118")
def test_a_path_with_spaces_and_newlines_is_shown_escaped(tmp_path, gateway_binary):
    del gateway_binary
    path = tmp_path / "a b\nc\x1b.yaml"
    path.write_text("domians: []\n")
    status, _, errors, _ = check(path)
    assert status == 2
    assert "\x1b" not in errors and "a b\\" in errors
    path.write_text("domains: [allowed.test]\n")
    assert check(path)[0] == 0


@threat("T118")
def test_starting_with_such_a_file_is_refused_and_touches_nothing(lab, make_gateway, tmp_path):
    lab.reset_gateway_namespace()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, "/dev/zero", tmp_path / "missing"):
        one = make_gateway()
        one.arguments[one.arguments.index("--policy") + 1] = str(path)
        one.start(healthy=False)
        assert one.process.wait(5) == 2
        wait.until(lambda one=one, path=path: str(path) in one.errors.decode(), "the message", 2)
    assert lab.gw.run("nft", "list", "tables").stdout == ""


# --- YAML that is meant to hurt ---

_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(8)
)


@threat("T119")
@pytest.mark.parametrize("text", [
    _BOMB, "domains: &a [*a]\n", "[" * 100000, "{a: " * 100000, "domains: [" + "[" * 100000, "- " * 100000, "? " * 100000,
    "domains:\n  - " + "a" * 900000 + "\n", "a: " + "b" * (10 << 20), "&a " * 1000 + "x", "domains: [" + "a.test," * 150000 + "]",
    "!" * 100000, "'" * 100001, '"' + "\\x41" * 200000, "domains:\n" + "".join(f"  - *a{n}\n" for n in range(1000)),
    "%YAML 1.2\n" * 10000, "#" * (2 << 20),
], ids=["alias bomb", "self alias", "100000 [", "100000 {a:", "nested in domains", "100000 -", "100000 ?", "long scalar", "10 MB scalar",
        "1000 anchors", "150000 in flow", "100000 !", "100000 quotes", "escapes", "unknown aliases", "directives", "comment"])  # fmt: skip
def test_bombs_are_refused_or_read_quickly_and_in_little_memory(policy, text):
    status, _, errors, seconds = check(policy(text), memory=1 << 30)
    assert status in (0, 2), errors[-300:]
    assert seconds < SECONDS * (3 if status == 0 else 1), seconds
    assert len(errors) < 10000


@threat("T119")
def test_a_bomb_on_reload_keeps_the_old_policy_and_the_memory(lab, make_gateway):
    one = make_gateway().start()
    before = one.resident_bytes()
    for text in (_BOMB, "[" * 100000, "domains: &a [*a]\n", "{a: " * 100000):
        one.reload(text, accepted=False)
    assert one.resident_bytes() - before < MEMORY
    case = Case(lab, one.log)
    case.control()
    case.finish()


def test_a_hundred_thousand_domains_are_loaded_and_decided(lab, make_gateway):
    names = "".join(f"  - host{n}.example-{n % 1000}.test\n" for n in range(100000))
    one = make_gateway(policy="domains:\n  - allowed.test\n" + names)
    one.start()
    assert web.http(lab.agent, "denied.test", address=at.EV).status == 403
    Case(lab, one.log).control()


# --- Structure ---

REJECTED = {
    "the same key twice": "domains: [a.test]\ndomains: [b.test]\n", "an unknown key": "domians: [a.test]\n", "default": "default: allow\n",
    "allow": "allow: [a.test]\n", "a merge key": "x: &x {host: a.test}\ndomains:\n  - <<: *x\n", "two documents": "domains: [a.test]\n---\ndomains: ['*.b.test']\n",
    "binary": "domains: [!!binary YQ==]\n", "include": "domains: !include other.yaml\n", "python": "domains: [!!python/object:os.system x]\n",
    "a tab": "domains:\n\t- a.test\n", "UTF-16": "domains: [a.test]\n".encode("utf-16"), "NUL": b"domains: [a.test\0]\n",
    "garbage after the end": "domains: [a.test]\n...\ngarbage\n", "garbage before": "garbage\ndomains: [a.test]\n", "a list": "- a.test\n",
    "a scalar": "a.test\n", "a key twice in an entry": "domains:\n  - host: a.test\n    host: b.test\n", "an unknown key in an entry": "domains:\n  - hots: a.test\n",
    "a null key": "~: x\n", "a complex key": "? [a]\n: b\n", "invalid UTF-8": b"domains: [\xff\xfe.test]\n",
    "CR alone": b"domains:\r  - a.test\r  - b.test\r# x\rdomains: [c.test]\r",
}  # fmt: skip


@threat("T120")
@pytest.mark.parametrize("what", REJECTED)
def test_structure_that_is_not_the_schemas_is_refused_with_its_line(policy, what):
    errors = refused(policy(REJECTED[what]))
    assert "policy.yaml:" in errors


@threat("T120")
@pytest.mark.parametrize("text", [
    "domains:\r\n  - a.test\r\n", b"\xef\xbb\xbfdomains: [a.test]\n", "# comment only\n", "", "---\ndomains: [a.test]\n", "domains: []\n", "{}\n",
], ids=["CRLF", "BOM", "comment", "empty", "document start", "empty list", "empty map"])  # fmt: skip
def test_harmless_variants_are_read(policy, text):
    path = policy(text)
    status, out, errors, _ = check(path)
    assert status == 0, errors
    if b"a.test" in path.read_bytes():
        assert verdict_of(path, "http://a.test/")["action"] == "allowed"
    else:
        assert "all network access is blocked" in out
        assert verdict_of(path, "http://a.test/")["action"] == "blocked"


WRONG_TYPES = [
    "domains: allowed.test", "domains: {allowed.test: }", "domains: [1.1]", "domains: [1e3]", "domains: [0x10]", "domains: [on]", "domains: [no]",
    "domains: [~]", "domains: [null]", 'domains: [""]', 'domains: [" "]', "domains: [[allowed.test]]", "domains: [12:30:45]", "domains: [2024-01-01]",
    "domains: [allowed.test:22]", "domains: ['https://allowed.test/']", "domains: [10.0.0.0/8]", "domains: [0.0.0.0/0]", "domains: [10.0.0.1]",
    "domains: ['[::1]']", "domains: ['*']", "domains: ['*.com']", "domains: ['*.*.test']", "domains: ['a.*.test']", "domains: ['a*.test']",
    "domains: ['**.test']", "domains: [allowed.test/]", "domains: [allowed_.test..x]", "services: [nonesuch]", "services: claude", "mode: allow", "mode: [enforce]",
    "endpoints: [{host: db.test, port: 0, protocol: tcp}]", "endpoints: [{host: db.test, port: 65536, protocol: tcp}]",
    "endpoints: [{host: db.test, port: -1, protocol: tcp}]", "endpoints: [{host: db.test, port: 4294967739, protocol: tcp}]",
    "endpoints: [{host: db.test, port: '443x', protocol: tcp}]", "endpoints: [{host: db.test, port: 5432, protocol: sctp}]",
    "endpoints: [{host: db.test}]", "endpoints: [{cidr: 10.0.0.0/33, ports: [80]}]", "endpoints: [{cidr: 192.0.2.0/28, ports: []}]",
    "domains: [{host: a.test, rules: [{methods: GET}]}]", "domains: [{host: a.test, rules: [{path: /v1}]}]", "domains: [{host: a.test, rules: [{schemes: [ftp]}]}]",
    "domains: [{host: a.test, rules: [{}]}]", "domains: [{host: a.test, rules: []}]", "domains: [{host: a.test, tls: maybe}]",
    "domains: [{host: a.test, addresses: [10.0.0.0]}, {host: a.test, addresses: ten}]", "domains: [{rules: [{methods: [GET]}]}]",
]  # fmt: skip


@threat("T121", "T125")
@pytest.mark.parametrize("text", WRONG_TYPES)
def test_wrong_types_are_refused_naming_the_entry(policy, text):
    if text == "domains: [{host: a.test, rules: []}]":
        status, _, errors, _ = check(policy(text + "\n"))
        if status == 0:  # no rule may match, so nothing is allowed
            assert verdict_of(policy(text + "\n"), "http://a.test/")["action"] == "blocked"
            return
        assert "policy.yaml:1" in errors
        return
    assert "policy.yaml:1" in refused(policy(text + "\n"))


# --- Matching ---

MATCHES = {
    "allowed.test": True, "ALLOWED.TEST": True, "allowed.test.": True, "notallowed.test": False, "allowed.test.evil.test": False,
    "allowedXtest": False, "allowed.testx": False, "xallowed.test": False, "sub.allowed.test": False, "wild.test": True, "a.wild.test": True,
    "a.b.wild.test": True, "awild.test": False, "wild.test.evil.test": False, "a-b.wild.test": True, "evil.test": False, "test": False,
    "wild.tes": False,
}  # fmt: skip


@threat("T123")
@pytest.mark.parametrize("host", MATCHES)
def test_names_match_at_label_boundaries_only(policy, host):
    """`*.x` is x and everything below, `x` is x alone."""
    path = policy('domains:\n  - allowed.test\n  - "*.wild.test"\n')
    assert (verdict_of(path, f"http://{host}/")["action"] == "allowed") == MATCHES[host]


UNICODE = {
    "Cyrillic a": "\u0430llowed.test", "zero-width joiner": "allow\u200ded.test", "ideographic full stop": "allowed\u3002test",
    "right-to-left override": "allowed\u202e.test", "full width": "\uff41llowed.test", "soft hyphen": "allow\u00aded.test",
    "NFD accent": "a\u0301llowed.test", "zero-width space": "allowed\u200b.test",
}  # fmt: skip


@threat("T124")
@pytest.mark.parametrize("what", UNICODE)
def test_look_alikes_in_a_policy_never_mean_the_plain_name(policy, what):
    path = policy(f"domains: ['{UNICODE[what]}']\n")
    status, out, errors, _ = check(path)
    if status == 0:
        assert "xn--" in out, "shown as it is on the wire"
        assert verdict_of(path, "http://allowed.test/")["action"] == "blocked"
    else:
        assert "policy.yaml:1" in errors
    assert UNICODE[what] not in errors or what in ("Cyrillic a", "full width", "NFD accent", "ideographic full stop")


@threat("T124")
def test_case_dots_and_spaces_of_an_entry_are_normalised_or_refused(policy):
    for entry in ("ALLOWED.test", "allowed.test."):
        path = policy(f"domains: ['{entry}']\n")
        assert check(path)[0] == 0
        assert verdict_of(path, "http://allowed.test/")["action"] == "allowed"
    for entry in (" allowed.test", "allowed.test ", "allowed .test", ".allowed.test", "allowed..test"):
        status, _, errors, _ = check(policy(f"domains: ['{entry}']\n"))
        assert status == 2 or entry.strip() == "allowed.test", errors


@threat("T124")
def test_a_name_and_its_punycode_are_the_same(policy):
    path = policy("domains: ['b\u00fccher.test']\n")
    status, out, errors, _ = check(path)
    if status == 2:
        assert "xn--bcher-kva.test" in errors, "the message says how to write it"
        return
    assert "xn--bcher-kva.test" in out
    assert verdict_of(path, "http://xn--bcher-kva.test/")["action"] == "allowed"


INJECTIONS = [
    "allowed.test\\n}; flush ruleset; table inet x {", "a.test; accept", "a.test # ", "a.test' || 1", "../../x", "$(id)", "a.test\\0b", "a.test\\x1b[2J",
    "a.test,b.test", "a.test b.test", "a" * 300, "a.test\\r\\nb.test", "a.test`id`", "{a.test}", "a.test|b", "-a.test", "a.test\\\\", "*.a.test;",
]  # fmt: skip


@threat("T125")
@pytest.mark.parametrize("entry", INJECTIONS, ids=lambda e: e[:20])
def test_metacharacters_in_names_are_refused(policy, entry):
    refused(policy(f'domains: ["{entry}"]\n'))
    refused(policy(f'endpoints: [{{host: "{entry}", port: 5432, protocol: tcp}}]\n'))


@threat("T125")
@pytest.mark.parametrize(("option", "value"), [("--inside", "ag0; nft flush ruleset"), ("--inside", "a" * 40), ("--inside", 'x"\n}'),
                                               ("--resolver", "127.0.0.1#53\n"), ("--claim", "10.77.0.2/24; flush ruleset")])  # fmt: skip
def test_metacharacters_in_options_never_reach_the_rules(tmp_path, gateway_binary, option, value):
    path = tmp_path / "policy.yaml"
    path.write_text("domains: [allowed.test]\n")
    command = [gateway_binary, "--dry-run", "--policy", str(path), "--claim", "10.77.0.2/24", option, value]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode in (2, 3), (done.stdout, done.stderr)
    assert "flush ruleset" not in done.stdout


# --- Replacing files ---


@threat("T126")
def test_a_swapped_symlink_is_read_once_and_whole(lab, make_gateway, tmp_path):
    """`ln -sfn` in a loop between two good policies and a broken one: every reload is one of them or refused."""
    one = make_gateway().start()
    texts = {"first": "domains: [allowed.test]\n", "second": "domains: [cdn-allowed.test]\n", "broken": "domains: [\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    one.policy_file.unlink()
    one.policy_file.symlink_to(tmp_path / "first")
    stop = threading.Event()

    def swap():
        number = 0
        while not stop.is_set():
            fresh = one.policy_file.with_suffix(".link")
            fresh.symlink_to(tmp_path / list(texts)[number % 3])
            fresh.replace(one.policy_file)
            number += 1

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        mark = one.log.mark()
        for _ in range(60):
            before = len(one.log.find(mark, type="reload"))
            one.send_signal(1)
            wait.until(lambda before=before: len(one.log.find(mark, type="reload")) > before, "a reload")
    finally:
        stop.set()
        swapper.join()
    accepted = {r["accepted"] for r in one.log.find(mark, type="reload")}
    assert True in accepted
    assert web.http(lab.agent, "denied.test", address=at.EV).status == 403
    one.policy_file.unlink()
    one.reload(at.POLICY)
    Case(lab, one.log).control()


@threat("T126")
def test_truncate_and_write_with_a_gap_never_opens_anything(lab, make_gateway):
    """An editor without atomic rename: half a list of hosts is an error or denies more."""
    one = make_gateway().start()
    whole = at.POLICY + "  - more.wild.test\n"
    for cut in (0, 5, 9, 25, 40, len(whole) - 3):
        one.policy_file.write_text(whole[:cut])
        mark = one.log.mark()
        one.send_signal(1)
        one.log.wait_for(mark, type="reload")
        assert web.http(lab.agent, "denied.test", address=at.EV).status == 403
        assert web.http(lab.agent, "evil.test", address=at.EV).status == 403
    one.reload(at.POLICY)
    Case(lab, one.log).control()


@threat("T197")
def test_a_file_that_is_being_written_is_not_put_in_force_half(lab, make_gateway):
    """T197: half of this one is a policy that admits every request; what is being written is waited for."""
    half = "domains:\n  - host: allowed.test\n"
    whole = half + "    rules:\n      - {schemes: [http], methods: [GET], path: {prefix: /ok}}\n"
    one = make_gateway(policy=whole).start()
    assert web.http(lab.agent, "allowed.test", "/x", method="POST").status == 403
    for _ in range(3):
        one.policy_file.write_text(half)
        soon = time.time() + 0.04  # so that a slow machine does not take the pause for the end
        os.utime(one.policy_file, (soon, soon))
        mark = one.log.mark()
        one.send_signal(signal.SIGHUP)
        time.sleep(0.02)
        one.policy_file.write_text(whole)
        one.log.wait_for(mark, type="reload")
        assert web.http(lab.agent, "allowed.test", "/x", method="POST").status == 403
        assert web.http(lab.agent, "allowed.test", "/ok").status == 200, "the control"


@threat("T126")
def test_a_configmap_style_swap_works(lab, make_gateway, tmp_path):
    """..data -> ..v1 is replaced by ..data -> ..v2, as Kubernetes does it."""
    for version, text in (("..v1", "domains: [allowed.test]\n"), ("..v2", "domains: [cdn-allowed.test]\n")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "policy.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    one = make_gateway()
    one.arguments[one.arguments.index("--policy") + 1] = str(tmp_path / "policy.yaml")
    one.start()
    Case(lab, one.log).control()
    (tmp_path / "..new").symlink_to("..v2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    one.reload()
    assert web.http(lab.agent, "allowed.test", address=at.AL).status == 403
    assert web.http(lab.agent, "cdn-allowed.test").body == b"CDN\n"


@threat("T118")
def test_a_policy_that_appears_late_is_waited_for_by_nobody(lab, make_gateway):
    one = make_gateway(policy=None)
    one.start(healthy=False)
    assert one.process.wait(5) == 2
    one.policy_file.write_text(at.POLICY)
    one.start()
    Case(lab, one.log).control()


def test_layers_are_merged_and_replaced(policy, tmp_path):
    base = policy("domains:\n  - {host: a.test, rules: [{methods: [GET]}]}\n")
    added = tmp_path / "more.yaml"
    added.write_text("domains:\n  - {host: a.test, rules: [{methods: [POST]}]}\n  - b.test\n")
    replaced = tmp_path / "replace.yaml"
    replaced.write_text("domains:\n  - {host: a.test, merge_mode: replace, rules: [{methods: [PUT]}]}\n")

    def allowed(files, url, method):
        options = [part for file in files for part in ("--policy", str(file))]
        command = [gateways.binary(), "explain", *options, "--method", method, url]
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0

    for method, merged, new in (("GET", True, False), ("POST", True, False), ("PUT", False, True)):
        assert allowed([base, added], "http://a.test/", method) == merged
        assert allowed([base, replaced], "http://a.test/", method) == new
    assert allowed([base, added], "http://b.test/", "GET")


def test_the_dry_run_of_a_policy_is_loaded_by_nft_without_privilege(policy):
    path = policy(at.POLICY)
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", gateways.binary(), "--dry-run", "--policy",
               str(path), "--inside", "ag0", "--claim", "10.77.0.2/24"]  # fmt: skip
    for parent in path.parents[:4]:
        if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o777 == 0o700:
            parent.chmod(0o755)
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 0, done.stderr
    assert "allowed.test" in done.stdout
    checked = subprocess.run(["unshare", "-n", "nft", "-c", "-f", "-"], input=done.stdout, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
