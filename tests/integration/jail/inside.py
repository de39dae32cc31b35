"""What a jailed command tries. Each function is one attempt and returns what can be written as JSON.

Run as: python3 inside.py FUNCTION '[ARGUMENTS]'
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import ctypes
import errno
import fcntl
import http.client
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, CLONE_NEWUSER, CLONE_NEWNS = 0x40000000, 0x10000000, 0x00020000
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
TIOCSTI = 0x5412


def _name(error):
    """ "EPERM" and its like, or "ok"."""
    return errno.errorcode.get(error, str(error)) if error else "ok"


def _call(function, *args):
    ctypes.set_errno(0)
    result = function(*args)
    return "ok" if result >= 0 else _name(ctypes.get_errno())


def _tried(function):
    try:
        function()
        return "ok"
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return _name(error.errno)


# --- Who and what this is ---


def state():
    status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return {
        "ids": [os.getresuid(), os.getresgid()],
        "groups": sorted(os.getgroups()),
        "capabilities": {k: int(status[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
        "no_new_privs": int(status["NoNewPrivs"]),
        "seccomp": int(status["Seccomp"]),
        "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if _is_open(int(fd))),
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "umask": os.umask(0),
        "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
        "blocked": sorted(int(s) for s in mask),
        "ignored": int(status["SigIgn"], 16),
        "pid": os.getpid(),
        "pids": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
        "interfaces": [name for _, name in socket.if_nameindex()],
    }


def _is_open(fd):
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
        return "/fd" not in os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return False


def batch(*calls):
    """Several functions, one after the other: [name, argument…] each."""
    return [globals()[name](*args) for name, *args in calls]


# --- Network ---


def get(url, proxy=None):
    handler = urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {})
    try:
        with urllib.request.build_opener(handler).open(url, timeout=10) as answer:
            return {"status": answer.status, "body": answer.read().decode()}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "body": error.read().decode(), "reason": error.headers.get("X-Soleroute-Reason")}
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "body": str(error)}


def get_all(urls):
    return [get(url) for url in urls]


def connect(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    begin = time.monotonic()
    with socket.socket(family, socket.SOCK_STREAM) as link:
        link.settimeout(5)
        how = _tried(lambda: link.connect((address, port)))
    return {"how": how, "seconds": time.monotonic() - begin}


def datagram(address, port, text, wait=5):
    """How a connected datagram socket is told, and after how long."""
    begin = time.monotonic()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.settimeout(wait)

        def attempt():
            link.connect((address, port))
            link.send(text.encode())
            link.recv(2000)

        return {"how": _tried(attempt), "seconds": time.monotonic() - begin}


def _question(name, qtype=1):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!6H", 0x1234, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", qtype, 1)


def ask(server, name, tcp=False):
    """The A records that this server is said to have answered with, or how it failed."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    question = _question(name)
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as link:
        link.settimeout(5)
        try:
            link.connect((server, 53))
            link.sendall(struct.pack("!H", len(question)) + question if tcp else question)
            answer = link.recv(2000)[2 if tcp else 0 :]
        except OSError as error:
            return _name(error.errno)
    rest = answer[len(question) :]
    found = []
    for _ in range(struct.unpack("!H", answer[6:8])[0]):
        kind, _, _, size = struct.unpack("!HHIH", rest[2:12])
        if kind == 1:
            found.append(socket.inet_ntoa(rest[12 : 12 + size]))
        rest = rest[12 + size :]
    return found


def look_up(name):
    try:
        return sorted({entry[4][0] for entry in socket.getaddrinfo(name, 80, proto=socket.IPPROTO_TCP)})
    except socket.gaierror as error:
        return str(error)


def own_service(port):
    """A server of the command's own on loopback, and its client."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        with socket.create_connection(server.getsockname(), timeout=5) as client:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"own")
                return client.recv(10).decode()


def unix_connect(path, abstract=False):
    with socket.socket(socket.AF_UNIX) as link:
        return _tried(lambda: link.connect("\0" + path if abstract else path))


def unix_connects(paths):
    return {path: unix_connect(path) for path in paths}


def unix_datagram(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        return _tried(lambda: link.sendto(b"x", path))


def read(path):
    try:
        return open(path).read()
    except OSError as error:
        return _name(error.errno)


def listing(path):
    try:
        return sorted(os.listdir(path))
    except OSError as error:
        return _name(error.errno)


def write(path, text):
    def attempt():
        with open(path, "w") as file:
            file.write(text)

    return _tried(attempt)


# --- Ways out ---


def families(numbers):
    def make(number, kind):
        socket.socket(number, kind).close()

    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)
    return {str(n): sorted({_tried(lambda n=n, k=k: make(n, k)) for k in kinds}) for n in numbers}


def raw_sockets():
    def make(family, protocol):
        socket.socket(family, socket.SOCK_RAW, protocol).close()

    wanted = {"icmp": (2, 1), "tcp": (2, 6), "raw": (2, 255), "icmp6": (10, 58), "packet": (17, socket.htons(3))}
    return {name: _tried(lambda w=w: make(*w)) for name, w in wanted.items()}


def socketpair_of(number):
    pair = (ctypes.c_int * 2)()
    return _call(libc.socketpair, number, socket.SOCK_STREAM, 0, pair)


def io_uring():
    params = ctypes.create_string_buffer(120)
    return _call(libc.syscall, ctypes.c_long(425), ctypes.c_uint(4), params)


def keyrings():
    """add_key, request_key and keyctl, by x86-64's or arm64's numbers."""
    first = {"x86_64": 248, "aarch64": 217}[os.uname().machine]
    return [_call(libc.syscall, ctypes.c_long(first + i), b"user", b"soleroute-test", None, 0, 0) for i in range(3)]


def shared_memory(key):
    """Whether a System V segment of this key is found."""
    return _call(libc.shmget, key, 0, 0)


def privileged_socket_options():
    found = {}
    for label, level, option in (("SO_MARK", socket.SOL_SOCKET, 36), ("IP_TRANSPARENT", socket.SOL_IP, 19),
                                 ("SO_RCVBUFFORCE", socket.SOL_SOCKET, 33)):  # fmt: skip
        with socket.socket() as link:
            found[label] = _tried(lambda link=link, level=level, option=option: link.setsockopt(level, option, 1))
    return found


def command(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return {"status": done.returncode, "out": done.stdout, "err": done.stderr}


def commands(*lists):
    return [command(*argv) for argv in lists]


def enter_network_of(pid):
    """Opens the network namespace of a process and enters it."""
    try:
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    except OSError as error:
        return "open " + _name(error.errno)
    return "setns " + _call(libc.setns, fd, CLONE_NEWNET)


def enter_path(path):
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError as error:
        return "open " + _name(error.errno)
    return "setns " + _call(libc.setns, fd, CLONE_NEWNET)


def intrude(pid):
    """Everything that a process of the same user might do to another."""
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    found = {
        "attach": _call(libc.ptrace, PTRACE_ATTACH, pid, None, None),
        "seize": _call(libc.ptrace, PTRACE_SEIZE, pid, None, None),
        "mem": _tried(lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))),
        "environ": _tried(lambda: open(f"/proc/{pid}/environ", "rb").read()),
        "maps": _tried(lambda: open(f"/proc/{pid}/maps").read()),
        "fd": _tried(lambda: [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(16)]),
        "root": _tried(lambda: os.listdir(f"/proc/{pid}/root/")),
        "cwd": _tried(lambda: os.listdir(f"/proc/{pid}/cwd/")),
        "net": enter_network_of(pid),
    }
    try:
        pidfd = os.pidfd_open(pid)
        found["setns_pidfd"] = _call(libc.setns, pidfd, CLONE_NEWNET)
        found["pidfd_getfd"] = [_call(libc.syscall, ctypes.c_long(438), pidfd, fd, 0) for fd in range(16)]
    except OSError as error:
        found["setns_pidfd"] = _name(error.errno)
        found["pidfd_getfd"] = [_name(error.errno)]
    one, two = struct.pack("PN", 0, 8), struct.pack("PN", 4096, 8)
    found["vm_read"] = _call(libc.syscall, ctypes.c_long(310), pid, one, ctypes.c_ulong(1), two, ctypes.c_ulong(1),
                             ctypes.c_ulong(0))  # fmt: skip
    return found


def kill(pid, number):
    return _tried(lambda: os.kill(pid, number))


def new_network():
    """A further namespace of one's own: what can be seen and reached from there."""
    flags = _call(libc.unshare, CLONE_NEWUSER | CLONE_NEWNET)
    return {"unshare": flags, "interfaces": [name for _, name in socket.if_nameindex()],
            "connect": connect("45.33.32.66", 443)["how"]}  # fmt: skip


def unmask(path):
    """In a mount namespace of one's own, what a mount hides must not come to light."""
    uid, gid = os.getuid(), os.getgid()
    how = _call(libc.unshare, CLONE_NEWUSER | CLONE_NEWNS)
    if how != "ok":
        return how
    open("/proc/self/setgroups", "w").write("deny")
    open("/proc/self/uid_map", "w").write(f"0 {uid} 1")
    open("/proc/self/gid_map", "w").write(f"0 {gid} 1")
    libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
    return {"detach": _call(libc.umount2, path.encode(), 2), "after": unix_connect(path)}


def inject_keystrokes():
    found = {}
    for request in (TIOCSTI, TIOCSTI | 1 << 32):
        found[hex(request)] = _call(libc.ioctl, 0, ctypes.c_ulong(request), ctypes.c_char_p(b"x"))
    return found


def become(uid):
    return {"setuid": _tried(lambda: os.setuid(uid)), "sudo": os.access("/usr/bin/su", os.X_OK)}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*json.loads(sys.argv[2]))), flush=True)
