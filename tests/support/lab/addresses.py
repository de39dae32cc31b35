"""Who has which address. Public-looking, because private ones would be refused for being private."""
# SPDX-License-Identifier: GPL-3.0-or-later

import ipaddress

# The agents' network.
AG, AG6 = "10.77.0.10", "fd77::10"
NEIGHBOUR, NEIGHBOUR6 = "10.77.0.11", "fd77::11"
GW, GW6 = "10.77.0.2", "fd77::2"  # the route address that the gateway claims
GW_OWN, GW_OWN6 = "10.77.0.3", "fd77::3"  # the gateway container's own address
BR = "10.77.0.1"

# Outside.
GWUP, GWUP6 = "45.33.32.1", "2600:3c01::1"
AL, AL6 = "45.33.32.10", "2600:3c01::10"  # allowed.test
CDN = "45.33.32.20"  # cdn-allowed.test and cdn-denied.test
WILD, WILD6 = "45.33.32.30", "2600:3c01::30"  # *.wild.test
NS, NS6 = "45.33.32.53", "2600:3c01::53"
RAW = "45.33.32.40"  # raw.wild.test: plain TCP on 443, whatever a test makes of it
SPARE = "45.33.32.41"  # spare.wild.test: for a server that a test starts itself
EV, EV6 = "45.33.32.66", "2600:3c01::66"  # evil.test, denied.test
BLACKHOLE = "45.33.32.99"  # answers ARP, drops everything else

# From these networks DNS takes an address for each denied name, where the machine and the policy leave them free.
DENIED, DENIED6 = ipaddress.ip_network("100.65.0.0/16"), ipaddress.ip_network("fd73:6f6c:6572:1::/64")


def stands_for_denied(addresses):
    """Is this the one address of a denied name?"""
    found = [ipaddress.ip_address(address) for address in addresses]
    return len(found) == 1 and (found[0] in DENIED or found[0] in DENIED6)


def leads_to_refusal(addresses):
    """The same, or the gateway's own: after a flood of denied names."""
    return stands_for_denied(addresses) or list(addresses) in ([GW], [GW6])


POLICY = """\
domains:
  - allowed.test
  - "*.wild.test"
  - cdn-allowed.test
"""
