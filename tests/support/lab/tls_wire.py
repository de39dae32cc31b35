"""TLS ClientHellos byte by byte, well-formed and not, and what came back."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import struct

HANDSHAKE, ALERT, CCS, APPLICATION = 22, 21, 20, 23


def u8(data):
    return struct.pack("!B", len(data)) + data


def u16(data):
    return struct.pack("!H", len(data)) + data


def u24(data):
    return struct.pack("!I", len(data))[1:] + data


def extension(kind, body):
    return struct.pack("!H", kind) + u16(body)


def sni(*names):
    """A server_name extension; each name is bytes, or (name_type, bytes)."""
    entries = b""
    for name in names:
        kind, text = name if isinstance(name, tuple) else (0, name)
        entries += struct.pack("!B", kind) + u16(text)
    return extension(0, u16(entries))


_CIPHERS = b"\x13\x01\x13\x02\x13\x03\xc0\x2b\xc0\x2f\xc0\x2c\xc0\x30\x00\x9c\x00\xff"
_SIGNATURES = b"\x04\x03\x08\x04\x04\x01\x05\x03\x08\x05\x05\x01\x08\x06\x06\x01"


def hello(*extensions, pad=0, legacy=b"\x03\x03", alpn=(), tls13=True, versions=b"\x03\x04\x03\x03",
          ciphers=_CIPHERS, groups=b"\x00\x1d\x00\x17\x00\x18", share=True, grease=False):
    """A ClientHello handshake message. Padding comes first, so that the SNI is late."""
    body = b"".join(extensions)
    if grease:  # RFC 8701: values that mean nothing
        ciphers, groups, versions = b"\x0a\x0a" + ciphers, b"\x2a\x2a" + groups, b"\x3a\x3a" + versions
        body = extension(0x4A4A, b"") + body + extension(0xAAAA, b"\0")
    if tls13:
        body += extension(43, u8(versions))
        body += extension(51, u16(struct.pack("!H", 29) + u16(os.urandom(32)) if share else b""))
        body += extension(45, u8(b"\x01"))
    body += extension(10, u16(groups)) + extension(11, u8(b"\x00")) + extension(13, u16(_SIGNATURES))
    if alpn:
        body += extension(16, u16(b"".join(u8(name) for name in alpn)))
    if pad:
        body = extension(21, b"\0" * pad) + body
    message = legacy + os.urandom(32) + u8(os.urandom(32)) + u16(ciphers) + u8(b"\x00") + u16(body)
    return b"\x01" + u24(message)


def record(message, kind=HANDSHAKE, version=b"\x03\x01"):
    return bytes([kind]) + version + u16(message)


def fragmented(message, size, kind=HANDSHAKE):
    """One message in records of `size` bytes."""
    return b"".join(record(message[i : i + size], kind) for i in range(0, len(message), size))


def client_hello(name, **options):
    """The first record of a client that wants `name`."""
    return record(hello(sni(name.encode() if isinstance(name, str) else name), **options))


def verdict(answer, how):
    """What a raw exchange that began with a hello amounts to: "handshake", "alert", "rst", "fin", "timeout" or "other".

    A handshake is the origin's, or the gateway's own for the page of a denied name: the bytes do not tell, the capture does.
    """
    if answer[:1] == bytes([HANDSHAKE]):
        return "handshake"
    if answer[:1] == bytes([ALERT]):
        return "alert"
    return how if not answer else "other"
