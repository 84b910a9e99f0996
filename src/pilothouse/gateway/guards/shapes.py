"""Where the texts stand in the bodies of each wire; everything else in them is left alone."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from pilothouse.gateway.types import Wire


class Shape(Struct, frozen=True, kw_only=True):
    """Which keys of a body hold texts.

    Attributes:
        top: Keys of the outermost object that are looked into; None for all.
        texts: Keys whose string, or list of strings, is text.
        arguments: Keys whose string is a JSON document of texts.
        values: Keys under which every string, long number and key is text.
        skip: Keys that are never looked into.
    """

    top: frozenset[str] | None = None
    texts: frozenset[str]
    arguments: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()


def _shape(top: str, texts: str, arguments: str = "", values: str = "", skip: str = "") -> Shape:
    return Shape(
        top=frozenset(top.split()) or None,
        texts=frozenset(texts.split()),
        arguments=frozenset(arguments.split()),
        values=frozenset(values.split()),
        skip=frozenset(skip.split()),
    )


_MEDIA: Final = "image_url input_audio audio image file logprobs top_logprobs encrypted_content signature"

_CHAT = _shape("messages tools functions prediction", "content text refusal reasoning reasoning_content description",
               "arguments input", "", _MEDIA)  # fmt: skip
_MESSAGES = _shape("messages system tools", "content text title context description cited_text data", "", "input",
                   _MEDIA + " thinking redacted_thinking")  # fmt: skip
REQUESTS: Final[dict[Wire, Shape]] = {
    "openai.chat": _CHAT,
    "openai.completions": _shape("prompt suffix", "prompt suffix"),
    "openai.responses": _shape(
        "input instructions prompt tools", "input content text output instructions summary refusal description code",
        "arguments", "variables action", _MEDIA,
    ),
    "openai.embeddings": _shape("input", "input"),
    "openai.images": _shape("prompt", "prompt"),
    "openai.speech": _shape("input instructions", "input instructions"),
    "openai.transcriptions": _shape("prompt", "prompt"),
    "openai.moderations": _shape("input", "input text", "", "", _MEDIA),
    "anthropic.messages": _MESSAGES,
    "anthropic.count_tokens": _MESSAGES,
    "gemini.generate": _shape("contents systemInstruction system_instruction tools", "text description code output", "",
                              "args response", "inlineData inline_data fileData file_data"),
    "gemini.embed": _shape("content requests", "text title"),
    "bedrock.converse": _shape("messages system toolConfig", "text description", "", "input json", "bytes signature"),
    "bedrock.embed": _shape("inputText texts", "inputText texts"),
    "cohere.chat": _shape("messages documents tools message preamble", "content text message preamble description data",
                          "arguments", "document documents", _MEDIA),
    "cohere.embed": _shape("texts inputs", "texts text", "", "", _MEDIA),
    "cohere.rerank": _shape("query documents", "query documents text", "", "documents"),
}  # fmt: skip
"""The shape of each wire's requests."""

ANSWERS: Final[dict[Wire, Shape]] = {
    "openai.chat": _shape("choices", "content text refusal reasoning reasoning_content title", "arguments input", "",
                          "image_url audio images logprobs"),
    "openai.completions": _shape("choices", "text"),
    "openai.responses": _shape("", "text refusal code output content summary", "arguments input", "action results",
                               "logprobs encrypted_content instructions tools metadata"),
    "openai.embeddings": _shape("none", ""),
    "openai.images": _shape("data", "revised_prompt"),
    "openai.speech": _shape("none", ""),
    "openai.transcriptions": _shape("", "text word transcript"),
    "openai.moderations": _shape("none", ""),
    "anthropic.messages": _shape("", "text thinking cited_text title content", "", "input", "signature"),
    "anthropic.count_tokens": _shape("none", ""),
    "gemini.generate": _shape("candidates", "text code output", "", "args", "inlineData inline_data"),
    "gemini.embed": _shape("none", ""),
    "bedrock.converse": _shape("output", "text", "", "input", "signature"),
    "bedrock.embed": _shape("none", ""),
    "cohere.chat": _shape("message text", "content text tool_plan thinking", "arguments", "document"),
    "cohere.embed": _shape("texts", "texts"),
    "cohere.rerank": _shape("results", "text", "", "document"),
}  # fmt: skip
"""The shape of each wire's whole answers, and of the events of a stream that repeat them."""
