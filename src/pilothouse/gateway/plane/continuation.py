"""Going on with an answer that broke off: another deployment gets the conversation and what was written so far.

Opt-in, for it is no longer one model's answer; never across a tool call, whose halves would not fit; and honest in
the ledger: the row's usage is that of who came to the end; the first part was not counted by its provider, so it
stands among the attempts that were given up and may be billed.
"""

from __future__ import annotations

from msgspec.structs import replace

from pilothouse.gateway.dialects.codecs import codec
from pilothouse.gateway.plane.admission import BYTES_PER_TOKEN
from pilothouse.gateway.plane.asking.attempts import Attempts, Opened
from pilothouse.gateway.plane.asking.bodies import decode_body
from pilothouse.gateway.plane.asking.relays import TranslatingRelay
from pilothouse.gateway.plane.call import Call, may_continue
from pilothouse.gateway.plane.streaming import Stream
from pilothouse.gateway.refusals import Refusal
from pilothouse.models.types import Message, Usage


async def continued(call: Call, stream: Stream, attempts: Attempts) -> Opened | None:
    """Let another deployment go on with a stream that broke off.

    Returns:
        What goes on; None where nobody can or may.
    """
    relay = stream.relay
    if not may_continue(call) or not isinstance(relay, TranslatingRelay) or not relay.text or relay.has_tool_calls:
        return None
    written = "".join(relay.text)
    form = codec(call.endpoint.wire)
    request = form.decode_request(call.raw)
    left = None
    if request.max_tokens is not None:
        left = max(1, request.max_tokens - max(relay.deltas, len(written) // BYTES_PER_TOKEN))
    messages = (*request.messages, Message(role="assistant", content=written))
    call.raw = form.encode_request(
        replace(request, messages=messages, max_tokens=left), model=call.facts.model, stream=True
    )
    call.body = decode_body(call.raw)
    relay.hold(Usage(output_tokens=max(relay.deltas, -(-len(written.encode()) // BYTES_PER_TOKEN))))
    try:
        opened = await attempts.open(resume=relay)
    except Refusal:
        return None
    call.incidents.append("continued")
    stream.go_on(opened)
    return opened
