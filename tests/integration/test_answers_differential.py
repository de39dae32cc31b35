"""What Python, Node and curl make of random answers, they make of them through the gateway, or get a clean failure.

Has the same answers each time. SOLEROUTE_FUZZ_SECONDS runs longer, SOLEROUTE_FUZZ_SEED takes others, 0 random ones: of 2,800
answers 4 are still refused that two of three clients take (a last chunk of size "0x0", `identity` with a wrong length, gzip).
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import addresses as at
from lab.answer_clients import CLIENTS, fetch
from lab.odd_answers import Maker

threat = pytest.mark.threat

SECONDS = float(os.environ.get("SOLEROUTE_FUZZ_SECONDS", "0"))
BATCHES = 15  # without SECONDS
SEED = int(os.environ.get("SOLEROUTE_FUZZ_SEED", "20261130")) or random.randrange(1, 1 << 32)
BATCH = 40
CONTROL = b"control"


# Where readers differ and the gateway may say so: what is no number is no length (RFC 9112 section 6.3), and a list of
# codings that is none is not read. A head that is cut short is no answer (section 8).
FRAMING = re.compile(rb"[\r\n](content-length|transfer-encoding)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.I)
SOUND = {b"c": rb"[ \t]*\+?0*([0-9]+?)[ \t]*(,[ \t]*0*\1[ \t]*)*\r*", b"t": rb"[ \t]*(?!xchunked|chunked[ \t]*,[ \t]*identity)[a-z]*[ \t]*(,[ \t]*[a-z]+[ \t]*)*\r*"}
HEAD = re.compile(rb"[\r\n]*[^\n]*\n(?:(?!\r*\n)[^\n]*\n)*\r*\n")
INTERIM = re.compile(rb"[\r\n]*HTTP/1.[01] 1[0-9][0-9]")


def is_sound(sent):
    framing = [(name[:1].lower(), value) for name, value in FRAMING.findall(sent)]
    lengths = {re.sub(rb"[^0-9]", b"", value).lstrip(b"0") for name, value in framing if name == b"c" and b"," not in value}
    head = HEAD.match(sent)
    while head and INTERIM.match(sent):
        sent = sent[head.end() :]
        head = HEAD.match(sent)
    return head is not None and len(lengths) < 2 and all(re.fullmatch(SOUND[name], value, re.I) for name, value in framing)


def is_failure(said):
    return said is None or said[0] == "page"


def verdict(answer, direct, through):
    """What is wrong with what the clients got; empty: nothing.

    Where two clients agree directly and none contradicts them, the gateway passes the answer. What passes is one
    message for all clients, and one that a client reads directly too, or what the origin meant.
    """
    plain = {client: said for client, said in direct.items() if said is not None}
    passed = {client: said for client, said in through.items() if not is_failure(said)}
    agreed = len(plain) >= 2 and len(set(plain.values())) == 1
    if agreed and is_sound(answer.sent) and any(is_failure(through[client]) for client in plain):
        return "the gateway fails alone"
    if len(set(passed.values())) > 1:
        return "two messages out of one"
    for status, body in passed.values():
        bodyless = answer.method == "HEAD" or (status in (204, 304) and body == b"")  # http.client reads some all the same
        if len(plain) >= 2 and (status, body) not in plain.values() and body != answer.meant and not bodyless:
            return "a message that no client reads directly"
    return ""


def control_verdict(name, controls):
    """A request behind it fails with its connection, or gets its own answer."""
    own = (200, CONTROL + name.encode())
    return "" if all(said in (None, own) for said in controls.values()) else f"the request behind it gets {controls}"


class Run:
    """One batch of answers after another, from an origin that both kinds of client reach."""

    def __init__(self, lab, folder):
        self.lab = lab
        self.folder = folder
        self.answers = {}
        self.pool = ThreadPoolExecutor(2 * len(CLIENTS))
        lab.al.mount("/odd/", self._serve)
        lab.al.mount("/control/", self._control)

    def _serve(self, connection, request, name):
        del request
        connection.send(self.answers[name].sent)
        return False

    @staticmethod
    def _control(connection, request, name):
        del request
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s%s" % (len(CONTROL) + len(name), CONTROL, name.encode()))
        return True

    def _fetch(self, client, through):
        namespace = self.lab.agent if through else self.lab.up

        def command(*words):
            return self.lab.client_command(*words, namespace=namespace)

        asked = [pair for name, answer in self.answers.items() for pair in ((answer.method, f"/odd/{name}"), ("GET", f"/control/{name}"))]
        return fetch(client, command, self.folder / f"{client}{through}", at.AL, "allowed.test", asked)

    def batch(self, answers, number):
        """(answer, what is wrong, direct, through) of each."""
        self.answers = {f"{number}-{i}": answer for i, answer in enumerate(answers)}
        ways = [(client, through) for client in CLIENTS for through in (False, True)]
        found = dict(zip(ways, self.pool.map(lambda way: self._fetch(*way), ways), strict=True))
        for name, answer in self.answers.items():
            direct, through = ({client: found[client, way].get(f"/odd/{name}") for client in CLIENTS} for way in (False, True))
            controls = {client: found[client, True].get(f"/control/{name}") for client in CLIENTS}
            wrong = verdict(answer, direct, through) or control_verdict(name, controls)
            yield answer, wrong, direct, through

    def close(self):
        self.pool.shutdown()


@threat("T100", "T185")
def test_three_clients_read_random_answers_the_same_with_and_without_the_gateway(lab, router, tmp_path):
    del router
    print(f"SOLEROUTE_FUZZ_SEED={SEED}")
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and folder != folder.parent and str(folder) != "/tmp":
            folder.chmod(folder.stat().st_mode | 0o055)
    maker, run = Maker(random.Random(SEED)), Run(lab, tmp_path)
    end, wrong, passed, number = time.monotonic() + SECONDS, [], 0, 0
    while time.monotonic() < end or (SECONDS == 0 and number < BATCHES):
        number += 1
        found = list(run.batch([maker.answer() for _ in range(BATCH)], number))
        passed += sum(any(not is_failure(said) for said in through.values()) for _, _, _, through in found)
        # Again, since a slow machine makes clients give up.
        suspects = [answer for answer, why, _, _ in found if why]
        for answer, why, direct, through in run.batch(suspects, f"again{number}") if suspects else ():
            if why:
                wrong.append(f"{why}\n  sent {answer.method} {answer.sent!r}\n  direct {direct}\n  through {through}")
    run.close()
    assert passed > number * BATCH // 4, "most answers are none: the test says nothing"
    assert not wrong, f"SOLEROUTE_FUZZ_SEED={SEED}: {len(wrong)} of {number * BATCH}\n" + "\n".join(wrong[:40])
