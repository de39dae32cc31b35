"""A ClientHello alone, sent to port 443: who answered it, and that nobody was dialled for one that is refused."""
# SPDX-License-Identifier: GPL-3.0-or-later

import time
from concurrent.futures import ThreadPoolExecutor

from lab import addresses as at
from lab import tls_wire as tls
from lab import web

REFUSED = ("alert", "rst", "fin")
DENIED = ("page", "alert")  # the gateway shakes hands to show its page; beyond its budget of those, and in vain, it is an alert


def answered(lab, data, address=at.AL, **options):
    """Raw bytes to port 443: what came back, told from the first byte."""
    return tls.verdict(*web.talk(lab.agent, address, 443, data, enough=1, **options))


def send(lab, data, address=at.AL, **options):
    """The same, of one connection alone, with who shook hands: "origin" if somebody was dialled, "page" if nobody was."""
    mark = lab.capture.mark()
    how = answered(lab, data, address, **options)
    if how != "handshake":
        return how
    return "origin" if lab.capture.syns(mark) else "page"


def refused(case, lab, data, address=at.AL, ends=REFUSED, **options):
    """Refused within two seconds, and nobody was dialled for it."""
    mark = lab.capture.mark()
    begin = time.monotonic()
    how = send(lab, data, address, **options)
    assert how in ends, (how, data[:60])
    assert time.monotonic() - begin < 2 + options.get("delay", 0) * len(data)
    case.no_syn(mark)
    return how


def denied(case, lab, data, address=at.AL, **options):
    """A hello in order, for a name that the policy does not allow."""
    start = case.log.mark()
    how = refused(case, lab, data, address, DENIED, **options)
    case.log.wait_for(start, type="decision", phase="tls", action="blocked", reason="host_not_allowed")
    return how


def all_at_once(function, items, workers=16):
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))
