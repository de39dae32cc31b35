"""Faults of the gateway's own network: links, addresses, routes, settings and rules that somebody else changes."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import time

from lab import addresses as at
from lab import wait, web
from scenario import scenario

_RESTORED = 5.0  # seconds until what the gateway keeps is as it should be
_NOTICED = 10.0  # seconds until the status tells what the gateway cannot mend
_SETTINGS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.all.accept_source_route": "1",
    "net.ipv4.conf.all.send_redirects": "1",
    "net.ipv4.conf.all.accept_redirects": "1",
}
_FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")


def _has(world, address, interface="ag0"):
    return f" {address}/" in world.lab.gw.ip("address", "show", "dev", interface)


def _both_families(world, row, begin):
    """An allowed request passes over the claimed address of each family."""
    row.took("allowed", world.until_allowed(begin, _RESTORED * 2), _RESTORED * 2)
    row.took("allowed over IPv6", world.until_allowed(begin, _RESTORED * 2, server=at.GW6, address=at.AL6), _RESTORED * 2)


@scenario("rules-flushed", "`nft flush ruleset` by another program", repeats=3, short=1)
def rules_flushed(world, row):
    """T203"""
    _rules_removed(world, row, "flush ruleset")


@scenario("table-deleted", "the gateway's nftables table is deleted", repeats=3)
def table_deleted(world, row):
    """T203"""
    _rules_removed(world, row, "delete table inet soleroute")


def _rules_removed(world, row, command):
    rules = world.rules()
    begin = time.monotonic()
    world.lab.gw.nft(command)
    wait.until(lambda: world.rules() == rules, "the rules to be back", _RESTORED, step=0.02)
    row.took("rules back", time.monotonic() - begin, _RESTORED)
    row.took("allowed", world.until_allowed(begin), _RESTORED)
    wait.until(world.gateway.healthy, "health", _RESTORED)


@scenario("foreign-table", "another program's table takes connections out of connection tracking, then goes", repeats=2)
def foreign_table(world, row):
    """T203: the gateway's rules are whole and yet cannot work; it must not say that it is healthy."""
    begin = time.monotonic()
    with world.block_inside("foreign", "prerouting", -310, 'iifname "ag0" meta l4proto tcp notrack'):
        assert not world.try_allowed(), "nothing passes"
        wait.until(lambda: not world.gateway.healthy(), "the status to say so", _NOTICED, step=0.02)
        row.took("unhealthy", time.monotonic() - begin, _NOTICED)
        begin = time.monotonic()
    row.took("allowed", world.until_allowed(begin), _RESTORED)
    wait.until(world.gateway.healthy, "health", _NOTICED, step=0.02)
    row.took("healthy", time.monotonic() - begin, _NOTICED)


@scenario("address-deleted", "the claimed addresses are deleted, the agents forget them", repeats=2, short=1)
def address_deleted(world, row):
    """T204"""
    begin = time.monotonic()
    world.lab.gw.ip("address", "del", f"{at.GW}/24", "dev", "ag0")
    world.lab.gw.ip("address", "del", f"{at.GW6}/64", "dev", "ag0")
    world.lab.forget_neighbours()
    wait.until(lambda: _has(world, at.GW) and _has(world, at.GW6), "the claimed addresses to be back", _RESTORED, step=0.02)
    row.took("addresses back", time.monotonic() - begin, _RESTORED)
    world.lab.forget_neighbours()
    _both_families(world, row, begin)
    wait.until(world.gateway.healthy, "health", _RESTORED)


@scenario("inside-link", "the interface of the agents' side goes down and up", repeats=2, short=1)
def inside_link(world, row):
    """T204"""
    world.lab.gw.ip("link", "set", "ag0", "down")
    try:
        assert not world.try_allowed()
    finally:
        begin = time.monotonic()
        world.lab.gw.ip("link", "set", "ag0", "up")
        world.lab.gw.run("ip", "address", "add", f"{at.GW_OWN6}/64", "dev", "ag0", "nodad", check=False)  # as an engine does
    world.lab.forget_neighbours()
    row.took("allowed", world.until_allowed(begin, _RESTORED * 2), _RESTORED * 2)
    wait.until(lambda: _has(world, at.GW6), "the claimed IPv6 address to be back", _RESTORED, step=0.02)
    world.lab.forget_neighbours()
    row.took("allowed over IPv6", world.until_allowed(begin, _RESTORED * 2, server=at.GW6, address=at.AL6), _RESTORED * 2)
    wait.until(world.gateway.healthy, "health", _RESTORED)


@scenario("cable", "the agents' network loses the gateway's port, and gets it back", repeats=2)
def cable(world, row):
    """T204"""
    port = world.lab.switch.ip("-o", "link", "show", "type", "veth").splitlines()[-1].split(":")[1].split("@")[0].strip()
    world.lab.switch.ip("link", "set", port, "down")
    try:
        assert not world.try_allowed(), f"{port} is the gateway's"
    finally:
        begin = time.monotonic()
        world.lab.switch.ip("link", "set", port, "up")
    _both_families(world, row, begin)


@scenario("uplink", "the interface of the outside goes down and up, its addresses and routes are restored", repeats=2, short=1)
def uplink(world, row):
    """T204"""
    world.lab.gw.ip("link", "set", "up0", "down")
    try:
        assert not world.try_allowed()
    finally:
        world.lab.gw.ip("link", "set", "up0", "up")
        world.put_back_outside()
    row.took("allowed", world.until_allowed(time.monotonic()), _RESTORED)
    wait.until(world.gateway.healthy, "health", _RESTORED)


@scenario("outside-route", "the routes to the outside are deleted and restored", repeats=2, short=1)
def outside_route(world, row):
    """T205"""
    gw = world.lab.gw
    gw.ip("route", "del", "default")
    gw.ip("route", "del", "45.33.32.0/24", "dev", "up0")
    try:
        assert not world.try_allowed()
    finally:
        world.put_back_outside()
    row.took("allowed", world.until_allowed(time.monotonic()), _RESTORED)


@scenario("inside-route", "the route to the agents is deleted during a download, and restored", repeats=2, short=1)
def inside_route(world, row):
    """T205: what is for agents must not leave by the other interface, in clear."""
    gw = world.lab.gw
    with web.connected(world.lab.agent, at.AL, 80) as link:
        link.sendall(web.request_bytes("allowed.test", f"/bytes/{64 << 20}"))
        assert link.recv(1) == b"H", "a download is under way"
        gw.ip("route", "del", "10.77.0.0/24", "dev", "ag0")
        # Answers to the agents have no way but the default route now, unless the gateway keeps them from it.
        _read_for(link, 1.0)
    begin = time.monotonic()
    # As whoever deleted it would put it back; no error where the gateway has done so.
    gw.run("ip", "route", "replace", "10.77.0.0/24", "dev", "ag0", "src", at.GW_OWN)
    row.took("allowed", world.until_allowed(begin), _RESTORED)


def _read_for(link, seconds):
    """Reads what comes, to the end of the stream or of the time."""
    end = time.monotonic() + seconds
    link.settimeout(seconds)
    with contextlib.suppress(OSError):
        while time.monotonic() < end and link.recv(65536):
            pass


@scenario("settings", "forwarding and other settings are turned on; once reset, the ruleset is flushed", repeats=2, short=1)
def settings(world, row):
    """T206"""
    for key, value in _SETTINGS.items():
        world.lab.gw.sysctl(key, value)
    begin = time.monotonic()
    try:
        wait.until(lambda: all(world.lab.gw.sysctl(key) == "0" for key in _FORWARDING), "forwarding to be off again", _RESTORED, step=0.02)
        row.took("reset", time.monotonic() - begin, _RESTORED)
        _rules_removed(world, row, "flush ruleset")
    finally:
        for key in _FORWARDING:
            world.lab.gw.sysctl(key, 0)
