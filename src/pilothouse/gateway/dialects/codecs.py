"""Which codec reads and writes which form of a chat call."""

from __future__ import annotations

from typing import Final

from pilothouse.gateway.dialects.anthropic.codec import MessagesCodec
from pilothouse.gateway.dialects.bedrock.codec import BedrockCodec
from pilothouse.gateway.dialects.cohere.codec import CohereCodec
from pilothouse.gateway.dialects.gemini.codec import GeminiCodec
from pilothouse.gateway.dialects.interface import Codec
from pilothouse.gateway.dialects.openai.chat import ChatCodec
from pilothouse.gateway.dialects.openai.completions import CompletionsCodec
from pilothouse.gateway.dialects.openai.responses import ResponsesCodec
from pilothouse.gateway.types import Wire

_ALL: Final[tuple[Codec, ...]] = (
    ChatCodec(),
    CompletionsCodec(),
    ResponsesCodec(),
    MessagesCodec(),
    GeminiCodec(),
    BedrockCodec(),
    CohereCodec(),
)
_CODECS: Final[dict[Wire, Codec]] = {codec.wire: codec for codec in _ALL}


def codec(wire: Wire) -> Codec:
    """Return the codec of a form.

    Raises:
        KeyError: for a form that is no chat.
    """
    return _CODECS[wire]


def has_codec(wire: Wire) -> bool:
    """Tell whether a form is one of chat, which can be translated."""
    return wire in _CODECS
