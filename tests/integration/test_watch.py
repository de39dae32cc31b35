"""`gateway watch`: what a terminal shows of a running gateway or a log, and what its keys do. Lines where there is no terminal."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import subprocess
import termios
import types
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from lab import addresses as at
from lab import control, screen, wait, web
from lab.screen import Screen
from lab.stream_stand_in import Stream

threat = pytest.mark.threat


_ROOT = Path(__file__).resolve().parents[2]
_PICTURE = SourceFileLoader("watch_picture", str(_ROOT / "tools/watch_picture"))


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(policy="domains: [allowed.test]\n").start()


@pytest.fixture
def watch(gateway_binary):
    """watch(argument…, **options): a Screen with `gateway watch`."""
    return lambda *arguments, **options: Screen([gateway_binary, "watch", *map(str, arguments)], **options)


def status_of(lab, host, address=at.CDN):
    return web.http(lab.agent, host, address=address).status


def press_until(terminal, key, text):
    """Presses the key again and again: one that comes too soon after a change of the selection is refused."""

    def shown():
        terminal.press(key)
        return text in terminal.text()

    wait.until(shown, text, step=0.1)
    return terminal.text()


def record(host, action="blocked", reason="host_not_allowed", **more):
    return {"ts": "2026-01-02T03:04:05.678Z", "type": "decision", "action": action, "phase": "http", "client": "10.77.0.2", "host": host,
            "scheme": "http", "port": 80, "method": "GET", "path": "/", "reason": reason, **more}  # fmt: skip


def log_of(path, *records):
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def test_one_key_allows_what_was_denied_and_one_takes_it_back(lab, gateway, watch):
    with watch("--control", gateway.control) as terminal:
        terminal.shows("Nothing yet")
        assert status_of(lab, "cdn-allowed.test") == 403
        assert "deny" in terminal.shows("Press a to allow cdn-allowed.test for 15 min")
        press_until(terminal, "a", "cdn-allowed.test is allowed for 15 min")
        assert status_of(lab, "cdn-allowed.test") == 200
        assert status_of(lab, "denied.test", at.EV) == 403, "the control: no other host"
        assert [entry["host"] for entry in control.ask(gateway.control, ask="allowed")["entries"]] == ["cdn-allowed.test"]
        terminal.press("u")
        terminal.shows("removed the entry for cdn-allowed.test")
        assert status_of(lab, "cdn-allowed.test") == 403
        terminal.press("q")
        assert terminal.ended() == 0


def test_a_key_saves_it_to_the_policy_file(lab, gateway, watch):
    with watch("--control", gateway.control) as terminal:
        assert status_of(lab, "cdn-allowed.test") == 403
        terminal.shows("Press a to allow cdn-allowed.test")
        press_until(terminal, "A", "is allowed and saved")
        assert "cdn-allowed.test" in gateway.policy_file.read_text()
        assert status_of(lab, "cdn-allowed.test") == 200


@threat("T260")
def test_a_host_that_reads_as_a_service_allows_that_host_alone(lab, gateway, watch):
    """The name of a service, as a host, must not open the service's hosts."""
    with watch("--control", gateway.control) as terminal:
        assert status_of(lab, "npm") == 403
        terminal.shows("Press a to allow https://npm/ for 15 min")
        press_until(terminal, "a", "is allowed for 15 min")
        assert status_of(lab, "npm") != 403
        assert status_of(lab, "registry.npmjs.org") == 403
        assert "registry.npmjs.org" not in web.http(lab.agent, "gateway.internal", path="/policy").body.decode()


def test_the_end_of_a_gateway_is_said_and_the_next_one_is_watched(lab, gateway, watch):
    with watch("--control", gateway.control) as terminal:
        terminal.shows("Nothing yet")
        gateway.stop()
        terminal.shows("the gateway has ended")
        terminal.press("a")
        gateway.start()
        wait.until(lambda: "has ended" not in terminal.text(), "the next gateway")
        assert status_of(lab, "denied.test", at.EV) == 403
        terminal.shows("Press a to allow denied.test")


@pytest.mark.parametrize(("key", "answer"), [("o", {"verdict": "once"}), ("a", {"verdict": "for", "for_s": 900}), ("A", {"verdict": "always"}),
                                             ("n", {"verdict": "no"})])  # fmt: skip
def test_a_request_that_waits_is_answered_with_a_key(tmp_path, watch, key, answer):
    with Stream(tmp_path / "control.sock") as stream, watch("--control", stream.path) as terminal:
        stream.say(decision=record("allowed.test", "allowed", "host_allowed"))
        stream.say(held={"id": 7, "left_s": 58, "decision": record("api.test")})
        shown = terminal.shows("Let api.test pass? o once, a 15 min, A always, n no")
        assert "1 waiting" in shown and "waits 5" in shown
        wait.until(lambda: (terminal.press(key), stream.asked)[1], "the answer", step=0.1)
        assert stream.asked[0] == {"ask": "answer", "id": 7, **answer}
        terminal.shows("told by the stand-in")
        stream.say(settled={"id": 7, "verdict": answer["verdict"]})
        wait.until(lambda: "waiting" not in terminal.text(), "nothing waits")


@threat("T261")
def test_requests_that_arrive_do_not_move_a_chosen_row(tmp_path, watch):
    with Stream(tmp_path / "control.sock") as stream, watch("--control", stream.path) as terminal:
        stream.say(decision=record("first.test"))
        stream.say(decision=record("second.test"))
        terminal.shows("Press a to allow second.test")
        terminal.press(screen.UP)
        terminal.shows("Press a to allow first.test")
        for number in range(300):
            stream.say(decision=record(f"evil{number}.test"))
        terminal.shows("302 denied")
        terminal.press("a")
        wait.until(lambda: stream.asked, "the question")
        assert stream.asked == [{"ask": "allow", "host": "first.test", "for_s": 900}]


@threat("T261")
@pytest.mark.parametrize("key", ["\x1b[A", "\x1bOA", "\x1b[1;5A", "\x1b[a", "\x1b[200~"])
def test_a_key_that_terminfo_does_not_know_allows_nothing(tmp_path, watch, key):
    """It arrives as an escape, a bracket and a letter, and that letter may be one of the keys."""
    with Stream(tmp_path / "control.sock") as stream, watch("--control", stream.path, TERM="vt100") as terminal:
        stream.say(held={"id": 7, "left_s": 58, "decision": record("api.test")})
        terminal.shows("Let api.test pass?")
        for part in key:
            terminal.press(part)
        terminal.press("d")
        terminal.shows("[denials only]")
        assert stream.asked == []
        wait.until(lambda: (terminal.press("a"), stream.asked)[1], "the control: the key itself", step=0.1)


def test_filter_pause_hosts_and_details(tmp_path, watch):
    log = log_of(tmp_path / "log.json", record("a.test", "allowed", "host_allowed"), record("b.test"), record("b.test", path="/x"), record("c.test"))
    with watch(log) as terminal:
        assert "1 allowed  3 denied" in terminal.shows("c.test")
        terminal.press("d")
        shown = terminal.shows("[denials only]")
        assert "a.test" not in shown and "b.test" in shown
        terminal.press("d/B.TEST" + screen.ENTER)
        wait.until(lambda: "c.test" not in terminal.text(), "the filter")
        assert "[filter: B.TEST]" in terminal.text() and "b.test/x" in terminal.text()
        terminal.press(screen.ESCAPE)
        terminal.shows("c.test")
        terminal.press("h")
        terminal.shows("denied   allowed  host")
        hosts = [["2", "0", "b.test"], ["1", "0", "c.test"], ["0", "1", "a.test"]]
        wait.until(lambda: [line.split() for line in terminal.lines()[2:5]] == hosts, "the hosts, most denied first")
        terminal.press("h ")
        terminal.shows("[paused]")
        with log.open("a") as more:
            more.write(json.dumps(record("d.test")) + "\n")
        terminal.shows("4 denied")
        assert "d.test" not in terminal.text()
        terminal.press(" ")
        terminal.shows("d.test")
        terminal.press(screen.ENTER)
        shown = terminal.shows("To allow it now:")
        assert "gateway allow d.test" in shown and "domains:" in shown and "- d.test" in shown
        terminal.press("q")
        terminal.shows("request")
        terminal.resize(10, 60)
        wait.until(lambda: terminal.lines()[9].startswith("Enter details"), "the last of ten rows")
        terminal.press("q")
        assert terminal.ended() == 0


def test_a_log_in_a_pipe_and_keys_of_the_terminal(watch):
    ours, theirs = os.pipe()
    with watch(stdin=ours) as terminal:
        os.close(ours)
        os.write(theirs, json.dumps(record("b.test")).encode() + b"\n")
        terminal.shows("b.test")
        terminal.press("a")
        terminal.shows("This is a log, not a running gateway")
        os.close(theirs)
        terminal.shows("the log has ended")
        terminal.press("q")
        assert terminal.ended() == 0


def test_what_a_log_has_drives_no_terminal(tmp_path, watch):
    hostile = "/\x1b[2J\x1b]0;title\x07\u202e\u00e9"
    with watch(log_of(tmp_path / "log.json", record("b.test", path=hostile, reason="\x1b[31mx"), record("c.test"))) as terminal:
        assert "b.test/?[2J?]0;title" in terminal.shows("c.test")


def test_a_terminal_is_left_as_it_was(tmp_path, watch):
    for end in (lambda one: one.press("q"), lambda one: one.process.terminate(), lambda one: one.press("\x03")):
        with watch(log_of(tmp_path / "log.json", record("b.test"))) as terminal:
            terminal.shows("b.test")
            assert not termios.tcgetattr(terminal._ours)[3] & termios.ECHO
            end(terminal)
            assert terminal.ended() == 0
            assert termios.tcgetattr(terminal._ours)[3] & termios.ECHO


@pytest.mark.parametrize("term", ["xterm", "xterm-256color", "xterm-kitty", "screen", "linux", "vt100", "tmux-256color"])
def test_terminals_that_have_a_screen(tmp_path, watch, term):
    with watch(log_of(tmp_path / "log.json", record("b.test")), TERM=term) as terminal:
        terminal.shows("gateway watch  0 allowed  1 denied")
        terminal.shows("q quit")


@pytest.mark.parametrize("term", ["dumb", "no-such-terminal", ""])
def test_a_terminal_without_a_screen_gets_lines(tmp_path, watch, term):
    with watch(log_of(tmp_path / "log.json", record("b.test")), TERM=term, columns=120) as terminal:
        assert terminal.shows("deny").splitlines()[0].startswith("03:04:05  deny        10.77.0.2        http     GET http://b.test/")


def test_lines_of_a_running_gateway_without_a_terminal(lab, gateway, gateway_binary):
    assert status_of(lab, "denied.test", at.EV) == 403
    for options, expected in (((), "GET http://denied.test/  host_not_allowed"), (("--json",), '"host":"denied.test"')):
        process = subprocess.Popen([gateway_binary, "watch", "--denied", "--control", str(gateway.control), *options], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, text=True)  # fmt: skip
        try:
            assert any(expected in line for line in process.stdout)
        finally:
            process.terminate()
            process.wait(10)
            process.stdout.close()


def test_without_a_gateway_the_next_step_is_said(gateway_binary):
    done = subprocess.run([gateway_binary, "watch", "--control", "/nowhere/control.sock"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=20, check=False)  # fmt: skip
    assert done.returncode == 3 and "no gateway is running here" in done.stderr and "gateway watch FILE" in done.stderr


def test_the_picture_shows_the_screen_of_today(gateway_binary):
    module = types.ModuleType(_PICTURE.name)
    module.__file__ = _PICTURE.path
    _PICTURE.exec_module(module)
    assert module.make_picture(gateway_binary) == module.PICTURE.read_text(encoding="utf-8"), "run tools/watch_picture"
