"""Random HTTP/1 answers near the grammar, for clients that are to read them the same with and without the gateway."""
# SPDX-License-Identifier: GPL-3.0-or-later

from dataclasses import dataclass


@dataclass
class Answer:
    """What an origin sends for one request, and then closes the connection."""

    method: str
    sent: bytes
    meant: bytes  # the body


LINE_ENDS = [b"\r\n"] * 12 + [b"\n"] * 3 + [b"\r\r\n"]
VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0"] * 4 + [b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"ICY", b"HTTP/1", b"HTTP/11"]
STATUSES = [b"200"] * 12 + [b"204", b"205", b"206", b"301", b"304", b"404", b"500", b"600", b"999", b"299", b"099", b"1000", b"20", b"200x"]
REASONS = [b" OK"] * 8 + [b"", b" ", b"  OK", b" \xe9t\xe9", b" \xc3\xa9", b" O\tK", b" O\x01K", b" O\x00K", b" " + b"x" * 300]
NAMES = [b"X-A", b"x_b", b"X-C ", b"X D", b"", b"X\x01E", b"Content_Length", b"Transfer_Encoding", b"Trailer", b"TE", b"Keep-Alive", b"Date"]
VALUES = [b"a", b"", b" ", b"\xe9", b"\xc3\xa9", b"a\tb", b"a\x01b", b"a\x0bb", b"a\x7fb", b"a\x00b", b"a\rb", b"chunked", b"5", b"a" * 900]
CONNECTIONS = [b"close", b"keep-alive", b"Keep-Alive", b"close, keep-alive", b"x", b"", b"keep-alive, max=5", b"Content-Length", b"Transfer-Encoding, close"]
CODINGS = [b"chunked"] * 6 + [
    b"Chunked", b" chunked ", b"chunked, chunked", b"identity", b"identity, chunked", b"gzip, chunked", b"chunked, identity", b"", b"xchunked", b"chunked;q=1", b"\x0bchunked", b'"chunked"', b"foo",
]  # fmt: skip
INTERIM = [b"HTTP/1.1 100 Continue", b"HTTP/1.1 100", b"HTTP/1.0 100 Continue"]  # http.client takes 103 for the answer


class Maker:
    """Answers of one random generator."""

    def __init__(self, random):
        self.random = random

    def answer(self):
        method = "HEAD" if self.random.random() < 0.08 else "GET"
        body = bytes(self.random.choice(b"abcdefgh\r\n0") for _ in range(self.random.choice([0, 1, 2, 5, 5, 9, 40, 700])))
        head, coded = self._head(body)
        sent = self._before() + head + (b"" if method == "HEAD" and self._one_in(2) else coded) + self._behind()
        return Answer(method, self._damaged(sent), body)

    def _one_in(self, count):
        return self.random.randrange(count) == 0

    def _pick(self, values):
        return self.random.choice(values)

    def _before(self):
        out = b"\r\n" * self._pick([1, 2]) if self._one_in(40) else b""
        while self._one_in(12):
            out += self._pick(INTERIM) + b"\r\n" + (b"Content-Length: 3\r\n" if self._one_in(10) else b"") + b"\r\n"
        return out

    def _behind(self):
        if not self._one_in(8):
            return b""
        return self._pick([b"\r\n", b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSECOND"])

    def _line_end(self, odd):
        return self._pick(LINE_ENDS) if odd else b"\r\n"

    def _head(self, body):
        odd_ends = self._one_in(8)
        blank = self._pick([b" "] * 20 + [b"  ", b"\t"])
        lines = [self._pick(VERSIONS) + blank + self._pick(STATUSES) + self._pick(REASONS)]
        fields, coded = self._framing(body)
        for _ in range(self._pick([0, 0, 1, 1, 2])):
            fields.append(self._pick(NAMES) + b":" + self._pick([b" ", b"", b"\t", b"  "]) + self._pick(VALUES))
        if self._one_in(4):
            fields.append(b"Connection: " + self._pick(CONNECTIONS))
        self.random.shuffle(fields)
        if fields and self._one_in(12):
            fields.insert(self.random.randrange(len(fields) + 1), self._pick([b" folded", b"\tfolded", b"no colon"]))
        return b"".join(line + self._line_end(odd_ends) for line in [*lines, *fields]) + self._line_end(odd_ends), coded

    def _framing(self, body):
        kind = self._pick(["length", "length", "chunked", "chunked", "close", "both"])
        fields, coded = [], body
        if kind in ("length", "both"):
            fields += self._lengths(len(body))
        if kind in ("chunked", "both"):
            coding = self._pick(CODINGS)
            fields += [self._name(b"Transfer-Encoding") + b":" + self._pick([b" ", b"", b"\t"]) + coding for _ in range(self._pick([1] * 9 + [2]))]
            coded = self._chunks(body) if b"chunked" in coding.lower() else body
        return fields, coded

    def _name(self, name):
        return self._pick([name] * 10 + [name.lower(), name.upper()])

    def _lengths(self, size):
        wrong = self._pick([size] * 20 + [size + 1, max(size - 1, 0)])
        text = self._pick([b"%d"] * 12 + [b"0%d", b"+%d", b"%d ", b"%d, %%d" % size, b"%dx", b"-%d", b"0x%d"]) % wrong
        again = [b"Content-Length: %d" % self._pick([size, size, size + 2])] if self._one_in(8) else []
        return [self._name(b"Content-Length") + b":" + self._pick([b" ", b"", b"\t"]) + text, *again]

    def _chunks(self, body):
        out = b""
        odd = self._one_in(4)
        while body:
            size = self.random.randint(1, len(body))
            out += self._size(size, odd) + body[:size] + self._line_end(odd)
            body = body[size:]
        trailers = b"".join(self._pick([b"X-T: a", b"Content-Length: 3", b"no colon", b" fold", b"X T: a"]) + self._line_end(odd) for _ in range(self._pick([0] * 6 + [1, 2])))
        end = self._pick([b"\r\n"] * 12 + [b"", b"\n"])
        return out + self._size(0, odd) + trailers + end

    def _size(self, size, odd):
        digits = self._pick([b"%x", b"%X"] + ([b"0%x", b"00000000000000000%x", b"0x%x", b"+%x", b" %x"] if odd else [])) % size
        behind = self._pick([b""] * 4 + [b" ", b"\t", b";a", b";a=b", b';a="b;c"', b"; a", b" x", b";" + b"e" * 1500]) if odd else b""
        return digits + behind + self._line_end(odd)

    def _damaged(self, sent):
        """A byte that is not there, is there twice, or is another one."""
        if not self._one_in(12):
            return sent
        at = self.random.randrange(len(sent))
        return self._pick([sent[:at] + sent[at + 1 :], sent[:at] + sent[at : at + 1] + sent[at:], sent[:at] + bytes([self.random.randrange(256)]) + sent[at + 1 :], sent[:at]])
