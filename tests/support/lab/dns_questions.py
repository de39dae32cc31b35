"""The agent's questions to the gateway's DNS."""
# SPDX-License-Identifier: GPL-3.0-or-later

import itertools

from lab import addresses as at
from lab import dns_wire as dns

_serial = itertools.count()


def ask(lab, name, qtype=dns.A, **options):
    """What the gateway answers the agent over UDP."""
    with lab.agent.entered():
        return dns.ask(at.GW, dns.question(name, qtype, **options))


def ask_tcp(lab, name, qtype=dns.A):
    with lab.agent.entered():
        return dns.ask_tcp(at.GW, dns.question(name, qtype))


def fresh(case):
    """A name under the allowed wildcard that nobody has asked for yet."""
    return f"n{next(_serial)}-{case.canary}.wild.test"
