"""A policy file that changes is read without being asked: however it is replaced, whole, once, and with the last good one kept."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest

from lab import addresses as at
from lab import gateway as gateways
from lab import tls_wire, wait, web
from lab.case import Case

threat = pytest.mark.threat

ONE = "domains: [allowed.test]\n"
BOTH = "domains: [allowed.test, cdn-allowed.test]\n"
QUIET = 0.6  # much longer than a change that the kernel reports takes


@pytest.fixture
def following(make_gateway):
    """following(…): a gateway that reloads on change; its `policy_file` has the text ONE."""

    def start(folder=None, switch="on", arguments=()):
        one = make_gateway(policy=ONE, arguments=arguments, environment={"GATEWAY_RELOAD_ON_CHANGE": switch})
        if folder:
            one.policy_file = folder / "policy.yaml"
            one.arguments[one.arguments.index("--policy") + 1] = str(one.policy_file)
        return one.start()

    return start


def replace(path, text):
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def move_away_and_write(path, text):
    path.rename(path.with_suffix(".yaml~"))
    path.write_text(text)


def remove_and_link(path, text):
    target = path.with_suffix(".target")
    target.write_text(text)
    path.unlink()
    path.symlink_to(target.name)


WAYS = {
    "in place": lambda path, text: path.write_text(text),
    "a rename": replace,
    "an editor's backup": move_away_and_write,
    "a link": remove_and_link,
}


def reloads(gateway, mark=0):
    return [record["accepted"] for record in gateway.log.find(mark, type="reload")]


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_replacing_a_file_is_seen_and_counts_once(lab, following, way):
    one = following()
    assert web.http(lab.agent, "cdn-allowed.test", address=at.CDN).status == 403
    WAYS[way](one.policy_file, BOTH)
    one.log.wait_for(0, type="reload", accepted=True)
    assert web.http(lab.agent, "cdn-allowed.test").body == b"CDN\n"
    policy = one.status()["policy"]
    assert (policy["version"], policy["read"]["why"], policy["hosts"]) == (2, "change", 2)
    Case(lab, one.log).control()
    mark = one.log.mark()
    replace(one.policy_file, BOTH)
    os.utime(one.policy_file)
    wait.holds(lambda: not reloads(one, mark), QUIET, "no record: the text is the same")
    assert one.status()["policy"]["version"] == 2


def test_the_links_of_a_configmap_are_followed_again_and_again(lab, following, tmp_path):
    (tmp_path / "..v0").mkdir()
    (tmp_path / "..v0" / "policy.yaml").write_text(ONE)
    (tmp_path / "..data").symlink_to("..v0")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    one = following(tmp_path)
    for number, text in enumerate((BOTH, ONE, BOTH), 1):
        mark = one.log.mark()
        (tmp_path / f"..v{number}").mkdir()
        (tmp_path / f"..v{number}" / "policy.yaml").write_text(text)
        (tmp_path / "..data_tmp").symlink_to(f"..v{number}")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        (tmp_path / f"..v{number - 1}" / "policy.yaml").unlink()
        assert one.log.wait_for(mark, type="reload")["accepted"] is True
        assert web.http(lab.agent, "cdn-allowed.test", address=at.CDN).status == (200 if text == BOTH else 403)
    assert one.status()["policy"]["version"] == 4


def test_with_the_switch_off_only_a_request_counts(lab, following):
    one = following(switch="off", arguments=("--no-reload-on-change",))
    replace(one.policy_file, BOTH)
    wait.holds(lambda: not reloads(one), QUIET, "no reload")
    assert web.http(lab.agent, "cdn-allowed.test", address=at.CDN).status == 403
    assert one.status()["policy"]["read"]["why"] == "start"
    one.reload()
    assert web.http(lab.agent, "cdn-allowed.test").status == 200, "the control"
    assert one.status()["policy"]["read"]["why"] == "request"


@threat("T270", "T030")
def test_a_wrong_file_is_said_once_and_the_last_good_policy_stays(lab, following):
    one = following()
    replace(one.policy_file, "domains: [denied.test]\ndomans: [evil.test]\n")
    refused = one.log.wait_for(0, type="reload", accepted=False)
    assert f"{one.policy_file}:2:1: " in refused["detail"] and "the previous policy is still active" in refused["detail"]
    os.utime(one.policy_file)
    wait.holds(lambda: reloads(one) == [False], QUIET, "it is said once")
    assert web.http(lab.agent, "denied.test", address=at.EV).status == 403
    assert one.status()["policy"]["stale"] is True
    Case(lab, one.log).control()
    one.policy_file.unlink()
    missing = one.log.wait_for(0, type="reload", accepted=False, detail=lambda text: "No such file" in text)
    assert str(one.policy_file) in missing["detail"]
    one.policy_file.write_text(ONE)
    one.log.wait_for(0, type="reload", accepted=True)
    assert one.status()["policy"]["stale"] is False, "the text that is in force is good news after a refused one"
    Case(lab, one.log).control()


@threat("T271")
def test_half_a_file_is_not_read_while_it_is_written(lab, following):
    """Half of this one allows every request of the host."""
    one = following()
    half = ONE.replace("[allowed.test]", "\n  - allowed.test\n  - host: cdn-allowed.test\n")
    rules = "    rules:\n      - {schemes: [http], methods: [GET], path: {prefix: /ok}}\n"
    with open(one.policy_file, "w", encoding="utf-8") as writer:
        writer.write(half)
        writer.flush()
        wait.holds(lambda: not reloads(one), QUIET, "it is waited for")
        assert web.http(lab.agent, "cdn-allowed.test", "/", address=at.CDN).status == 403
        writer.write(rules)
    one.log.wait_for(0, type="reload", accepted=True)
    assert reloads(one) == [True]
    assert web.http(lab.agent, "cdn-allowed.test", "/", address=at.CDN).status == 403
    assert web.http(lab.agent, "cdn-allowed.test", "/ok").status == 200, "the control"


@threat("T028")
def test_connections_that_the_edit_denies_end_and_no_others(lab, following):
    one = following()
    replace(one.policy_file, BOTH)
    one.log.wait_for(0, type="reload", accepted=True)
    with web.connected(lab.agent, at.AL, 443) as denied, web.connected(lab.agent, at.CDN, 443) as kept:
        for link, name in ((denied, "allowed.test"), (kept, "cdn-allowed.test")):
            link.sendall(tls_wire.client_hello(name))
            assert link.recv(1) == b"\x16"
        replace(one.policy_file, "domains: [cdn-allowed.test]\n")
        assert web.read_to_end(denied)[1] in ("rst", "fin")
        kept.settimeout(0.3)
        assert web.read_to_end(kept)[1] == "timeout", "the other connection is still open"


def test_a_file_that_is_mounted_alone_is_seen_when_it_is_written_and_said_when_it_is_replaced(gateway_binary, following, monkeypatch, tmp_path):
    outer, inner = tmp_path / "outer.yaml", tmp_path / "policy.yaml"
    outer.write_text(ONE)
    inner.write_text("domains: []\n")
    script = tmp_path / "in-a-mount-namespace"
    script.write_text(f'#!/bin/sh\nmount --bind "{outer}" "{inner}" && exec "{gateway_binary}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(gateways, "binary", lambda: str(script))
    one = following(tmp_path)
    outer.write_text(BOTH)
    one.log.wait_for(0, type="reload", accepted=True)
    assert one.status()["policy"]["hosts"] == 2
    mark = one.log.mark()
    replace(outer, ONE)
    one.log.wait_for(mark, type="error", message=lambda text: "mounted as a single file" in text and "Mount its folder" in text)
    assert one.status()["policy"]["hosts"] == 2, "and the old one stays"


def test_without_inotify_the_files_are_looked_at_every_two_seconds(lab, gateway_binary, make_gateway):
    """A user namespace that allows no instance, as a system whose limit is reached."""
    one = make_gateway(policy=ONE)
    script = one.folder / "without-inotify"
    script.write_text(f'#!/bin/sh\necho 0 > /proc/sys/user/max_inotify_instances && exec "{gateway_binary}" "$@"\n')
    script.chmod(0o755)
    process = subprocess.Popen(
        lab.gw.command("unshare", "--user", "--map-root-user", str(script), "serve", "--topology", "proxy", "--policy", str(one.policy_file),
                       "--control", str(one.control), "--ca-dir", str(one.folder / "ca"), "--resolver", at.NS),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    log = gateways.LogReader(process.stdout)
    try:
        said = log.wait_for(0, type="error", message=lambda text: "inotify" in text)
        assert "noticed every 2000 ms" in said["message"]
        replace(one.policy_file, BOTH)
        log.wait_for(0, type="reload", accepted=True)
    finally:
        process.terminate()
        process.wait(15)


@threat("C15")
def test_a_hundred_transfers_across_a_thousand_reloads_lose_nothing(lab, following):
    one = following()
    done = threading.Event()

    def steady(connection, _):
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        number = 0
        while not done.wait(0.25):
            connection.send(b"4\r\n%04d\r\n" % number)
            number += 1
        connection.send(b"4\r\nlast\r\n0\r\n\r\n")
        return False

    lab.al.script("/steady", steady)
    try:
        with contextlib.ExitStack() as open_ones:
            links = []
            for number in range(100):
                if number % 2:
                    link = open_ones.enter_context(web.connected(lab.agent, at.AL, 80, timeout=30))
                else:
                    link = open_ones.enter_context(web.tls(lab.agent, "allowed.test", lab.ca.certificate, at.AL, timeout=30))
                link.sendall(web.request_bytes("allowed.test", "/steady"))
                links.append(web.Reader(link))
            reload_a_thousand_times(one)
            done.set()
            for reader in links:
                body = reader.response().body
                pieces = [body[at_byte : at_byte + 4] for at_byte in range(0, len(body), 4)]
                assert pieces == [b"%04d" % piece for piece in range(len(pieces) - 1)] + [b"last"]
                assert len(pieces) > 4
    finally:
        done.set()
        lab.al.unscript("/steady")
    Case(lab, one.log).control()


def reload_a_thousand_times(one):
    """Every tenth by a change of the file, the others by request; each with another text than the one before."""
    texts = [f"{ONE}endpoints: [{{host: allowed.test, port: {port}, protocol: tcp}}]\n" for port in (5432, 6379)]
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(10)
        control.connect(str(one.control))
        answers = control.makefile("rb")

        def ask(question):
            control.sendall(json.dumps({"ask": question}).encode() + b"\n")
            return json.loads(answers.readline())

        version = 1
        for number in range(1000):
            fresh = one.policy_file.with_suffix(".new")
            fresh.write_text(texts[number % 2])
            os.utime(fresh, (1, 1))  # a file that was written a moment ago is waited for
            fresh.replace(one.policy_file)
            if number % 10 == 0:
                wait.until(lambda before=version: ask("status")["policy"]["version"] > before, "the file to be read")
                version += 1
            else:
                answer = ask("reload")
                assert answer["accepted"] is True and answer["version"] > version
                version = answer["version"]
        assert version > 1000
