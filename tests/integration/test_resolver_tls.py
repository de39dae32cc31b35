"""DNS over TLS upstream: verified, kept open, and never in the clear instead."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import socket
import ssl
import struct
import threading

import pytest

from lab import dns_wire as dns
from lab.certificates import Authority
from lab.faulty_resolver import DISCOVERY, ADDRESS, FAULTS, SERVER, FaultyResolver, Query
from test_resolver_faults import Run

NAME = "dns.corp.example"
NAMES = ("one.wild.test", "two.wild.test", "three.wild.test")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


class TlsResolver:
    """Answers on port 853. `plain`: without TLS. `once`: ends each connection after an answer."""

    def __init__(self, namespace, certificate, key, *, plain=False, once=False):
        self.connections = 0
        self.asked = []
        self.used = set()  # client addresses of connections that had a query other than for NAT64
        self._plain, self._once = plain, once
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        with namespace.entered():
            self._listener = socket.create_server((SERVER, 853))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._connection, args=(link,), daemon=True).start()

    def _connection(self, link):
        link.settimeout(10)
        peer = link.getpeername()
        with link, contextlib.suppress(OSError, ssl.SSLError):
            stream = link if self._plain else self._context.wrap_socket(link, server_side=True)
            while raw := dns.read_tcp(stream):
                if dns.parse(raw).name.lower() != DISCOVERY:
                    self.asked.append(raw)
                    self.used.add(peer)
                reply = Query(raw, "tls", 0).reply()
                stream.sendall(struct.pack("!H", len(reply)) + reply)
                if self._once:
                    return


def _in_the_clear(namespace):
    """A resolver on port 53 of the same address, which must hear nothing."""
    return FaultyResolver(namespace, FAULTS["none"])


@pytest.mark.parametrize("server", [f"tls://{SERVER}#{NAME}", f"tls://{SERVER}:853#{NAME}", f"tls://{SERVER}#{NAME}:853"])
def test_names_are_asked_over_one_verified_connection(namespace, gateway_binary, tmp_path, authority, server):
    options = ["--resolver", server, "--trust", authority.certificate]
    names = [f"n{number}.wild.test" for number in range(12)]  # each worker has connections, and so has the search for NAT64
    with TlsResolver(namespace, *authority.issue(NAME)) as resolver, _in_the_clear(namespace) as clear:
        run = Run(namespace, gateway_binary, tmp_path, *names, options=options)
    assert run.addresses() == [[ADDRESS]] * 12
    assert len(resolver.asked) == 12
    assert len(resolver.used) < 12, "connections are kept"
    assert clear.asked == []


def test_without_a_name_the_certificate_must_have_the_address(namespace, gateway_binary, tmp_path, authority):
    options = ["--resolver", f"tls://{SERVER}", "--trust", authority.certificate]
    with TlsResolver(namespace, *authority.issue_odd(NAME, names=f"IP:{SERVER}")):
        run = Run(namespace, gateway_binary, tmp_path, *NAMES, options=options)
    assert run.addresses() == [[ADDRESS]] * 3


def test_a_server_that_ends_each_connection_is_asked_on_new_ones(namespace, gateway_binary, tmp_path, authority):
    options = ["--resolver", f"tls://{SERVER}#{NAME}", "--trust", authority.certificate]
    with TlsResolver(namespace, *authority.issue(NAME), once=True) as resolver:
        run = Run(namespace, gateway_binary, tmp_path, *NAMES, options=options)
    assert run.addresses() == [[ADDRESS]] * 3
    assert len(resolver.used) == 3


def test_a_suffix_may_have_a_server_over_tls(namespace, gateway_binary, tmp_path, authority):
    options = ["--resolver", SERVER, "--resolver", f"corp.wild.test=tls://{SERVER}#{NAME}", "--trust", authority.certificate]
    with TlsResolver(namespace, *authority.issue(NAME)) as resolver, _in_the_clear(namespace) as clear:
        run = Run(namespace, gateway_binary, tmp_path, "git.corp.wild.test", "www.wild.test", options=options)
    assert run.addresses() == [[ADDRESS]] * 2
    assert len(resolver.asked) == 1
    assert {query.name for query in clear.asked} == {"www.wild.test"}


WRONG = {
    "another name": lambda a: {"pair": a.issue("other.corp.example"), "says": "certificate"},
    "another address": lambda a: {"pair": a.issue_odd(NAME, names="IP:127.0.0.54"), "server": f"tls://{SERVER}", "says": "certificate"},
    "a name where the address is expected": lambda a: {"pair": a.issue(NAME), "server": f"tls://{SERVER}", "says": "certificate"},
    "expired": lambda a: {"pair": a.issue_odd(NAME, begin=-9, days=-2), "says": "expired"},
    "signed by a stranger": lambda a: {"pair": a.issue_odd(NAME, issuer="stranger"), "says": "certificate"},
    "no TLS": lambda a: {"pair": a.issue(NAME), "plain": True, "says": "TLS"},
}


@pytest.mark.threat("T052")
@pytest.mark.parametrize("what", WRONG)
def test_a_server_that_is_not_verified_is_asked_nothing(namespace, gateway_binary, tmp_path, authority, what):
    wrong = WRONG[what](authority)
    options = ["--resolver", wrong.get("server", f"tls://{SERVER}#{NAME}"), "--trust", authority.certificate]
    with TlsResolver(namespace, *wrong["pair"], plain=wrong.get("plain", False)) as resolver, _in_the_clear(namespace) as clear:
        run = Run(namespace, gateway_binary, tmp_path, "one.wild.test", options=options)
    assert run.answers[0][:2] == [dns.SERVFAIL, []]
    assert resolver.connections > 0 and resolver.asked == []
    assert clear.asked == [], "never in the clear instead"
    (said,) = run.faults()
    assert said.startswith(f"resolver {SERVER}:853 cannot be asked over TLS: ") and wrong["says"] in said


@pytest.mark.threat("T052")
def test_where_nothing_listens_nothing_is_asked_in_the_clear(namespace, gateway_binary, tmp_path):
    with _in_the_clear(namespace) as clear:
        run = Run(namespace, gateway_binary, tmp_path, "one.wild.test", options=["--resolver", f"tls://{SERVER}#{NAME}"])
    assert run.answers[0][:2] == [dns.SERVFAIL, []]
    assert clear.asked == []
    assert "Connection refused" in run.faults()[0]
