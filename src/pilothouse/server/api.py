"""The API as an ASGI application: loaded when it is asked for the first time."""

from __future__ import annotations

import inspect
import logging
import threading
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pilothouse.access.doors import Asked, Operation
from pilothouse.core.clock import Clock
from pilothouse.core.errors import PilothouseError
from pilothouse.core.services import Services
from pilothouse.core.settings import Settings
from pilothouse.gateway.admin.operations import OPERATIONS
from pilothouse.server.authority import Authority, Caller
from pilothouse.server.openapi import PREFIX, describe
from pilothouse.server.problems import Problem, told

MOST_BYTES: Final = 1 << 20
"""Bytes of the longest body."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


def build(services: Services, host: str, operations: tuple[Operation, ...] = OPERATIONS) -> ASGIApp:
    """Return the API of a project.

    Args:
        services: The project.
        host: The address the server listens on; decides whether it may be open.
        operations: What can be asked.
    """
    shared = SharedServices(services)
    authority = Authority(shared, host)
    document = msgspec.json.encode(describe(operations))
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation

    async def openapi(_request: Request) -> Response:
        return Response(document, media_type="application/json")

    routes = [
        Route(PREFIX + path, Desk(shared, authority, methods).answer, methods=list(methods))
        for path, methods in sorted(by_path.items(), key=lambda item: "{" in item[0])
    ]
    return Starlette(
        routes=[Route(f"{PREFIX}/openapi.json", openapi, methods=["GET"]), *routes],
        exception_handlers={HTTPException: _refused},
    )


class SharedServices:
    """The services of a project for several threads: each is built once, whoever asks first."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.RLock()

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self._services.root

    @property
    def state(self) -> Path:
        """The folder `.pilothouse/` of the project."""
        return self._services.state

    @property
    def settings(self) -> Settings:
        """The project's settings."""
        return self._services.settings

    @property
    def clock(self) -> Clock:
        """Where the time comes from."""
        return self._services.clock

    def get(self, kind: type[T]) -> T:
        """Return the one instance of ``kind``."""
        with self._lock:
            return self._services.get(kind)


class Desk:
    """Answers the requests of one path: who asks, whether they may, what they want, in this order."""

    def __init__(self, services: Services, authority: Authority, operations: dict[str, Operation]) -> None:
        self._services = services
        self._authority = authority
        self._operations = operations

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        operation = self._operations["GET" if request.method == "HEAD" else request.method]
        try:
            return await self._answer(request, operation)
        except Problem as problem:
            return _response(problem)
        except PilothouseError as error:
            return _response(told(error))
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as defect:  # noqa: BLE001 - the door: the log gets the trace, the client a word
            _log.exception("a defect while answering %s %s", request.method, request.url.path)
            return _response(Problem(500, "internal_error", f"a defect in the server: {type(defect).__name__}"))

    async def _answer(self, request: Request, operation: Operation) -> Response:
        client = request.client.host if request.client else ""
        caller = await run_in_threadpool(self._authority.caller, request.headers, client)
        if not caller.may(operation.action):
            confined = f" of '{caller.organisation}'" if caller.organisation else ""
            words = f"a key{confined} with the role '{caller.role}' may not do this"
            raise Problem(403, "forbidden", words, expected=f"the right {operation.action}")
        asked = await _asked(request, operation, caller, self._services)
        if inspect.iscoroutinefunction(operation.run):
            value: Any = await operation.run(asked)
        else:
            value = await run_in_threadpool(operation.run, asked)
        headers = {"cache-control": "no-store"}
        if operation.revision is not None:
            headers["etag"] = f'"{operation.revision(value)}"'
        return Response(msgspec.json.encode(value), operation.status, headers, media_type="application/json")


async def _asked(request: Request, operation: Operation, caller: Caller, services: Services) -> Asked:
    try:
        body = None if operation.body is None else await _body(request, operation.body)
        query = None
        if operation.query is not None:
            query = msgspec.convert(dict(request.query_params), operation.query, strict=False)
        elif request.query_params:
            raise Problem(400, "invalid_request", "this takes no parameters", where="query")
    except msgspec.DecodeError as error:
        raise Problem(400, "invalid_request", f"this cannot be read: {error}") from error
    return Asked(
        services=services,
        acting=caller.acting,
        role=caller.role,
        organisation=caller.organisation,
        path=dict(request.path_params),
        query=query,
        body=body,
        seen=_seen(request.headers.get("if-match")),
    )


async def _body(request: Request, kind: Any) -> Any:
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    # What a form of any page can send is not this type: browsers ask before they send it.
    if media != "application/json":
        raise Problem(
            415, "unsupported_media_type", f"bodies of type '{media}' are not read", expected="application/json"
        )
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > MOST_BYTES:
            raise Problem(413, "body_too_large", f"the body is longer than {MOST_BYTES} bytes")
    try:
        return msgspec.json.decode(bytes(found) or b"{}", type=kind)
    except RecursionError:
        raise Problem(400, "invalid_request", "the body is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise Problem(400, "invalid_request", f"the body is not UTF-8: byte {error.start}") from None


def _seen(header: str | None) -> int | None:
    if header is None or header.strip() == "*":
        return None
    text = header.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Problem(400, "invalid_request", "If-Match holds no ETag of ours", expected='If-Match: "12"')
    return int(text)


def _response(problem: Problem) -> Response:
    body = msgspec.json.encode(problem.body())
    headers = {"cache-control": "no-store", **problem.headers}
    return Response(body, problem.status, headers, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        fix = f"GET {PREFIX}/openapi.json tells what is there"
        return _response(Problem(404, "unknown_endpoint", f"there is no {request.url.path}", fix=fix))
    if error.status_code == 405:
        words = f"{request.url.path} does not take {request.method}"
        return _response(Problem(405, "method_not_allowed", words, headers=dict(error.headers or {})))
    return _response(Problem(error.status_code, "invalid_request", error.detail))
