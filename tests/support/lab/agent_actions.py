"""What an agent tries: each function is one network action and says how it ended. Run by agent.py in a namespace."""
# SPDX-License-Identifier: GPL-3.0-or-later

import errno
import os
import pickle
import select
import socket
import struct
import subprocess
import sys
import time
import traceback

_ERRORS = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "prohibited",
    errno.ENETUNREACH: "unreachable",
    errno.EACCES: "prohibited",
    errno.EPERM: "not permitted",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
}


def _ending(error):
    if isinstance(error, (socket.timeout, TimeoutError)):
        return "timeout"
    return _ERRORS.get(error.errno, errno.errorcode.get(error.errno, str(error)))


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _target(address, port):
    """The socket address; of "fe80::1%eth0" with its scope."""
    address, _, interface = address.partition("%")
    return (address, port, 0, socket.if_nametoindex(interface)) if interface else (address, port)


def identity():
    status = dict(line.split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
    return os.getuid(), int(status["CapEff"], 16)


def tcp(address, port, data=b"", wait=3.0, options=(), source_port=0):
    """Connects, sends, reads to the end: (how it ended, answer, seconds). `options`: (level, name, value)."""
    begin = time.monotonic()
    answer, how = b"", "fin"
    with socket.socket(_family(address), socket.SOCK_STREAM) as link:
        link.settimeout(wait)
        try:
            for option in options:
                link.setsockopt(*option)
            if source_port:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                link.bind(("", source_port))
            link.connect((address, port))
        except OSError as error:
            return _ending(error), b"", time.monotonic() - begin
        try:
            link.sendall(data)
            while more := link.recv(65536):
                answer += more
        except OSError as error:
            how = _ending(error)
    return how, answer, time.monotonic() - begin


def tcp_scan(address, ports, wait=1.0):
    """{port: how} for every port that does not refuse; all at once, non-blocking."""
    result, pending = {}, {}
    poll = select.poll()
    for port in ports:
        link = socket.socket(_family(address), socket.SOCK_STREAM)
        link.setblocking(False)
        code = link.connect_ex(_target(address, port))
        if code not in (0, errno.EINPROGRESS):
            result[port] = _ERRORS.get(code, str(code))
            link.close()
            continue
        pending[link.fileno()] = (port, link)
        poll.register(link, select.POLLOUT)
        if len(pending) >= 512:
            _collect(poll, pending, result, wait)
    _collect(poll, pending, result, wait)
    return {port: how for port, how in result.items() if how != "refused"}


def _collect(poll, pending, result, wait):
    end = time.monotonic() + wait
    while pending and time.monotonic() < end:
        for fd, _ in poll.poll(max(1, (end - time.monotonic()) * 1000)):
            port, link = pending.pop(fd)
            poll.unregister(fd)
            code = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            result[port] = "open" if code == 0 else _ERRORS.get(code, str(code))
            link.close()
    for fd, (port, link) in list(pending.items()):
        poll.unregister(fd)
        result[port] = "silent"
        link.close()
    pending.clear()


def udp_from(source, source_port, address, port, data=b"x", wait=0.5):
    """Sends a datagram from an address that need not be one of this machine (IPV6_FREEBIND): (how, answer)."""
    freebind = 78  # linux/in6.h
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as link:
        link.settimeout(wait)
        link.setsockopt(socket.IPPROTO_IPV6, freebind, 1)
        link.bind((source, source_port))
        try:
            link.sendto(data, (address, port))
            return "answer", link.recv(65536)
        except OSError as error:
            return _ending(error), b""


def from_foreign_v4(source, address, port):
    """A datagram and a connection from an address that need not be one of this machine (IP_FREEBIND): "sent", "not sent"."""
    freebind = 15  # linux/in.h
    sent = "not sent"
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as link:
            link.settimeout(0.2)
            link.setsockopt(socket.IPPROTO_IP, freebind, 1)
            link.bind((source, 0))
            try:
                link.connect((address, port))
                link.send(b"x")
                sent = "sent"
            except OSError:
                pass
    return sent


def udp(address, port, data, wait=0.5, source_port=0, options=(), count=1):
    """Sends datagrams and waits for an answer or an ICMP error: (how, answer)."""
    with socket.socket(_family(address), socket.SOCK_DGRAM) as link:
        link.settimeout(wait)
        try:
            for option in options:
                link.setsockopt(*option)
            if source_port:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                link.bind(("", source_port))
            link.connect((address, port))
            for _ in range(count):
                link.send(data)
            return "answered", link.recv(65535)
        except OSError as error:
            return _ending(error), b""


def udp_spray(targets, data):
    """One datagram to each (address, port), not waiting for anything: how many could be sent."""
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for target in targets:
            try:
                link.sendto(data, tuple(target))
                sent += 1
            except OSError:
                pass
    return sent


def multicast(address, port, data):
    family = _family(address)
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if family == socket.AF_INET6:
            target = (address, port, 0, socket.if_nametoindex("eth0"))
        else:
            link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
            target = (address, port)
        try:
            link.sendto(data, target)
        except OSError as error:
            return _ending(error)
    return "sent"


def ping(address, data, count=1, wait=0.5):
    """Echo requests from an unprivileged ping socket: (how, answers)."""
    v6 = ":" in address
    protocol = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    kind = 128 if v6 else 8
    answers = 0
    with socket.socket(_family(address), socket.SOCK_DGRAM, protocol) as link:
        link.settimeout(wait)
        try:
            link.connect((address, 0))
            for number in range(count):
                link.send(struct.pack("!BBHHH", kind, 0, 0, 0, number) + data)
            while link.recv(65535):
                answers += 1
                if answers == count:
                    break
        except OSError as error:
            return ("answered" if answers else _ending(error)), answers
    return "answered", answers


def raw_ip(packet, destination, count=1):
    """A packet with its own IP header, as given."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as link:
            for _ in range(count):
                link.sendto(packet, (destination, 0))
    except OSError as error:
        return _ending(error)
    return "sent"


def frame(destination_mac, ethertype, payloads, source_mac=None, interface="eth0"):
    """Layer 2 frames, as given: what only CAP_NET_RAW can do."""
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
            link.bind((interface, 0))
            own = source_mac or open(f"/sys/class/net/{interface}/address").read().strip()
            head = _mac(destination_mac) + _mac(own) + struct.pack("!H", ethertype)
            for payload in payloads:
                link.send(head + payload)
    except OSError as error:
        return _ending(error)
    return "sent"


def _mac(text):
    return bytes.fromhex(text.replace(":", ""))


def socket_of(family, kind, protocol, address=None, port=0):
    """Opens a socket of any sort and connects it: how it ended."""
    try:
        with socket.socket(family, kind, protocol) as link:
            link.settimeout(0.5)
            if address:
                link.connect((address, port))
    except OSError as error:
        return _ending(error)
    return "connected"


def neighbour_mac(address):
    """The link-layer address that the kernel has for a neighbour."""
    for _ in range(2):
        text = subprocess.run(["ip", "neigh", "show", address], capture_output=True, text=True, check=False).stdout
        if "lladdr" in text:
            return text.split("lladdr ")[1].split()[0]
        udp(address, 9, b"", wait=0.2)
    return ""


def fast_open(address, port, data, wait=3.0):
    """TCP with the data in the SYN, where the kernel has a cookie; otherwise the kernel falls back."""
    with socket.socket(_family(address), socket.SOCK_STREAM) as link:
        limit = struct.pack("ll", int(wait), 0)  # blocking, or the SYN would only be begun
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        answer = b""
        try:
            link.sendto(data, socket.MSG_FASTOPEN, (address, port))
            while more := link.recv(65536):
                answer += more
        except OSError as error:
            return _ending(error), answer
    return "fin", answer


def tcp_pieces(address, port, pieces, wait=3.0):
    """Connects and sends each piece: bytes, or ("oob", byte): (how, answer)."""
    answer = b""
    with socket.create_connection((address, port), timeout=wait) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                if isinstance(piece, tuple):
                    link.send(piece[1], socket.MSG_OOB)
                else:
                    link.sendall(piece)
            while more := link.recv(65536):
                answer += more
        except OSError as error:
            return _ending(error), answer
    return "fin", answer


def run(command, timeout=20, environment=None):
    """A program: (exit status, output and errors); as in a shell 127 when there is no such program, 126 when it may not be run."""
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=timeout, check=False, env={**os.environ, **(environment or {})}
        )
    except FileNotFoundError as error:
        return 127, str(error).encode()
    except PermissionError as error:
        return 126, str(error).encode()
    return done.returncode, done.stdout + done.stderr


def hammer(address, tcp_port, udp_port, data, seconds):
    """Connects and sends without pause for a while: how many of each were tried."""
    end = time.monotonic() + seconds
    connects = datagrams = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setblocking(False)
        while time.monotonic() < end:
            for _ in range(5):
                try:
                    link.sendto(data, (address, udp_port))
                except OSError:
                    pass
                datagrams += 1
            attempt = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            attempt.setblocking(False)
            attempt.connect_ex((address, tcp_port))
            select.select([], [attempt], [], 0.01)
            try:
                attempt.send(data)
            except OSError:
                pass
            attempt.close()
            connects += 1
    return connects, datagrams


def _serve():
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while len(head := stdin.read(4)) == 4:
        name, args, named = pickle.loads(stdin.read(struct.unpack("!I", head)[0]))
        try:
            answer = True, globals()[name](*args, **named)
        except Exception:  # pylint: disable=broad-except
            answer = False, traceback.format_exc()
        message = pickle.dumps(answer)
        stdout.write(struct.pack("!I", len(message)) + message)
        stdout.flush()


if __name__ == "__main__":
    _serve()
