"""Bodies of requests: read within limits, and understood as the inputs of a flow."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, cast

import msgspec
from starlette.requests import Request

from pilothouse.flows.serving.answers import Problem
from pilothouse.flows.settings import ServingSettings
from pilothouse.flows.types import Flow

_READ = re.compile(r"(application/(json|x-www-form-urlencoded|octet-stream|.+\+json)|text/.+)?")
_PATH = re.compile(r"data:image/[^;]+;path", re.IGNORECASE)


async def read_body(request: Request, settings: ServingSettings, limit: int | None = None) -> bytes:
    """Return the body of a request.

    Raises:
        Problem: 413 when it is too large, 408 when it comes too slowly, 415 for a type that is not read.
        ClientDisconnect: when the client went away.
    """
    kind = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    packed = request.headers.get("content-encoding", "identity").lower()
    if not _READ.fullmatch(kind) or packed != "identity":
        what = f"Content-Encoding {packed}" if packed != "identity" else f"Content-Type {kind}"
        raise Problem(415, f"{what} is not read here; send application/json")
    limit = min(limit or settings.body_limit, settings.body_limit)
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(settings.body_timeout):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
    except TimeoutError as error:
        message = f"the body did not come within {settings.body_timeout:g} s"
        raise Problem(408, message, headers={"connection": "close"}) from error
    return b"".join(parts)


def _too_large(limit: int) -> Problem:
    # The rest of the body is not read: the connection cannot be used again.
    return Problem(413, f"the body is larger than {limit} bytes", headers={"connection": "close"})


def flow_inputs(flow: Flow, body: bytes) -> dict[str, Any]:
    """Return the inputs that a body gives; a text that is not JSON is the value of a flow's only input.

    Raises:
        Problem: 400, naming the input and what is expected.
    """
    if not flow.inputs and flow.kind == "dag":
        return {}
    try:
        data: Any = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if len(flow.inputs) != 1 or isinstance(error, RecursionError):
            raise Problem(400, f"the body is not JSON ({error}); send a JSON object of inputs") from error
        data = {next(iter(flow.inputs)): body.decode(errors="replace")}
    if not isinstance(data, dict):
        raise Problem(400, f"the body is a JSON {_kind(cast('object', data))}; send a JSON object of inputs")
    found = cast("dict[str, Any]", data)
    # A flow with a sample runs on it where nothing at all is given.
    if found or not flow.sample:
        _refuse_missing(flow, found)
    try:
        _refuse_files(flow, found)
    except RecursionError as error:
        raise Problem(400, "an input is nested too deep") from error
    return found


def _refuse_missing(flow: Flow, given: dict[str, Any]) -> None:
    missing = [
        f"'{item.name}' ({item.type})"
        for item in flow.inputs.values()
        if not (item.has_default or item.default_in_code or item.is_chat_history or item.name in given)
    ]
    if missing:
        raise Problem(400, f"inputs are missing: {', '.join(missing)}", details={"missing": missing})


def _refuse_files(flow: Flow, given: dict[str, Any]) -> None:
    """Refuse images that are named by a file: whoever calls must not read the files of this machine."""
    for name, value in given.items():
        declared = flow.inputs.get(name)
        is_image = declared is not None and declared.type == "image"
        if _names_file(value) or (is_image and isinstance(value, str) and _is_file(flow.folder, value)):
            raise Problem(400, f"the image in '{name}' names a file; send its bytes in base64, or its address")


def _names_file(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_names_file, cast("list[Any]", value)))
    if not isinstance(value, dict):
        return False
    fields = cast("dict[str, Any]", value)
    if any(_PATH.fullmatch(key) for key in fields):
        return True
    inner: Any = fields.get("image_file")
    if fields.get("type") == "image_file" or (isinstance(inner, dict) and "path" in inner):
        return True
    shown: Any = fields.get("image_url")
    if isinstance(shown, dict) and not _is_address(cast("dict[str, Any]", shown).get("url", "data:")):
        return True
    return any(map(_names_file, fields.values()))


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and value.lower().startswith(("data:", "http://", "https://"))


def _is_file(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file()
    except (OSError, ValueError):
        return False


def _kind(value: object) -> str:
    names: dict[type, str] = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
