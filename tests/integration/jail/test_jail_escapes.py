"""What a hostile command tries against its jail, as each kind of user; beside each attempt the control that it can work."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time

import pytest

from jail import children, gone, network_namespace, wait_gone
from lab import addresses as at
from lab import wait

threat = pytest.mark.threat

AF_VSOCK, AF_ALG = 40, 38


@pytest.fixture
def canary_stays_in(lab):
    """Nothing but the gateway's own errands leaves, and the attacker hears nothing."""
    capture, ev = lab.capture.mark(), lab.ev.mark()
    yield
    strays = [p for p in lab.capture.outgoing(capture) if p.destination in (at.EV, at.EV6)]
    assert not strays
    assert not lab.ev.since(ev)


@contextlib.contextmanager
def bystander(jail):
    """A process of the jailed user's own, outside: what a debugger of that user could attach to."""
    prefix = jail.command_line()[: jail.command_line().index(jail.program)]
    process = subprocess.Popen([*prefix, "sleep", "600"])
    try:
        wait.until(lambda: open(f"/proc/{process.pid}/comm").read() == "sleep\n", "the bystander")
        yield process.pid
    finally:
        process.kill()
        process.wait()


class TestOtherProcesses:
    def test_the_gateway_and_the_first_process_cannot_be_looked_into(self, any_jail):
        """Process 1 of the jail by its number inside; the gateway and others have none."""
        found = any_jail.call("intrude", 1)
        refused = {"EPERM", "EACCES"}
        assert found.pop("net") in {"open EACCES", "open EPERM"}
        assert found.pop("setns_pidfd") in refused
        assert set(found.pop("pidfd_getfd")) <= refused
        assert set(found.values()) <= refused, found

    def test_processes_outside_have_no_number_inside(self, any_jail):
        with bystander(any_jail) as pid:
            process, line = any_jail.ready("sh", "-c", "echo up; exec sleep 60")
            outside = [pid, process.pid, os.getpid()]
            answers = any_jail.calls(*[("intrude", p) for p in outside], *[("kill", p, signal.SIGKILL) for p in outside])
            for found in answers[:3]:
                assert set(found.pop("pidfd_getfd")) == {"ESRCH"}
                assert found.pop("net") == "open ENOENT"
                assert set(found.values()) <= {"ESRCH", "ENOENT"}, found
            assert answers[3:] == ["ESRCH"] * 3
            assert not gone(pid)
            process.terminate()

    def test_the_same_intrusion_works_where_nothing_forbids_it(self, jail):
        """Control: among processes of one user outside any jail."""
        with bystander(jail) as pid:
            prefix = jail.command_line()[: jail.command_line().index(jail.program)]
            done = subprocess.run([*prefix, *jail.python("intrude", pid)], capture_output=True, text=True, check=True)
        assert '"attach": "ok"' in done.stdout
        assert '"environ": "ok"' in done.stdout

    def test_a_command_can_debug_its_own_children(self, jail):
        script = "sleep 60 & exec /usr/bin/python3 -B " + jail.inside + " intrude [$!]"
        done = jail.run("sh", "-c", script)
        assert '"attach": "ok"' in done.stdout

    def test_the_first_process_outlives_any_signal_from_inside(self, any_jail):
        script = "for s in 1 2 3 9 11 15 19 20; do kill -$s 1; done; echo alive"
        done = any_jail.run("sh", "-c", script)
        assert (done.returncode, done.stdout) == (0, "alive\n")


class TestNamespaces:
    def test_the_hosts_network_cannot_be_entered_by_name(self, any_jail, lab):
        assert any_jail.call("enter_path", f"/run/netns/{lab.up.name}") == "setns EPERM"

    def test_a_namespace_of_ones_own_has_no_cable_at_all(self, any_jail, canary_stays_in):
        found = any_jail.call("new_network")
        assert found["unshare"] == "ok", "sandboxes of browsers and build tools need it"
        assert found["interfaces"] == ["lo"]
        assert found["connect"] == "ENETUNREACH"

    def test_rules_addresses_and_routes_cannot_be_changed(self, any_jail, canary_stays_in):
        attempts = [
            ["nft", "flush", "ruleset"],
            ["nft", "delete", "table", "inet", "soleroute"],
            ["nft", "add", "table", "inet", "mine"],
            ["ip", "link", "set", "lo", "down"],
            ["ip", "address", "add", "10.1.1.1/24", "dev", "lo"],
            ["ip", "address", "del", "100.64.0.1/32", "dev", "lo"],
            ["ip", "route", "replace", "default", "via", "127.0.0.1"],
            ["ip", "link", "add", "d0", "type", "dummy"],
            ["ip", "tuntap", "add", "dev", "t0", "mode", "tun"],
        ]
        attempts += [["unshare", "-Ur", *attempt] for attempt in attempts]
        *answers, refused, asked = any_jail.calls(
            *[("command", *attempt) for attempt in attempts], ("connect", at.EV, 9999), ("ask", "9.9.9.9", "allowed.test")
        )
        for attempt, done in zip(attempts, answers, strict=True):
            assert done["status"] != 0, attempt
            assert "not permitted" in done["err"] or "denied" in done["err"], (attempt, done["err"])
        assert refused["how"] == "ECONNREFUSED"
        assert asked == [at.AL], "the rules stand as before"

    def test_kernel_settings_cannot_be_changed(self, any_jail):
        writes = [
            ("write", "/proc/sys/net/ipv4/ip_forward", "1"),
            ("write", "/proc/sys/net/ipv4/conf/all/route_localnet", "1"),
            ("write", "/proc/sys/kernel/core_pattern", "|/bin/false"),
            ("write", "/proc/sys/kernel/hostname", "x"),
            ("write", "/proc/sysrq-trigger", "h"),
            ("write", "/sys/kernel/uevent_helper", "/bin/false"),
        ]
        for write, how in zip(writes, any_jail.calls(*writes), strict=True):
            assert how in ("EACCES", "EPERM", "EROFS", "ENOENT"), write

    @threat("T020")
    def test_privileged_socket_options_are_refused(self, any_jail):
        assert set(any_jail.call("privileged_socket_options").values()) == {"EPERM"}


class TestSockets:
    def test_families_that_know_no_network_namespace_are_refused(self, any_jail):
        wanted = [socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK]
        refused = [n for n in range(46) if n not in (*wanted, socket.AF_PACKET, AF_ALG)]
        found = any_jail.call("families", [*wanted, *refused, 1000])
        for number in wanted:
            assert "ok" in found[str(number)], number
        for number in [*refused, 1000]:
            assert found[str(number)] == ["EAFNOSUPPORT"], number
        pairs = any_jail.calls(("socketpair_of", AF_VSOCK), ("socketpair_of", socket.AF_UNIX))
        assert pairs == ["EAFNOSUPPORT", "ok"]

    def test_io_uring_makes_no_sockets_past_the_filter(self, any_jail):
        assert any_jail.call("io_uring") == "ENOSYS"

    def test_keyrings_are_absent(self, any_jail):
        """A key that is not there makes the kernel start a program in the machine's own namespaces."""
        outside = subprocess.run(any_jail.python("keyrings"), capture_output=True, text=True, check=True)
        assert "ENOSYS" not in outside.stdout, "control: this kernel has them"
        assert any_jail.call("keyrings") == ["ENOSYS"] * 3

    def test_raw_and_packet_sockets_are_refused(self, any_jail):
        assert set(any_jail.call("raw_sockets").values()) == {"EPERM"}

    @threat("T001")
    @threat("T002")
    @threat("T008")
    def test_everything_but_the_gateways_ports_is_refused_at_once(self, any_jail, canary_stays_in):
        addresses = (at.EV, at.AL, at.EV6)
        connects = [("connect", address, port) for address in addresses for port in (22, 853, 9999)]
        datagrams = [("datagram", address, 443, "CANARY") for address in addresses]
        answers = any_jail.calls(*connects, *datagrams)
        for attempt, found in zip([*connects, *datagrams], answers, strict=True):
            refusals = ("ECONNREFUSED",) if attempt in connects else ("EHOSTUNREACH", "EACCES")
            assert found["how"] in refusals, attempt
            assert found["seconds"] < 1, attempt
        assert any_jail.call("look_up", "allowed.test") == [at.AL]

    @threat("T023")
    def test_multicast_and_broadcast_go_nowhere(self, jail, canary_stays_in):
        *multicast, broadcast = jail.calls(
            ("datagram", "224.0.0.251", 5353, "CANARY", 0.5),
            ("datagram", "239.255.255.250", 1900, "CANARY", 0.5),
            ("datagram", "255.255.255.255", 67, "CANARY", 0.5),
        )
        assert {found["how"] for found in multicast} <= {"timeout", "EPERM", "EHOSTUNREACH"}
        assert broadcast["how"] == "EACCES", "without SO_BROADCAST"


class TestSharedMemory:
    @pytest.fixture
    def segment(self):
        """A System V segment of the machine's, open to every user."""
        libc = ctypes.CDLL(None, use_errno=True)
        key = 0x50000000 | os.getpid()
        number = libc.shmget(key, 4096, 0o1666)  # IPC_CREAT
        assert number >= 0
        yield key
        libc.shmctl(number, 0, None)  # IPC_RMID

    def test_that_of_processes_outside_is_not_there(self, any_jail, segment):
        prefix = any_jail.command_line()[: any_jail.command_line().index(any_jail.program)]
        outside = subprocess.run([*prefix, *any_jail.python("shared_memory", segment)], capture_output=True, text=True, check=True)
        assert outside.stdout.strip() == '"ok"', "control: it is there"
        assert any_jail.call("shared_memory", segment) == "ENOENT"


class TestUnixSockets:
    """A Unix socket leads to a process outside, which may have a network: none is reachable unless it is named."""

    @pytest.fixture
    def served(self, lab, folder):
        """Listening sockets of the host: by path, in a folder with a space, by abstract name, and for datagrams."""
        (folder / "a b").mkdir(mode=0o777)
        with contextlib.ExitStack() as stack, lab.gw.entered():
            found = {}
            for name, kind, address in (
                ("path", socket.SOCK_STREAM, str(folder / "a b/server.sock")),
                ("other", socket.SOCK_SEQPACKET, str(folder / "other.sock")),
                ("datagram", socket.SOCK_DGRAM, str(folder / "log.sock")),
                ("abstract", socket.SOCK_STREAM, f"\0soleroute-{os.getpid()}"),
            ):
                one = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
                one.bind(address)
                if kind != socket.SOCK_DGRAM:
                    one.listen()
                if address[0] == "/":
                    os.chmod(address, 0o777)
                found[name] = address
            yield found

    def test_those_of_the_host_are_hidden(self, any_jail, served):
        assert any_jail.calls(
            ("unix_connect", served["path"]),
            ("unix_connect", served["other"]),
            ("unix_datagram", served["datagram"]),
            ("unix_connect", served["abstract"][1:], True),
        ) == ["ECONNREFUSED"] * 4

    def test_one_that_is_named_stays_reachable(self, any_jail, served, folder):
        (folder / "link").symlink_to(served["path"])
        for name in (served["path"], str(folder / "link")):
            found = any_jail.call("unix_connects", [served["path"], served["other"]], args=["--unix-socket", name])
            assert found == {served["path"]: "ok", served["other"]: "ECONNREFUSED"}

    def test_one_that_is_named_and_not_there_is_an_error(self, jail, folder):
        for name in (folder / "absent.sock", folder / "policy.yaml"):
            done = jail.run("true", args=["--unix-socket", str(name)])
            assert done.returncode == 2
            assert str(name) in done.stderr

    def test_what_hides_them_cannot_be_taken_away(self, any_jail, served):
        found = any_jail.call("unmask", served["path"])
        assert found["detach"] in ("EINVAL", "EPERM")
        assert found["after"] == "ECONNREFUSED"

    def test_the_commands_own_sockets_work(self, any_jail, folder):
        script = (
            "import socket, os; s = socket.socket(socket.AF_UNIX); s.bind('own.sock'); s.listen();"
            "c = socket.socket(socket.AF_UNIX); c.connect('own.sock'); print('ok')"
        )
        assert any_jail.run("/usr/bin/python3", "-c", script).stdout == "ok\n"


class TestTheGatewayDies:
    """Killing the gateway closes the network and ends the command; nothing is left."""

    def test_by_sigkill(self, any_jail, lab):
        process, _ = any_jail.ready("sh", "-c", "setsid sleep 600 & echo up; sleep 600")
        first = children(process.pid)[0]
        inside = wait.until(lambda: len(children(first)) > 1 and children(first) or descendants_of(first, 3), "the command")
        everyone = [first, *inside]
        process.kill()
        wait_gone(everyone)

    def test_a_command_that_kills_its_whole_process_group_ends_its_own_network(self, any_jail):
        process = any_jail.start("/usr/bin/python3", "-c", "import os; os.kill(0, 9)", start_new_session=True)
        assert process.wait(10) == -signal.SIGKILL

    def test_a_stopped_gateway_serves_nothing(self, any_jail, canary_stays_in):
        script = "read line; " + " ".join(any_jail.python("connect", at.EV, 9999)).replace('["', "'[\"").replace("]", "]'")
        process = any_jail.start("sh", "-c", script, stdin=subprocess.PIPE)
        wait.until(lambda: children(process.pid) and children(children(process.pid)[0]), "the command")
        process.send_signal(signal.SIGSTOP)
        process.stdin.write(b"go\n")
        process.stdin.flush()
        time.sleep(0)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=30)
        assert b"ECONNREFUSED" in out


def descendants_of(pid, count):
    found = []
    for child in children(pid):
        found += [child, *descendants_of(child, 0)]
    return found if len(found) >= count else []


@pytest.mark.parametrize("kind", ["user", "sudo"])
def test_set_user_id_programs_give_nothing(jail_of, kind):
    jail = jail_of(kind)
    assert jail.call("become", 0)["setuid"] in ("EPERM", "EINVAL")
    # su would need its set-user-ID bit; the exit status is its own failure.
    assert jail.run("su", "-c", "id", input=b"\n").returncode != 0


def test_the_network_of_the_command_is_not_the_gateways(any_jail):
    process, _ = any_jail.ready("sh", "-c", "echo up; exec sleep 60")
    command = wait.until(lambda: children(children(process.pid)[0]), "the command")[0]
    assert network_namespace(command) != network_namespace(process.pid)
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGTERM


# --- Secrets of the policy ---


def test_the_secrets_directory_is_empty_for_the_command(any_jail, folder):
    secrets = folder / f"secrets-{any_jail.kind}"
    secrets.mkdir(mode=0o700)
    (secrets / "token").write_text("s3cr3t")
    for path in (secrets, secrets / "token"):
        os.chown(path, any_jail.uid, any_jail.uid)
    (secrets / "token").chmod(0o600)
    look = ["sh", "-c", f"ls -A {secrets}; cat {secrets}/token"]
    assert any_jail.run(*look, args=["--secrets-dir", str(secrets)]).stdout == ""
    assert any_jail.run(*look).stdout == "token\ns3cr3t", "the control: it is the command's own user's"
