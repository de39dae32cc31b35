"""An origin that answers as the model APIs that agents use: Anthropic's, OpenAI's two, Gemini's, and Augment's."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json

from lab import origin as origins

PIECES = ("Every ", "packet ", "meets ", "one ", "program.")
REPLY = "".join(PIECES)


class ModelApi:
    """Serves every path of every one of `names`; what it does not know it answers with an empty object."""

    def __init__(self, namespace, address, authority, names):
        self.origin = origins.Origin(namespace, "MODEL", [address], authority.issue(*names))
        self.origin.mount("/", self._answer)

    def close(self):
        self.origin.close()

    def asked(self, host):
        """(method, path) of the requests that were sent to this host, in their order."""
        return [(r.method, r.target) for r in self.origin.requests if r.headers.get("host", "").split(":")[0] == host]

    def _answer(self, connection, request, rest):
        del rest
        body = origins.read_body(connection, request)
        path = request.target.split("?")[0]
        for ending, events in _EVENTS.items():
            if path.endswith(ending):
                asked = json.loads(body)
                if asked.get("stream") or ending == ":streamGenerateContent":
                    _stream(connection, events(asked.get("model", "m")))
                    return True
        whole = _AUGMENT if path == "/chat-stream" else json.dumps(_OBJECTS.get(path, {}))
        connection.send(origins.response(whole.encode(), headers=["Content-Type: application/json"]))
        return True


def _stream(connection, events):
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n")
    for name, data in events:
        text = data if isinstance(data, str) else json.dumps(data)
        event = ((f"event: {name}\n" if name else "") + f"data: {text}\n\n").encode()
        connection.send(b"%x\r\n" % len(event) + event + b"\r\n")
    connection.send(b"0\r\n\r\n")


def _anthropic(model):
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None,
               "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
    events = [{"type": "message_start", "message": message},
              {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
              *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in PIECES),
              {"type": "content_block_stop", "index": 0},
              {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 5}},
              {"type": "message_stop"}]  # fmt: skip
    return [(event["type"], event) for event in events]


def _responses(model):
    text = {"type": "output_text", "text": REPLY, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    response = {"id": "resp_1", "object": "response", "created_at": 1, "model": model, "status": "in_progress", "output": []}
    usage = {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 6}  # fmt: skip
    events = [{"type": "response.created", "response": response},
              {"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "in_progress", "content": []}},
              {"type": "response.content_part.added", **place, "part": {**text, "text": ""}},
              *({"type": "response.output_text.delta", **place, "delta": piece} for piece in PIECES),
              {"type": "response.output_text.done", **place, "text": REPLY},
              {"type": "response.content_part.done", **place, "part": text},
              {"type": "response.output_item.done", "output_index": 0, "item": item},
              {"type": "response.completed", "response": {**response, "status": "completed", "output": [item], "usage": usage}}]  # fmt: skip
    return [(event["type"], {**event, "sequence_number": number}) for number, event in enumerate(events)]


def _completions(model):
    def chunk(delta, **more):
        choice = {"index": 0, "delta": delta, "finish_reason": None, **more}
        return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}

    usage = {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6}
    pieces = [chunk({"role": "assistant", "content": piece}) for piece in PIECES]
    return [("", data) for data in (*pieces, {**chunk({}, finish_reason="stop"), "usage": usage}, "[DONE]")]


def _gemini(model):
    def chunk(piece, **more):
        candidate = {"content": {"role": "model", "parts": [{"text": piece}]}, "index": 0, **more}
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 5, "totalTokenCount": 6}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model}

    return [("", chunk(piece)) for piece in PIECES[:-1]] + [("", chunk(PIECES[-1], finishReason="STOP"))]


# Lines of JSON; all at once, which Augment's client takes as well.
_AUGMENT = "".join(
    json.dumps({"text": piece, "nodes": [{"id": number, "type": 0, "content": piece}]}) + "\n" for number, piece in enumerate(PIECES)
) + json.dumps({"text": "", "stop_reason": 1, "nodes": []})
# Without a known user, Factory's droid asks no model.
_OBJECTS = {"/api/cli/whoami": {"userId": "user", "orgId": "organization", "region": "global"}}
_EVENTS = {"/v1/messages": _anthropic, "/responses": _responses, "/chat/completions": _completions,
           ":streamGenerateContent": _gemini}  # fmt: skip
