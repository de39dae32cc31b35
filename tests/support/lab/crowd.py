"""Many connections at once, each with its own first bytes; and a thread of a program that somebody holds."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import ctypes
import errno
import os
import resource
import select
import socket
import threading
import time
from pathlib import Path


@contextlib.contextmanager
def connections(namespace, address, port, firsts):
    """The sockets that got connected, each of which has sent its element of `firsts`."""
    links = []
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with namespace.entered():
        for first in firsts:
            link = socket.socket(family)
            link.setblocking(False)
            if link.connect_ex((address, port)) in (0, errno.EINPROGRESS):
                links.append((link, first))
            else:
                link.close()
    poll = select.poll()
    waiting = {link.fileno(): (link, first) for link, first in links}
    for fd in waiting:
        poll.register(fd, select.POLLOUT)
    end = time.monotonic() + 10
    while waiting and time.monotonic() < end:
        for fd, _ in poll.poll(100):
            poll.unregister(fd)
            link, first = waiting.pop(fd)
            with contextlib.suppress(OSError):
                link.send(first)
    try:
        yield [link for link, _ in links]
    finally:
        for link, _ in links:
            link.close()


def ended(links):
    """How many of them the other side has ended."""
    poll = select.poll()
    for link in links:
        poll.register(link, select.POLLRDHUP)
    return len(poll.poll(0))


def limit_descriptors(pid, count):
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, max(count, 4096)))


def threads_named(pid, name):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            if (task / "comm").read_text().strip() == name:
                found.append(int(task.name))
    return sorted(found)


def thread_cpu_seconds(pid, thread):
    fields = Path(f"/proc/{pid}/task/{thread}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17


@contextlib.contextmanager
def held(thread):
    """One thread of another process stands still meanwhile, whatever it was doing."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    stopped, go, failure = threading.Event(), threading.Event(), []

    def trace():  # one thread does all: the kernel knows the tracer by its thread
        if libc.ptrace(_SEIZE, thread, None, None) != 0 or libc.ptrace(_INTERRUPT, thread, None, None) != 0:
            failure.append(os.strerror(ctypes.get_errno()))
            stopped.set()
            return
        os.waitpid(thread, 0x40000000)  # __WALL
        stopped.set()
        go.wait(30)
        libc.ptrace(_DETACH, thread, None, None)

    tracer = threading.Thread(target=trace, daemon=True)
    tracer.start()
    stopped.wait(5)
    assert not failure, f"cannot hold thread {thread}: {failure[0]}"
    try:
        yield
    finally:
        go.set()
        tracer.join(5)
