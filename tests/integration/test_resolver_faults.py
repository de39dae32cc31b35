"""Resolvers with faults that people have: the gateway answers what the C library does, the second question quickly."""
# SPDX-License-Identifier: GPL-3.0-or-later

import itertools
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lab import addresses as at
from lab import dns_wire as dns
from lab import page_examples
from lab.faulty_resolver import ADDRESS, EVIL, FAULTS, GONE, SERVER, Fault, FaultyResolver, Query

SUPPORT = Path(__file__).resolve().parents[1] / "support"
POLICY = 'domains: ["*.wild.test"]\n'
# Asks one name after the other and prints what came, and after how long.
ASK = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from lab import dns_wire as dns
out = []
for name in sys.argv[2:]:
    begin = time.monotonic()
    answer = dns.ask("192.0.2.53", dns.question(name), timeout=8)
    out.append([answer.rcode, answer.addresses(), time.monotonic() - begin] if answer else [None, [], 8])
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def namespace(namespace):
    """One where the C library asks the resolver."""
    namespace.ip("address", "add", "10.9.9.1/32", "dev", "lo")  # without one, the C library asks for no IPv4 address
    namespace.etc("resolv.conf", f"nameserver {SERVER}\noptions timeout:2 attempts:1\n")
    return namespace


class Run:
    """`gateway run` with a resolver, asked for names."""

    def __init__(self, namespace, binary, folder, *names, options=("--resolver", SERVER)):
        policy, decisions = folder / "policy.yaml", folder / "decisions.jsonl"
        policy.write_text(POLICY)
        done = subprocess.run(
            namespace.command(binary, "run", *options, "--policy", policy, "--decisions", decisions, "-q",
                              "--", sys.executable, "-B", "-c", ASK, SUPPORT, *names),
            capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.answers = json.loads(done.stdout)
        self.log = [json.loads(line) for line in decisions.read_text().splitlines()]

    def addresses(self):
        return [addresses for _, addresses, _ in self.answers]

    def faults(self):
        return [record["detail"] for record in self.log if record.get("event") == "resolver"]


def _by_libc(namespace, name):
    done = namespace.run("getent", "ahostsv4", name, check=False, timeout=10)
    return sorted({line.split()[0] for line in done.stdout.splitlines()})


@pytest.mark.parametrize("what", FAULTS)
def test_a_faulty_resolver_is_asked_as_it_can_be(namespace, gateway_binary, tmp_path, what):
    fault = FAULTS[what]
    with FaultyResolver(namespace, fault):
        run = Run(namespace, gateway_binary, tmp_path, "one.wild.test", "two.wild.test", "three.wild.test", f"{GONE}.wild.test")
        if fault.libc:
            assert _by_libc(namespace, "one.wild.test") == [ADDRESS], "the control: what the C library makes of it"
    assert run.addresses() == [[ADDRESS]] * 3 + [[]], run.answers
    assert [rcode for rcode, _, _ in run.answers] == [dns.NOERROR] * 3 + [dns.NXDOMAIN]
    assert run.answers[2][2] < 0.5, "what the resolver cannot do is remembered"
    said = run.faults()
    if not what.startswith("silence"):  # that is certain 2 s later
        assert any(fault.says in line for line in said) or not fault.says, said
    assert all(line.startswith(f"resolver {SERVER} ") for line in said)
    assert len(said) == len(set(said)), "each fault once"
    if what == "none":
        assert said == []


# --- None of this lets a forger in ---

_other = itertools.count(1)


def _disagreeing(query):
    """A forger who cannot see the question: letter case lost, and another address each time."""
    forged = query.reply(dns.a(f"45.33.40.{next(_other) % 250 + 1}") if query.records() else None)
    return [forged[:12] + forged[12:].lower()]


def _forged_first(query):
    if query.transport == "tcp":
        return [query.reply()]
    forged = query.reply(dns.a(EVIL) if query.records() else None)
    return [forged[:12] + forged[12 : dns.question_end(forged)].lower() + forged[dns.question_end(forged) :], query.reply()]


@pytest.mark.threat("T052")
@pytest.mark.parametrize("tcp", ["refused", "closes", "silent"])
def test_answers_without_the_letter_case_that_disagree_are_not_believed(namespace, gateway_binary, tmp_path, tcp):
    with FaultyResolver(namespace, Fault(_disagreeing, tcp=tcp)):
        run = Run(namespace, gateway_binary, tmp_path, "quite-a-long-name-with-many-letters.wild.test")
    assert run.answers[0][:2] == [dns.SERVFAIL, []]


@pytest.mark.threat("T052")
@pytest.mark.parametrize("tcp", ["answers", "refused"])
def test_one_forged_answer_before_the_true_one_is_not_believed(namespace, gateway_binary, tmp_path, tcp):
    names = [f"quite-a-long-name-with-many-letters-{i}.wild.test" for i in range(3)]
    with FaultyResolver(namespace, Fault(_forged_first, tcp=tcp)):
        run = Run(namespace, gateway_binary, tmp_path, *names)
    assert all(EVIL not in addresses for addresses in run.addresses()), run.answers


def _loop(query):
    other = {"a": "b", "b": "a"}.get(query.name[:1], "a")
    return [query.reply([dns.cname(f"{other}.wild.test", ttl=60)])] if query.records() else [query.reply()]


def _endless(query):
    number = int(query.name[3 : query.name.index(".")]) + 1 if query.name.startswith("hop") else 0
    return [query.reply([dns.cname(f"hop{number}.cdn.example", ttl=60)])] if query.records() else [query.reply()]


@pytest.mark.threat("T042")
@pytest.mark.parametrize(("endless", "most"), [(_loop, 4), (_endless, 40)])
def test_a_chain_without_an_end_ends(namespace, gateway_binary, tmp_path, endless, most):
    with FaultyResolver(namespace, Fault(endless)) as resolver:
        run = Run(namespace, gateway_binary, tmp_path, "start.wild.test")
    assert run.answers[0][:2] == [dns.SERVFAIL, []]
    assert len(resolver.asked) <= most


@pytest.mark.threat("T042")
@pytest.mark.parametrize("target", ["gateway.internal", "localhost", "x.onion", "use-application-dns.net"])
def test_an_alias_leads_to_no_name_that_is_never_asked(namespace, gateway_binary, tmp_path, target):
    fault = Fault(lambda q: [q.reply([dns.cname(target)]) if q.name.startswith("alias") else q.reply()])
    with FaultyResolver(namespace, fault) as resolver:
        run = Run(namespace, gateway_binary, tmp_path, "alias.wild.test", "plain.wild.test")
    assert run.addresses() == [[], [ADDRESS]]
    assert target not in {query.name for query in resolver.asked}


# --- Resolvers by suffix ---


@pytest.mark.threat("T034")
def test_names_below_a_suffix_go_to_its_resolver_alone(namespace, gateway_binary, tmp_path):
    corp = Fault(lambda q: [q.reply(dns.a("45.33.32.11") if q.records() else None)])
    options = ["--resolver", SERVER, "--resolver", "corp.wild.test=127.0.1.1", "--resolver", "lab.corp.wild.test=127.0.1.2"]
    inside = [FaultyResolver(namespace, corp, "127.0.1.1"), FaultyResolver(namespace, corp, "127.0.1.2")]
    outside = FaultyResolver(namespace, FAULTS["none"])
    with inside[0], inside[1], outside:
        run = Run(namespace, gateway_binary, tmp_path, "www.wild.test", "git.corp.wild.test", "corp.wild.test",
                  "x.lab.corp.wild.test", "notcorp.wild.test", options=options)  # fmt: skip
    assert run.addresses() == [[ADDRESS], ["45.33.32.11"], ["45.33.32.11"], ["45.33.32.11"], [ADDRESS]]
    assert {q.name for q in outside.asked} == {"www.wild.test", "notcorp.wild.test"}
    assert {q.name for q in inside[0].asked} == {"git.corp.wild.test", "corp.wild.test"}
    assert {q.name for q in inside[1].asked} == {"x.lab.corp.wild.test"}


@pytest.mark.threat("T042")
def test_a_public_alias_looks_nothing_up_inside_a_suffix(namespace, gateway_binary, tmp_path):
    outside = Fault(lambda q: [q.reply([dns.cname("secret.corp.wild.test")]) if q.name.startswith("alias") else q.reply()])
    options = ["--resolver", SERVER, "--resolver", "corp.wild.test=127.0.1.1"]
    with FaultyResolver(namespace, FAULTS["none"], "127.0.1.1") as inside, FaultyResolver(namespace, outside):
        run = Run(namespace, gateway_binary, tmp_path, "alias.wild.test", "git.corp.wild.test", options=options)
    assert run.addresses() == [[], [ADDRESS]]
    assert {q.name for q in inside.asked} == {"git.corp.wild.test"}


def test_a_suffix_whose_resolver_is_silent_is_asked_of_no_other(namespace, gateway_binary, tmp_path):
    options = ["--resolver", SERVER, "--resolver", "corp.wild.test=127.0.1.1"]
    with FaultyResolver(namespace, FAULTS["none"]) as outside:
        run = Run(namespace, gateway_binary, tmp_path, "git.corp.wild.test", "www.wild.test", options=options)
    assert run.answers[0][:2] == [dns.SERVFAIL, []]
    assert run.addresses()[1] == [ADDRESS]
    assert {q.name for q in outside.asked} == {"www.wild.test"}


def test_the_page_of_split_dns_works_as_it_is_written(namespace, gateway_binary, tmp_path):
    (tmp_path / "policy.yaml").write_text(page_examples.block("docs/networks.md", "VPN and split DNS"))
    (command,) = page_examples.commands("docs/networks.md", "VPN and split DNS")
    program, *arguments = shlex.split(command)
    assert program == "gateway"
    corp = Fault(lambda q: [q.reply(dns.a("10.20.0.5") if q.records() else None)])
    with FaultyResolver(namespace, corp, "127.0.1.1"), FaultyResolver(namespace, FAULTS["none"]) as others:
        done = namespace.run(gateway_binary, *arguments, cwd=tmp_path, timeout=30, check=False)
    assert done.stdout.split()[:1] == ["10.20.0.5"], done.stderr
    assert others.asked == [], "the name goes to the resolver of its suffix alone"


# --- The doctor names the fault too ---


@pytest.mark.parametrize("what", ["FORMERR to EDNS", "silence to EDNS", "lower case, no TCP", "bytes after the message", "none"])
def test_the_doctor_names_the_fault(namespace, gateway_binary, what):
    with FaultyResolver(namespace, FAULTS[what]):
        done = namespace.run(gateway_binary, "doctor", "--in", "gateway", "--resolver", SERVER, check=False, timeout=30)
    assert f"ok       resolver {SERVER}:53 answers" in done.stdout, done.stdout
    named = [line for line in done.stdout.splitlines() if line.startswith(f"note     resolver {SERVER} ")]
    assert (what == "none") == (named == []), done.stdout
    assert FAULTS[what].says in "\n".join(named)


def test_the_status_lists_the_fault(lab, make_gateway):
    gateway = make_gateway().start()
    assert gateway.status()["warnings"] == [], "the control"
    lab.dns.script("status.wild.test", lambda q: FAULTS["FORMERR to EDNS"].answer(Query(q.raw, q.transport, 0)))
    with lab.agent.entered():
        answer = dns.ask(at.GW, dns.question("status.wild.test"))
    assert answer.addresses() == [ADDRESS]
    assert gateway.status()["warnings"] == [f"resolver {at.NS} answers FORMERR to EDNS: asked without it"]
