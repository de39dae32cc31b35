"""However a ClientHello is cut, padded or malformed, it means one name or is refused."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import socket
import struct
import time

import pytest

from lab import addresses as at
from lab import tls_wire as tls
from lab import wait, web
from lab.case import Live
from lab.hellos import DENIED, REFUSED, all_at_once, answered, denied, refused, send

threat = pytest.mark.threat


# --- Lengths, records and segments ---


@threat("T063")
def test_no_mutated_byte_lets_a_denied_hello_through(case, lab):
    good = tls.client_hello("denied.test")
    mutated = [good[:i] + bytes([good[i] ^ flip]) + good[i + 1 :] for i in range(len(good)) for flip in (0x01, 0x80)]
    ends = all_at_once(lambda data: answered(lab, data, at.EV, finish=True, wait=5), mutated)
    assert set(ends) <= {*REFUSED, "handshake"}, set(ends)
    case.no_syn()


@threat("T063")
def test_a_mutated_allowed_hello_is_passed_unchanged_or_refused(case, lab):
    good = tls.client_hello("allowed.test")
    mutated = [good[:i] + bytes([good[i] ^ 0x20]) + good[i + 1 :] for i in range(len(good))]
    ends = all_at_once(lambda data: answered(lab, data, finish=True, wait=5), mutated)
    assert ends[0] in (*REFUSED, "other"), "'6' may begin a method, and a 400 answers it"
    assert set(ends[1:]) <= {*REFUSED, "handshake"}, set(ends)
    assert {"alert", "handshake"} <= set(ends)
    del case


@threat("T063")
def test_a_truncated_hello_is_never_taken_for_one_without_a_name(case, lab):
    good = tls.client_hello("allowed.test")
    ends = all_at_once(lambda cut: answered(lab, good[:cut], finish=True, wait=5), range(1, len(good)))
    assert set(ends) <= set(REFUSED), set(ends)
    case.no_syn()


def _lying(case_name):
    name = b"allowed.test"
    entry = b"\0" + tls.u16(name)
    bodies = {
        "list longer than extension": struct.pack("!H", len(entry) + 50) + entry,
        "list shorter than names": struct.pack("!H", len(entry) - 4) + entry,
        "empty name": tls.u16(b"\0\0\0"),
        "name longer than list": tls.u16(b"\0" + struct.pack("!H", 200) + name),
        "bytes after the list": tls.u16(entry) + b"tail",
    }
    if case_name in bodies:
        return tls.record(tls.hello(tls.extension(0, bodies[case_name])))
    message = tls.hello(tls.sni(name))
    return {
        "extensions longer than message": tls.record(message[:-30]),
        "handshake shorter than extensions": tls.record(b"\x01" + struct.pack("!I", len(message) - 40)[1:] + message[4:]),
        "bytes after the extensions": tls.record(b"\x01" + tls.u24(message[4:] + b"tail")),
        "record of 1": tls.record(message[:1]),
        "record of 4": tls.record(message[:4]),
        "session id of 33": tls.record(b"\x01" + tls.u24(message[4:38] + b"\x21" + b"s" * 33 + message[71:])),
        "odd cipher suites": tls.record(b"\x01" + tls.u24(message[4:71] + tls.u16(b"\x13\x01\x13") + b"\x01\0" + message[93:])),
        "no compression": tls.record(b"\x01" + tls.u24(message[4:91] + b"\0" + message[93:])),
        "a server hello": tls.record(b"\x02" + message[1:]),
        "a hello request first": tls.record(b"\0\0\0\0" + message),
    }[case_name]


@threat("T063")
@pytest.mark.parametrize("what", [
    "list longer than extension", "list shorter than names", "empty name", "name longer than list", "bytes after the list",
    "extensions longer than message", "handshake shorter than extensions", "bytes after the extensions", "record of 1", "record of 4",
    "session id of 33", "odd cipher suites", "no compression", "a server hello", "a hello request first",
])  # fmt: skip
def test_lengths_that_lie_are_refused(case, lab, what):
    refused(case, lab, _lying(what), finish=True)


@threat("T064", "C04")
def test_one_byte_segments_change_nothing(case, lab):
    assert send(lab, tls.client_hello("allowed.test"), step=1, delay=0.001, wait=1) == "origin"
    denied(case, lab, tls.client_hello("denied.test"), step=1, delay=0.001)
    denied(case, lab, tls.client_hello("denied.test"), step=3, delay=0.002)


@threat("T064", "C04")
def test_a_pause_within_the_first_bytes_is_waited_for(case, lab):
    for name, dialled in (("allowed.test", True), ("denied.test", False)):
        data = tls.client_hello(name)
        with web.connected(lab.agent, at.AL, 443) as link:
            link.sendall(data[:3])
            mark = lab.capture.mark()
            time.sleep(1.5)  # the client's own pause is the case
            case.no_syn(mark)
            link.sendall(data[3:])
            assert tls.verdict(link.recv(16), "") in (("handshake",) if dialled else ("handshake", "alert"))
            assert bool(lab.capture.syns(mark)) == dialled


@threat("C04")
def test_a_hello_in_two_records_split_anywhere_is_one_hello(case, lab):
    message = tls.hello(tls.sni(b"allowed.test"))
    other = tls.hello(tls.sni(b"denied.test"))
    cuts = range(1, len(message), 5)
    before = lab.al.connections
    ends = all_at_once(lambda n: answered(lab, tls.record(message[:n]) + tls.record(message[n:]), wait=0.5), cuts)
    assert set(ends) == {"handshake"}
    assert lab.al.connections - before == len(cuts), "each with the origin"
    mark = lab.capture.mark()
    cuts = range(1, len(other), 5)
    ends = all_at_once(lambda n: answered(lab, tls.record(other[:n]) + tls.record(other[n:])), cuts)
    assert set(ends) <= {"handshake", "alert"}
    case.no_syn(mark)
    blocked = {"type": "decision", "phase": "tls", "host": "denied.test", "reason": "host_not_allowed"}
    wait.until(lambda: len(case.log.find(case.log_start, **blocked)) >= len(cuts), "a record of each")


@threat("T066", "C04")
def test_one_byte_records_and_empty_ones_before_a_hello_hide_nothing(case, lab):
    for name, expected in ((b"allowed.test", ("origin",)), (b"denied.test", DENIED)):
        message = tls.hello(tls.sni(name))
        assert send(lab, tls.fragmented(message, 1), wait=1) in expected
        assert send(lab, tls.record(b"") + tls.record(message), wait=1) in (*expected, "alert")
    denied(case, lab, tls.record(b"") + tls.client_hello("denied.test"))


@threat("T066")
@pytest.mark.parametrize("first", [
    tls.record(b"") * 1000, tls.record(b"\x01", tls.CCS), tls.record(b"\x01\x00", tls.ALERT), tls.record(b"x", tls.APPLICATION),
    tls.record(b"\x01\0\0", 24), tls.record(b"", tls.APPLICATION), tls.record(b"", 255),
], ids=["1000 empty", "ccs", "alert", "application data", "heartbeat", "empty application data", "type 255"])  # fmt: skip
@pytest.mark.parametrize("name", ["denied.test", "allowed.test"])
def test_other_records_before_the_hello_are_refused(case, lab, first, name):
    refused(case, lab, first + tls.client_hello(name))


@threat("T211", "C01")
@pytest.mark.parametrize(("parts", "alert"), [
    ((b"\x16\x03\x01\x00\x02\x01\x00", b"\x16\x03\x01\x00\x02\x00\xec", b"\x17\x03\x03\x00\x00"), 10),
    ((b"\x16\x03\x01\x00\x02\x01\x00", b"\x14\x03\x03\x00\x01\x01"), 10),
    ((b"\x16\x03\x01\x00\x02\x01\x00", b"\x16\x03\x01\x00\x02\x00\xec", b"\x16\x03\x01\x40\x01"), 22),
    ((b"\x16\x03\x01\x00\x04\x02\x00\x00\xec",), 10),
    ((b"\x16\x03\x01\x00\x04\x01\x00\x00\xec", b"\x16\x02"), 70),
], ids=["application data", "ccs", "overflow", "ServerHello", "version"])  # fmt: skip
def test_a_hello_that_is_interrupted_is_refused_at_once_with_the_right_alert(case, lab, parts, alert):
    begin = time.monotonic()
    with web.connected(lab.agent, at.AL, 443, timeout=4) as link:
        for part in parts:
            link.sendall(part)
            time.sleep(0.05)  # segments of their own
        answer, _ = web.read_to_end(link)
    assert answer == b"\x15\x03\x03\x00\x02\x02" + bytes([alert])
    assert time.monotonic() - begin < 2
    case.no_syn()
    slow = tls.fragmented(tls.hello(tls.sni(b"allowed.test")), 40)
    assert send(lab, slow, step=45, delay=0.02) == "origin", "the control: cut as often, but whole"


def with_ech(name):
    """The outer hello of RFC 9849 section 5, whose inside nobody here can open; a browser's GREASE looks the same."""
    body = b"\x00" + struct.pack("!HHB", 1, 1, 7) + tls.u16(os.urandom(32)) + tls.u16(os.urandom(144))
    return tls.record(tls.hello(tls.sni(name), tls.extension(0xFE0D, body)))


@threat("T071", "C01")
def test_an_encrypted_hello_inside_is_logged_and_refused_where_the_policy_says_so(case, lab, router):
    start = case.log.mark()
    assert send(lab, with_ech(b"allowed.test"), wait=2) == "origin"
    case.log.wait_for(start, type="decision", phase="tls", action="allowed", host="allowed.test", ech=True)
    start = case.log.mark()
    assert send(lab, tls.client_hello("allowed.test"), wait=2) == "origin"
    assert "ech" not in case.log.wait_for(start, type="decision", phase="tls", action="allowed", host="allowed.test")
    router.reload(at.POLICY + "ech: deny\n")
    try:
        start, mark = case.log.mark(), lab.capture.mark()
        answer, _ = web.talk(lab.agent, at.AL, 443, with_ech(b"allowed.test"))
        assert answer == b"\x15\x03\x03\x00\x02\x02\x31"
        case.log.wait_for(start, type="decision", phase="tls", action="blocked", reason="ech_not_permitted", ech=True)
        case.no_syn(mark)
        assert send(lab, tls.client_hello("allowed.test"), wait=2) == "origin", "the control"
    finally:
        router.reload(at.POLICY)


@threat("T067", "C02")
@pytest.mark.parametrize("pad", [1400, 1900, 2100, 4096, 8192, 12000, 15000])
def test_a_late_name_in_a_large_hello_is_still_read(case, lab, pad):
    message = tls.hello(tls.sni(b"allowed.test"), pad=pad)
    data = tls.fragmented(message, 16000)
    assert send(lab, data, wait=1) in ("origin", "alert"), "an OpenSSL origin may refuse the longest itself"
    if pad <= 12000:
        assert send(lab, data, wait=1) == "origin"
        assert send(lab, data, wait=1, step=1400, delay=0.01) == "origin"
    denied(case, lab, tls.fragmented(tls.hello(tls.sni(b"denied.test"), pad=pad), 16000))


@threat("T067")
def test_a_hello_over_the_bound_is_refused_as_too_large(case, lab):
    message = tls.hello(tls.sni(b"allowed.test"), pad=14000)
    refused(case, lab, tls.fragmented(message, 1))  # five bytes of record header for each of the message
    case.record(phase="tls", action="blocked", reason="too_large")


@threat("T068")
def test_a_claimed_16_mib_hello_is_cut_at_the_bound(case, lab, router):
    before = router.resident_bytes()
    data = tls.record(b"\x01\xff\xff\xff" + b"\0" * 16000) + tls.record(b"\0" * 16000) * 8
    with Live(lab, lab.neighbour):
        ends = all_at_once(lambda _: answered(lab, data), range(200))
    assert set(ends) <= set(REFUSED)
    assert router.resident_bytes() - before < 64 << 20
    del case


@threat("T068", "T134")
def test_silence_and_dripping_end_at_the_stated_time_out(case, lab):
    """Ten seconds from the connection to the decision, whatever is dribbled meanwhile."""
    drips = {443: tls.client_hello("allowed.test"), 80: b"GET / HTTP/1.1\r\nHost: allowed.test\r\n" + b"X: y\r\n" * 50}

    def one(kind):
        port, silent = kind
        drip = drips[port]
        with web.connected(lab.agent, at.AL, port) as link:
            link.settimeout(0.5)
            begin = time.monotonic()
            for at_byte in range(len(drip)):
                try:
                    if not silent:
                        link.sendall(drip[at_byte : at_byte + 1])
                    if not link.recv(4096):
                        break
                except (socket.timeout, TimeoutError):
                    continue
                except OSError:
                    break
            return time.monotonic() - begin

    took = all_at_once(one, [(port, silent) for port in drips for silent in (True, False)])
    assert all(9 < seconds < 12 for seconds in took), took
    case.record(action="blocked", reason="timed_out")
    case.no_syn()


# --- Versions ---


@threat("T069", "C03")
def test_grease_and_odd_versions_do_not_hide_the_name(case, lab):
    assert send(lab, tls.client_hello("allowed.test", grease=True), wait=1) == "origin"
    for options in ({"grease": True}, {"versions": b"\x03\x04"}, {"tls13": False}, {"legacy": b"\x03\x01"}, {"ciphers": b"\xfa\xfa"}):
        denied(case, lab, tls.client_hello("denied.test", **options))
    for version in (b"\x03\x00", b"\x03\x01", b"\x03\x03", b"\x03\x04"):
        assert send(lab, tls.record(tls.hello(tls.sni(b"allowed.test")), version=version), wait=1) in ("origin", "alert")
        denied(case, lab, tls.record(tls.hello(tls.sni(b"denied.test")), version=version))
    for version in (b"\x7f\x00", b"\x02\x00", b"\x00\x03"):
        refused(case, lab, tls.record(tls.hello(tls.sni(b"allowed.test")), version=version))


SSLV2 = bytes.fromhex("802e0100020015000000100100800300800700c006004002008004008000000a0000050000040000090000060000031f" "0123456789abcdef" "00")


@threat("T070")
@pytest.mark.parametrize("data", [
    SSLV2, SSLV2[:3] + b"\x03\x01" + SSLV2[5:], tls.record(b"\x01" + tls.u24(b"\x03\x00" + os.urandom(32) + b"\0" + b"\0\x02\0\x05" + b"\x01\0"), version=b"\x03\x00"),
], ids=["SSLv2", "SSLv2 that announces 3.1", "SSLv3 without extensions"])  # fmt: skip
def test_old_hellos_have_no_name_and_no_way(case, lab, data):
    refused(case, lab, data, finish=True)


@threat("T072")
def test_a_second_hello_changes_nothing_about_where_the_connection_goes(case, lab):
    """After a HelloRetryRequest the name could change; the dialled origin cannot. The residual risk is documented."""
    case.canary_may_leave = True
    retry = b"\x03\x03" + bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c") + b"\0" + b"\x13\x01\0" + \
        tls.u16(tls.extension(43, b"\x03\x04") + tls.extension(51, b"\0\x1d"))  # fmt: skip
    got = []

    def origin(link):
        got.append(link.recv(65536))
        link.sendall(tls.record(b"\x02" + tls.u24(retry), version=b"\x03\x03"))
        got.append(link.recv(65536))

    with lab.raw.serving(origin), web.connected(lab.agent, at.RAW, 443) as link:
        link.sendall(tls.client_hello("raw.wild.test", share=False))
        assert link.recv(4096)[:1] == b"\x16"
        link.sendall(tls.client_hello("denied.test"))
        assert web.read_to_end(link)[1] in ("fin", "rst")
    wait.until(lambda: len(got) == 2, "the origin's side")
    case.no_packet()
