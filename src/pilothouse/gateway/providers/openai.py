"""OpenAI itself: every form that bears its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from pilothouse.gateway.providers.compatible import CompatibleProvider, authorised
from pilothouse.gateway.providers.forms import OPERATIONS, base_of
from pilothouse.gateway.providers.interface import Outgoing
from pilothouse.gateway.providers.refused import Refusals
from pilothouse.gateway.types import Body, Wire
from pilothouse.models.client import ProviderContext
from pilothouse.models.connection_types import TYPES
from pilothouse.models.types import Connection

WIRES: Final[frozenset[Wire]] = frozenset((*OPERATIONS, "openai.raw")) - {"cohere.rerank"}

_REASONING: Final = re.compile(r"(?:ft:)?(?:o\d|gpt-[5-9])")
_LIMIT: Final = b'"max_tokens"'
_BODY: Final = msgspec.json.Decoder(Body)


class OpenAiProvider(CompatibleProvider):
    """OpenAI's own servers."""

    def outgoing(self, wire: Wire, model: str, body: bytes, *, stream: bool, headers: Mapping[str, str]) -> Outgoing:
        """Return the request to send; the limit of tokens is named as the model wants it."""
        return super().outgoing(wire, model, renamed(wire, model, body), stream=stream, headers=headers)


def renamed(wire: Wire, model: str, body: bytes) -> bytes:
    """Return a body whose limit of tokens bears the name that reasoning models want: they refuse ``max_tokens``."""
    if wire != "openai.chat" or _LIMIT not in body or not _REASONING.match(model):
        return body
    fields = _BODY.decode(body)
    limit = fields.pop("max_tokens", None)
    if limit is None:
        return body
    fields.setdefault("max_completion_tokens", limit)
    return msgspec.json.encode(fields)


def build(connection: Connection, context: ProviderContext) -> OpenAiProvider:
    """Return the provider of a connection of type ``open_ai`` whose address is OpenAI's."""
    headers = authorised(connection)
    for field, header in (("organization", "openai-organization"), ("project", "openai-project")):
        if connection.get(field):
            headers = (*headers, (header, connection.get(field)))
    return OpenAiProvider(
        name="openai",
        base=base_of(connection.get("base_url", TYPES["open_ai"].fields["base_url"].default)),
        headers=headers,
        wires=WIRES,
        refusals=Refusals(connection.secrets.values(), context.clock),
    )
