"""Faults that are known: the scenario runs and is reported, and does not fail the run. Each with its reason.

Take a line out when the program is mended: the report says "passed; it is listed as an expected fault" then.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

_STALE = "while no resolver answers, a name that was known is not served from what was learnt"

CLIENT_SOCKET = "client-socket"
NO_ANSWER = "no answer"  # what the load says when this fault meets one of its questions, by the port it happens to draw

FAULTS = {
    "log-unread": "the status counts no dropped records",
    "terminate-idle": "an idle connection delays the end by the whole time for open transfers",
    "resolver-silent": _STALE,
    "resolver-servfail": _STALE,
    "resolver-killed": _STALE,
    "descriptors": "neither the start nor the status says that the limit of descriptors is low",
}
