"""What an agent tries, as Python source that runs in its container with nothing but the standard library.

Each takes its targets as one JSON argument and prints what happened as JSON.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

# [[host, port, canary], …] -> ["connected" | "refused" | "timeout" | name of the error, …]
TCP = """
import concurrent.futures, json, socket, sys
def one(host, port, canary):
    try:
        with socket.create_connection((host, port), timeout=3) as link:
            link.sendall(canary.encode())
            return "connected"
    except (ConnectionRefusedError, ConnectionResetError):
        return "refused"
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return type(error).__name__ + str(error.errno)
targets = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(targets)) as at_once:
    print(json.dumps(list(at_once.map(lambda target: one(*target), targets))))
"""

# The same over UDP: "answered", "silence", or the error that came back.
UDP = """
import json, socket, sys
def one(host, port, canary):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.settimeout(0.5)
        try:
            link.connect((host, port))
            link.send(canary.encode())
            link.recv(2000)
            return "answered"
        except TimeoutError:
            return "silence"
        except OSError as error:
            return type(error).__name__ + str(error.errno)
print(json.dumps([one(*target) for target in json.loads(sys.argv[1])]))
"""

# [host, canary] -> what each kind of socket below TCP and UDP said: "sent" or an error.
RAW = """
import json, socket, sys
host, canary = json.loads(sys.argv[1])
def ping():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as link:
        link.sendto(b"\\x08\\0\\0\\0\\0\\0\\0\\1" + canary.encode(), (host, 1))
def raw(protocol):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as link:
        link.sendto(b"\\x08\\0\\xf7\\xfe\\0\\0\\0\\1" + canary.encode(), (host, 0))
def packet():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as link:
        link.bind(("eth0", 0))
        link.send(b"\\xff" * 6 + b"\\x02\\0\\0\\0\\0\\1\\x08\\0" + canary.encode())
def mark():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setsockopt(socket.SOL_SOCKET, 36, 0x534f4c45)
        link.sendto(canary.encode(), (host, 9999))
def other(protocol):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as link:
        link.settimeout(1)
        link.connect((host, 9999))
said = {}
for name, attempt in (("ping", ping), ("icmp", lambda: raw(1)), ("gre", lambda: raw(47)), ("packet", packet),
                      ("mark", mark), ("sctp", lambda: other(132))):
    try:
        attempt()
        said[name] = "sent"
    except OSError as error:
        said[name] = type(error).__name__ + str(error.errno)
print(json.dumps(said))
"""

# A WebSocket client that knows no proxy: [host, text] -> the text that came back.
WEBSOCKET = """
import base64, json, os, socket, ssl, sys
host, text = json.loads(sys.argv[1])
link = ssl.create_default_context().wrap_socket(socket.create_connection((host, 443), timeout=20), server_hostname=host)
link.sendall(f"GET /ws HTTP/1.1\\r\\nHost: {host}\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
             f"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\\r\\n\\r\\n".encode())
head = b""
while b"\\r\\n\\r\\n" not in head:
    head += link.recv(1)
assert b" 101 " in head, head
link.sendall(bytes([0x81, 0x80 | len(text)]) + b"\\0\\0\\0\\0" + text.encode())
answer = b""
while len(answer) < 2 + len(text):
    answer += link.recv(100)
print(json.dumps(answer[2:].decode()))
"""

# Capability sets and no_new_privs of this process.
POWERS = """
import json
lines = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(json.dumps({name: lines[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")}))
"""
