"""Claude Code, and an origin that answers it as api.anthropic.com does, one piece of a streamed reply at a time."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import queue
import subprocess
import threading

from lab import agent as agents
from lab import agent_packages
from lab import origin as origins

HOST = "api.anthropic.com"
PIECES = ("Every ", "packet ", "meets ", "one ", "program.")
PATIENCE = 60  # seconds for anything that Claude Code does


class Api:
    """The origin. Of a streamed reply it sends the first piece, and each further one when release() lets it."""

    def __init__(self, namespace, address, certificate):
        self._gate = threading.Semaphore(0)  # of the reply that is being streamed
        self.origin = origins.Origin(namespace, "API", [address], certificate, ports=())
        self.origin.script("/v1/messages", self._messages)

    def release(self):
        self._gate.release()

    def close(self):
        self._gate.release(len(PIECES))
        self.origin.close()

    def _messages(self, connection, request):
        asked = json.loads(origins.read_body(connection, request))
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
        if asked.get("stream"):
            self._stream(connection, message)
        else:
            text = {"type": "text", "text": "".join(PIECES)}
            whole = json.dumps({**message, "content": [text], "stop_reason": "end_turn"})
            connection.send(origins.response(whole.encode(), headers=["Content-Type: application/json"]))
        return True

    def _stream(self, connection, message):
        gate = self._gate = threading.Semaphore(0)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n")

        def event(kind, **fields):
            data = f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
            connection.send(b"%x\r\n" % len(data) + data + b"\r\n")

        event("message_start", message=message)
        event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for number, piece in enumerate(PIECES):
            if number and not gate.acquire(timeout=PATIENCE):
                return
            event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
        event("content_block_stop", index=0)
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": len(PIECES)})
        event("message_stop")
        connection.send(b"0\r\n\r\n")


def install():
    """The program of the npm package that docker/agents names, fetched once for all runs."""
    (program,) = agent_packages.install("claude")
    return program


class Claude:
    """`claude --print` in the agent's namespace, with nothing of this machine's: no settings, no variables, no key."""

    def __init__(self, lab, program, home, authority):
        environment = {"HOME": home, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "ANTHROPIC_API_KEY": "sk-ant-of-a-test",
                       "NODE_EXTRA_CA_CERTS": authority}  # fmt: skip
        settings = [f"{name}={value}" for name, value in environment.items()]
        self._process = subprocess.Popen(
            lab.agent.command(*agents.privileges("R0"), "env", "-i", "-C", str(home), *settings, program, "--print",
                              "What meets whom?", "--output-format", "stream-json", "--include-partial-messages", "--verbose"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)  # fmt: skip
        self.lines = []
        self._messages = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self.lines.append(line)
            if line.startswith("{"):
                self._messages.put(json.loads(line))
        self._messages.put(None)

    def until(self, kind, wanted):
        """The first further message of this type for which `wanted(message)`, as it is written."""
        while True:
            try:
                message = self._messages.get(timeout=PATIENCE)
            except queue.Empty:
                message = None
            assert message is not None, f"no such {kind}: {''.join(self.lines)[-3000:]}"
            if message["type"] == kind and wanted(message):
                return message

    def piece(self, text):
        """Waits until this piece of the reply is there."""
        self.until("stream_event", lambda m: m["event"].get("delta", {}).get("text") == text)

    def result(self):
        return self.until("result", lambda _: True)

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
