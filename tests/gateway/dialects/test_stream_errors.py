"""An error inside a stream keeps its words, and what came before it, in every form."""

from __future__ import annotations

import pytest

from pilothouse.gateway.dialects.codecs import codec
from pilothouse.gateway.dialects.frames import StreamError
from pilothouse.gateway.types import Wire
from pilothouse.models.types import ChatRequest, Message, Thought

from ..mock.vendors import frame, sse

CUT: dict[Wire, bytes] = {
    "openai.chat": sse({"choices": [{"index": 0, "delta": {"content": "Hel"}}]}, {"error": {"message": "no more"}}),
    "openai.responses": sse(
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"},
        {"type": "error", "message": "no more", "code": "x"},
    ),
    "anthropic.messages": sse(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "error", "error": {"type": "overloaded_error", "message": "no more"}},
    ),
    "gemini.generate": sse(
        {"candidates": [{"content": {"parts": [{"text": "Hel"}]}}]},
        {"error": {"code": 503, "message": "no more", "status": "UNAVAILABLE"}},
    ),
    "bedrock.converse": frame("contentBlockDelta", {"delta": {"text": "Hel"}, "contentBlockIndex": 0})
    + frame("modelStreamErrorException", {"message": "no more"}, message="exception"),
    "cohere.chat": sse(
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hel"}}}},
        {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "no more"}},
    ),
}


@pytest.mark.parametrize("wire", CUT)
def test_what_came_before_an_error_in_the_same_bytes_is_kept(wire: Wire) -> None:
    with pytest.raises(StreamError, match="no more") as caught:
        codec(wire).reader().feed(CUT[wire])
    assert "".join(chunk.text for chunk in caught.value.before) == "Hel"


def test_thoughts_that_google_signed_are_not_sent_to_anthropic() -> None:
    thoughts = (Thought(text="a", signature="gemini-c2ln"), Thought(text="b", signature="c2ln"))
    said = Message(role="assistant", content="x", thoughts=thoughts)
    request = ChatRequest(messages=(Message(role="user", content="?"), said, Message(role="user", content="!")))
    body = codec("anthropic.messages").encode_request(request, model="m", stream=False)
    assert b"gemini-" not in body
    assert b'"signature":"c2ln"' in body
