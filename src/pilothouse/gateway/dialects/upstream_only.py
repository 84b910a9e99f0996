"""What the forms have in common that no client of ours speaks: they are written to upstreams and read from them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, NoReturn, cast

import msgspec

from pilothouse.gateway.dialects.interface import Splice
from pilothouse.gateway.dialects.saying import refuse_extra, refuse_fields
from pilothouse.gateway.types import Body, Wire
from pilothouse.models.types import ChatRequest, ChatResponse, Message, Usage

_QUOTED = 120


class UpstreamCodec:
    """A form spoken to upstreams alone: what a client would need raises ``ValueError``."""

    wire: Wire

    def decode_request(self, body: bytes) -> NoReturn:
        """Refuse: no client speaks this form here."""
        raise self._not_for_clients()

    def encode_response(self, response: ChatResponse) -> NoReturn:
        """Refuse: no client speaks this form here."""
        raise self._not_for_clients()

    def writer(self, *, call_id: str, model: str, include_usage: bool) -> NoReturn:
        """Refuse: no client speaks this form here."""
        raise self._not_for_clients()

    def meter(self, *, hide_usage: bool) -> NoReturn:
        """Refuse: nothing of this form passes untranslated."""
        raise self._not_for_clients()

    def splice(self, body: Body, splice: Splice) -> NoReturn:
        """Refuse: nothing of this form passes untranslated."""
        raise self._not_for_clients()

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read an upstream's whole answer."""
        raise self._not_for_clients()

    def usage(self, body: bytes) -> tuple[Usage | None, str]:
        """Return usage and model name of a whole answer.

        Raises:
            ValueError: for what is no answer of this form.
        """
        response = self.decode_response(body)
        return response.usage, response.model

    def _not_for_clients(self) -> ValueError:
        return ValueError(f"the form {self.wire} is spoken to upstreams alone")


def refuse_unsaid(
    request: ChatRequest, form: str, fields: tuple[str, ...], native: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the vendor's own keys of a request, and refuse what its form cannot say.

    Args:
        request: The request.
        form: Whose form, for the message.
        fields: Those of the request that the form has no word for.
        native: Keys beyond the request's fields that are the vendor's own and pass as they are.

    Raises:
        ValueError: naming what cannot be said.
    """
    refuse_fields(request, fields, form)
    refuse_extra({key: value for key, value in request.extra.items() if key not in native}, form)
    return {key: request.extra[key] for key in native if request.extra.get(key) is not None}


def functions_of(request: ChatRequest, form: str) -> list[dict[str, Any]]:
    """Return the declared functions: name, description, parameters.

    Raises:
        ValueError: for a tool that is not a function.
    """
    declared = [*(request.tools or ()), *({"type": "function", "function": item} for item in request.functions or ())]
    found: list[dict[str, Any]] = []
    for tool in declared:
        function: Any = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict):
            raise ValueError(f"{form} is given functions alone, not a tool of the type {tool.get('type')!r}")
        fields = cast("dict[str, Any]", function)
        if not isinstance(fields.get("name"), str) or not fields["name"]:
            raise ValueError("a function among `tools` has no name")
        found.append(fields)
    return found


def choice_of(request: ChatRequest) -> tuple[str, str] | None:
    """Return how tools are chosen: ``auto``, ``none``, ``required`` or ``function`` and its name; None by default.

    Raises:
        ValueError: for a choice in another form.
    """
    choice: Any = request.tool_choice if request.tool_choice is not None else request.function_call
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice in {"auto", "none", "required"}:
            return choice, ""
    elif isinstance(choice, dict):
        fields = cast("dict[str, Any]", choice)
        inner: Any = fields.get("function") or fields
        name = cast("dict[str, Any]", inner).get("name") if isinstance(inner, dict) else None
        if isinstance(name, str) and name:
            return "function", name
    raise ValueError(
        f"`tool_choice` must be auto, none, required or one function, not {str(cast('object', choice))[:_QUOTED]!r}"
    )


def schema_of(request: ChatRequest) -> tuple[str, dict[str, Any] | None]:
    """Return the wanted kind of answer: ``text``, ``json_object`` or ``json_schema`` with its schema.

    Raises:
        ValueError: for another kind.
    """
    wanted = request.response_format
    kind = wanted.get("type", "text") if wanted is not None else "text"
    if wanted is None or kind in {"text", "json_object"}:
        return str(kind), None
    inner: Any = wanted.get("json_schema")
    schema = cast("dict[str, Any]", inner).get("schema") if isinstance(inner, dict) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise ValueError("`response_format` must be text, json_object or json_schema with a `schema`")
    return "json_schema", cast("dict[str, Any]", schema)


def arguments_of(text: str, name: str) -> dict[str, Any]:
    """Return the arguments of a call as an object.

    Raises:
        ValueError: where they are no JSON object.
    """
    try:
        value: Any = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError(f"the arguments of the call of '{name}' are not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"the arguments of the call of '{name}' are no JSON object")  # noqa: TRY004 - a body's fault
    return cast("dict[str, Any]", value)


def called_names(messages: Iterable[Message]) -> dict[str, str]:
    """Return the name of the function behind each call's id."""
    return {call.id: call.name for message in messages for call in message.tool_calls}


def base64_of(data: bytes) -> str:
    """Return bytes as JSON carries them."""
    return base64.b64encode(data).decode("ascii")


def quoted(body: bytes) -> str:
    """Return the beginning of a body that cannot be read, for a message."""
    return body[:_QUOTED].decode("utf-8", errors="replace")
