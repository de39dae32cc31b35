"""What the gateway depends on in its network: watched, put back, said, and not called healthy meanwhile."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import threading

import pytest

from lab import addresses as at
from lab import packets, wait, web
from lab.case import Case

threat = pytest.mark.threat


@threat("T174")
def test_answers_to_agents_do_not_leave_by_the_uplink_when_their_link_is_down(lab, make_gateway):
    """T174: without the route to the agents the kernel would send them by the default route, in clear."""
    one = make_gateway().start()
    case = Case(lab, one.log)
    case.control()
    with web.connected(lab.agent, at.AL, 80) as download:
        download.sendall(web.request_bytes("allowed.test", "/bytes/200000000"))
        assert download.recv(1000)
        mark = lab.capture.mark()
        lab.gw.ip("link", "set", "ag0", "down")
        try:
            lab.up.run("ping", "-c", "1", "-W", "1", at.GWUP, check=False)
            wait.until(lambda: retransmitting(lab), "the gateway to send again what is not acknowledged")
            strays = [p for p in lab.capture.outgoing(mark) if p.destination == at.AG]
            assert not strays, f"{len(strays)} answers left by the uplink, first {strays[0]}"
        finally:
            lab.gw.ip("link", "set", "ag0", "up")


def retransmitting(lab):
    """A connection to the agent has a packet that was sent more than twice."""
    shown = lab.gw.run("ss", "-Htni", "dst", at.AG).stdout
    return any(f"retrans:{n}/" in shown or f"backoff:{n}" in shown for n in range(2, 16))
