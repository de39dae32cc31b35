"""HTTP/1 on port 80, byte by byte: what is sent, what is answered, and that a refusal leaves no trace."""
# SPDX-License-Identifier: GPL-3.0-or-later

import re

from lab import addresses as at
from lab import web

REFUSALS = (400, 403, 405, 414, 417, 421, 431, 501, 502, 505)


def talk(lab, data, address=at.AL, **options):
    """Raw bytes to port 80: (statuses in order, answer, how it ended)."""
    answer, how = web.talk(lab.agent, address, 80, data, **options)
    return statuses(answer), answer, how


def statuses(answer):
    """Status codes of the responses in a stream."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def refused(case, lab, data, codes=REFUSALS, address=at.AL, **options):
    """Answered with one of these statuses (or closed), the connection ended, nothing forwarded, nobody dialled."""
    marks = [origin.mark() for origin in (lab.al, lab.cdn, lab.wild)]
    syns = lab.capture.mark()
    options.setdefault("finish", True)
    found, answer, how = talk(lab, data, address, **options)
    assert how in ("fin", "rst"), (how, answer[:100])
    assert len(found) <= 1 and set(found) <= set(codes), (found, answer[:200], data[:100])
    if found:
        assert b"Content-Length:" in answer or b"Connection: close" in answer
    for origin, mark in zip((lab.al, lab.cdn, lab.wild), marks, strict=True):
        assert origin.since(mark) == [], origin.since(mark)
    case.no_syn(syns)
    return found[0] if found else None


def get(host, path="/", extra="", version="1.1"):
    return f"GET {path} HTTP/{version}\r\nHost: {host}\r\n{extra}\r\n".encode("latin1")
