"""Faults that are known: the scenario runs and is reported, and does not fail the run. Each with its reason.

Take a line out when the program is mended: the report says "passed; it is listed as an expected fault" then.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

_STALE = "while no resolver answers, a name that was known is not served from what was learnt"

CLIENT_SOCKET = "client-socket"
NO_ANSWER = "no answer"  # what the load says when this fault meets one of its questions, by the port it happens to draw

FAULTS = {
    "log-unread": "the status counts no dropped records",
    CLIENT_SOCKET: "connection tracking leads a client's old port to the DNS port of the former process",
    "terminate-idle": "an idle connection delays the end by the whole time for open transfers",
    "foreign-table": "the status says healthy while another program's rules keep all connections from the gateway",
    "address-deleted": "a claimed address that somebody deletes is not claimed again",
    "inside-link": "a claimed IPv6 address is lost with its link and not claimed again",
    "settings": "forwarding that somebody turns on stays on",
    "resolver-silent": _STALE,
    "resolver-servfail": _STALE,
    "resolver-killed": _STALE,
    "descriptors": "neither the start nor the status says that the limit of descriptors is low",
}
