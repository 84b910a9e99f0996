"""Google's, Amazon's and Cohere's own forms: what the mock says, told as their servers tell it, whole and streamed.

A model's name says what it does, as everywhere in the mock; of the faults there are statuses and `error-in-stream`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from zlib import crc32

import msgspec
from aiohttp import web

from .answers import Answer, Asked, answer, split
from .behaviour import Behaviour, behaviour
from .plans import encode

ANSWERED = msgspec.Raw(b'[{"role":"tool"}]')


def sse(*events: Any) -> bytes:
    """Return events of a stream that has no names of events."""
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def frame(kind: str, payload: Any, *, message: str = "event") -> bytes:
    """Return a frame of Amazon's event stream."""
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
        for name, value in (
            (b":message-type", message.encode()),
            (b":event-type" if message == "event" else b":exception-type", kind.encode()),
        )
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    whole = prelude + struct.pack(">I", crc32(prelude)) + headers + body
    return whole + struct.pack(">I", crc32(whole))


def _asked(spoken: Any, tools: list[dict[str, Any]], schema: Any, choice: Any, *, answered: bool) -> Asked:
    form = {"type": "json_schema", "json_schema": {"schema": schema}} if schema else None
    return Asked(
        messages=ANSWERED if answered else msgspec.Raw(encode(spoken)),
        tools=tools or None,
        tool_choice=choice,
        response_format=form,
    )


def _gemini_asked(body: Any) -> Asked:
    tools = [function for tool in body.get("tools", ()) for function in tool["functionDeclarations"]]
    for tool in tools:
        tool["parameters"] = tool.pop("parametersJsonSchema", {})
    answered = any("functionResponse" in part for part in body["contents"][-1]["parts"])
    schema = body.get("generationConfig", {}).get("responseJsonSchema")
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
    named = calling.get("allowedFunctionNames")
    choice = {"type": "function", "name": named[0]} if named else {"NONE": "none"}.get(calling.get("mode", ""))
    return _asked(body["contents"], tools, schema, choice, answered=answered)


def _gemini(body: Any, model: str, told: Behaviour, *, stream: bool) -> Iterator[bytes]:
    said = answer(_gemini_asked(body), told)
    usage = {"promptTokenCount": said.used.input, "candidatesTokenCount": said.used.output}
    calls = [{"functionCall": {"name": call.name, "args": json.loads(call.arguments)}} for call in said.calls]
    if calls:
        calls[0]["thoughtSignature"] = f"sig{said.seed}"
    head = {"modelVersion": model, "responseId": f"resp-{said.seed}"}
    reason = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}[said.finish]

    def event(parts: list[Any], **further: Any) -> dict[str, Any]:
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **further}
        return {"candidates": [candidate], "usageMetadata": usage, **head}

    if not stream:
        texts = [{"text": "".join(said.pieces)}] if said.pieces else []
        yield encode(event([*texts, *calls], finishReason=reason))
        return
    for place, part in enumerate([*({"text": piece} for piece in said.pieces), *calls]):
        if told.fault == "error-in-stream" and place == (told.at or 0):
            yield sse({"error": {"code": 503, "message": "The mock was told to fail.", "status": "UNAVAILABLE"}})
            return
        yield sse(event([part]))
    yield sse(event([], finishReason=reason))


def _bedrock_asked(body: Any) -> Asked:
    config = body.get("toolConfig", {})
    tools = [
        {"name": tool["toolSpec"]["name"], "parameters": tool["toolSpec"]["inputSchema"]["json"]}
        for tool in config.get("tools", ())
    ]
    answered = any("toolResult" in block for block in body["messages"][-1]["content"])
    form = body.get("outputConfig", {}).get("textFormat")
    schema = json.loads(form["structure"]["jsonSchema"]["schema"]) if form else None
    named = config.get("toolChoice", {}).get("tool")
    choice = {"type": "function", **named} if named else None
    return _asked(body["messages"], tools, schema, choice, answered=answered)


def _bedrock(body: Any, model: str, told: Behaviour, *, stream: bool) -> Iterator[bytes]:
    said = answer(_bedrock_asked(body), told)
    reason = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}[said.finish]
    total = said.used.input + said.used.output
    usage = {"inputTokens": said.used.input, "outputTokens": said.used.output, "totalTokens": total}
    ids = [f"tooluse_{said.seed}{number}" for number in range(len(said.calls))]
    if not stream:
        texts = [{"text": "".join(said.pieces)}] if said.pieces else []
        uses = [
            {"toolUse": {"toolUseId": name, "name": call.name, "input": json.loads(call.arguments)}}
            for name, call in zip(ids, said.calls, strict=True)
        ]
        message = {"role": "assistant", "content": [*texts, *uses]}
        yield encode({"output": {"message": message}, "stopReason": reason, "usage": usage})
        return
    yield frame("messageStart", {"role": "assistant"})
    for place, piece in enumerate(said.pieces):
        if told.fault == "error-in-stream" and place == (told.at or 0):
            yield frame("modelStreamErrorException", {"message": "The mock was told to fail."}, message="exception")
            return
        yield frame("contentBlockDelta", {"delta": {"text": piece}, "contentBlockIndex": 0})
    for number, (name, call) in enumerate(zip(ids, said.calls, strict=True), 1):
        start = {"toolUse": {"toolUseId": name, "name": call.name}}
        yield frame("contentBlockStart", {"start": start, "contentBlockIndex": number})
        for piece in split(call.arguments):
            yield frame("contentBlockDelta", {"delta": {"toolUse": {"input": piece}}, "contentBlockIndex": number})
        yield frame("contentBlockStop", {"contentBlockIndex": number})
    yield frame("messageStop", {"stopReason": reason})
    yield frame("metadata", {"usage": usage})


def _cohere_asked(body: Any) -> Asked:
    answered = body["messages"][-1]["role"] == "tool"
    schema = (body.get("response_format") or {}).get("json_schema")
    choice = "none" if body.get("tool_choice") == "NONE" else None
    return _asked(body["messages"], body.get("tools", []), schema, choice, answered=answered)


def _cohere(body: Any, model: str, told: Behaviour, *, stream: bool) -> Iterator[bytes]:
    said = answer(_cohere_asked(body), told)
    reason = {"stop": "COMPLETE", "tool_calls": "TOOL_CALL", "length": "MAX_TOKENS"}[said.finish]
    usage = {"billed_units": {"input_tokens": said.used.input, "output_tokens": said.used.output}}
    calls = [
        {
            "id": f"{call.name}_{said.seed}{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for number, call in enumerate(said.calls)
    ]
    if not stream:
        message: dict[str, Any] = {"role": "assistant"}
        if said.pieces:
            message["content"] = [{"type": "text", "text": "".join(said.pieces)}]
        if calls:
            message["tool_calls"] = calls
        yield encode({"id": said.seed, "finish_reason": reason, "message": message, "usage": usage})
        return
    yield sse({"type": "message-start", "id": said.seed, "delta": {"message": {"role": "assistant"}}})
    for place, piece in enumerate(said.pieces):
        if told.fault == "error-in-stream" and place == (told.at or 0):
            yield sse(
                {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "The mock was told to fail."}}
            )
            return
        yield sse({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": piece}}}})
    yield from _cohere_calls(said, calls)
    yield sse({"type": "message-end", "delta": {"finish_reason": reason, "usage": usage}})


def _cohere_calls(said: Answer, calls: list[Any]) -> Iterator[bytes]:
    for number, call in enumerate(calls):
        begin = {**call, "function": {**call["function"], "arguments": ""}}
        yield sse({"type": "tool-call-start", "index": number, "delta": {"message": {"tool_calls": begin}}})
        for piece in split(said.calls[number].arguments):
            delta = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
            yield sse({"type": "tool-call-delta", "index": number, "delta": delta})
        yield sse({"type": "tool-call-end", "index": number})


def _vector(text: str, size: int) -> list[float]:
    return [round(crc32(text.encode(), number) / 2**32, 6) for number in range(size)]


def _embedded(vendor: str, body: Any, told: Behaviour) -> Any:
    if vendor == "gemini":
        texts = [request["content"]["parts"][0]["text"] for request in body["requests"]]
        values = [{"values": _vector(text, told.dims)} for text in texts]
        return {"embeddings": values, "usageMetadata": {"promptTokenCount": 3 * len(texts)}}
    if vendor == "bedrock":
        return {"embedding": _vector(body["inputText"], told.dims), "inputTextTokenCount": 3}
    texts = body["texts"]
    units = {"billed_units": {"input_tokens": 3 * len(texts)}}
    return {"embeddings": {"float": [_vector(text, told.dims) for text in texts]}, "meta": units}


def _refused(vendor: str, status: int) -> Any:
    words = f"The mock was told to answer {status}."
    if vendor == "gemini":
        kind = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
        return {"error": {"code": status, "message": words, "status": kind.get(status, "INTERNAL")}}
    return {"message": words}


async def _answer(request: web.Request) -> web.StreamResponse:
    body = json.loads(await request.read())
    path = request.path
    vendor = "gemini" if ":" in path.rpartition("/")[2] else "bedrock" if path.startswith("/model/") else "cohere"
    model = body.get("model", "") if vendor == "cohere" else request.match_info["model"].partition(":")[0]
    told = behaviour(model)
    if told.error is not None:
        return web.json_response(_refused(vendor, told.error), status=told.error)
    if path.endswith((":batchEmbedContents", "/invoke", "/embed")):
        return web.json_response(_embedded(vendor, body, told))
    tell = {"gemini": _gemini, "bedrock": _bedrock, "cohere": _cohere}[vendor]
    streams = path.endswith((":streamGenerateContent", "-stream")) or body.get("stream") is True
    pieces = tell(body, model, told, stream=streams)
    if not streams:
        return web.Response(body=b"".join(pieces), content_type="application/json")
    kind = "application/vnd.amazon.eventstream" if vendor == "bedrock" else "text/event-stream"
    response = web.StreamResponse(headers={"content-type": kind})
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


@asynccontextmanager
async def vendors() -> AsyncIterator[str]:
    """While inside, all three are served at one address, which is given."""
    app = web.Application()
    app.router.add_post("/v1beta/models/{model}", _answer)
    app.router.add_post("/model/{model}/{verb}", _answer)
    app.router.add_post("/v2/{verb}", _answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
