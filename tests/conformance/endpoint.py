"""A model provider on loopback in OpenAI's dialect that answers from the request alone, for both sides alike.

| model | answer |
|---|---|
| `tool` | a call of the first tool that is offered |
| `function` | a call of the first function that is offered |
| `busy` | 429 once for each body, then as usual |
| `broken` | 500 once for each body, then as usual |
| `refused` | 400: a parameter is wrong |
| `denied` | 401 |
| `filtered` | 400: the content filter |
| `cut` | as usual, but with the finish reason `content_filter` |
| `garbage` | 200 with a page that is no JSON |
| `headers` | the key, organisation and API version it was called with |
| `short` | the text `ok` |
| `last` | the text of the last message, or the prompt |
| `json` | the text `{"answer": 42, "more": true}` |
| any other | what it was asked, as JSON with sorted keys, without parameters that have the API's default |

With `stream` the text comes in pieces of five characters. Embeddings are three numbers made from the text.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

DEFAULTS: dict[str, Any] = {
    "stream": False, "temperature": 1, "top_p": 1, "n": 1, "presence_penalty": 0, "frequency_penalty": 0, "user": "",
    "logit_bias": {}, "echo": False, "best_of": 1, "stream_options": {"include_usage": True},
    "response_format": {"type": "text"},
}  # fmt: skip
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
REFUSALS: dict[str, tuple[int, dict[str, Any]]] = {
    "refused": (400, {"message": "temperature is too hot", "type": "invalid_request_error", "code": None}),
    "denied": (401, {"message": "the key is wrong", "type": "invalid_request_error", "code": "invalid_api_key"}),
    "filtered": (400, {"message": "the content filter was triggered", "type": None, "code": "content_filter"}),
}


class Endpoint:
    """The provider; remembers only which bodies it has turned away once."""

    def __init__(self) -> None:
        self._turned_away: set[str] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one call."""
        body: dict[str, Any] = await request.json()
        model = str(body.get("model") or "")
        if "/deployments/" in request.path:
            model = request.path.split("/deployments/")[1].split("/")[0]
        early = self._early(model, body, request)
        if early is not None:
            return early
        if request.path.endswith("/embeddings"):
            return web.json_response(_embedding(body, model))
        is_chat = request.path.endswith("/chat/completions")
        text = _text(model, body, request, is_chat=is_chat)
        if body.get("stream"):
            return await _stream(request, text, model, is_chat=is_chat)
        return web.json_response(_answer(body, text, model, is_chat=is_chat))

    def _early(self, model: str, body: dict[str, Any], request: web.Request) -> web.Response | None:
        if model in REFUSALS:
            status, error = REFUSALS[model]
            return web.json_response({"error": error}, status=status)
        if model == "garbage":
            return web.Response(text="<html>this is no JSON</html>", content_type="text/html")
        if model in {"busy", "broken"}:
            seen = f"{request.headers.get('x-side', '')} {json.dumps(body, sort_keys=True)}"
            if seen not in self._turned_away:
                self._turned_away.add(seen)
                status = 429 if model == "busy" else 500
                error = {"error": {"message": "try again", "type": "server", "code": None}}
                return web.json_response(error, status=status, headers={"retry-after": "0"})
            self._turned_away.discard(seen)
        return None


def _text(model: str, body: dict[str, Any], request: web.Request, *, is_chat: bool) -> str:
    if model == "short":
        return "ok"
    if model == "json":
        return '{"answer": 42, "more": true}'
    if model == "last":
        return str(body["messages"][-1]["content"] if is_chat else body["prompt"])
    if model == "headers":
        key = request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        seen = {
            "key": key,
            "organization": request.headers.get("openai-organization"),
            "version": request.query.get("api-version"),
        }
        return json.dumps({name: value for name, value in seen.items() if value}, sort_keys=True)
    said = {"api": "chat" if is_chat else "completion", **body, "model": model}
    kept = {
        key: value
        for key, value in said.items()
        if value is not None and not (key in DEFAULTS and value == DEFAULTS[key])
    }
    return json.dumps(kept, sort_keys=True, ensure_ascii=False)


def _answer(body: dict[str, Any], text: str, model: str, *, is_chat: bool) -> dict[str, Any]:
    reason = {"cut": "content_filter", "tool": "tool_calls", "function": "function_call"}.get(model, "stop")
    count = int(body.get("n") or 1)
    if not is_chat:
        choices = [{"index": i, "text": text, "finish_reason": reason, "logprobs": None} for i in range(count)]
    else:
        message = _message(body, text, model)
        choices = [{"index": i, "message": message, "finish_reason": reason} for i in range(count)]
    kind = "chat.completion" if is_chat else "text_completion"
    return {"id": "one", "object": kind, "created": 1, "model": model, "choices": choices, "usage": USAGE}


def _message(body: dict[str, Any], text: str, model: str) -> dict[str, Any]:
    if model == "tool":
        name = body["tools"][0]["function"]["name"]
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": '{"city": "Oslo"}'}}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if model == "function":
        call = {"name": body["functions"][0]["name"], "arguments": '{"city": "Oslo"}'}
        return {"role": "assistant", "content": None, "function_call": call}
    return {"role": "assistant", "content": text}


async def _stream(request: web.Request, text: str, model: str, *, is_chat: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    kind = "chat.completion.chunk" if is_chat else "text_completion"
    shared = {"id": "one", "object": kind, "created": 1, "model": model}
    pieces = [text[start : start + 5] for start in range(0, len(text), 5)]
    for piece in pieces:
        choice = {"index": 0, "finish_reason": None, **({"delta": {"content": piece}} if is_chat else {"text": piece})}
        await response.write(f"data: {json.dumps({**shared, 'choices': [choice]})}\n\n".encode())
    last = {"index": 0, "finish_reason": "stop", **({"delta": {}} if is_chat else {"text": ""})}
    await response.write(f"data: {json.dumps({**shared, 'choices': [last]})}\n\ndata: [DONE]\n\n".encode())
    return response


def _embedding(body: dict[str, Any], model: str) -> dict[str, Any]:
    given = body["input"]
    texts = given if isinstance(given, list) else [given]
    data = [
        {"object": "embedding", "index": i, "embedding": [float(len(text)), float(text.count("a")), 0.5]}
        for i, text in enumerate(texts)
    ]
    return {"object": "list", "model": model, "data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}}


@contextmanager
def serving() -> Iterator[str]:
    """Serve on a free port of 127.0.0.1 from a thread; yields the address."""
    loop = asyncio.new_event_loop()
    address: list[str] = []
    runner: list[web.AppRunner] = []
    ready = threading.Event()

    async def start() -> None:
        app = web.Application()
        app.router.add_post("/{rest:.*}", Endpoint().handle)
        runner.append(web.AppRunner(app, shutdown_timeout=0.1, access_log=None))
        await runner[0].setup()
        await web.TCPSite(runner[0], "127.0.0.1", 0).start()
        address.append(f"http://127.0.0.1:{runner[0].addresses[0][1]}")
        ready.set()

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner[0].cleanup())
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    if not ready.wait(20):
        raise RuntimeError("the endpoint did not start")
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
