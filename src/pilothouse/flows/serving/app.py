"""The served flow as an ASGI application: its routes, and what holds for all of them."""

from __future__ import annotations

import json
import traceback
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from opentelemetry.trace import Tracer
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pilothouse.core.version import VERSION
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.serving import feedback
from pilothouse.flows.serving.answers import Problem, json_response
from pilothouse.flows.serving.bodies import read_body
from pilothouse.flows.serving.exchange import Exchange
from pilothouse.flows.serving.guard import Guard
from pilothouse.flows.serving.openapi import describe
from pilothouse.flows.serving.outcomes import hidden_outputs
from pilothouse.flows.serving.pages import asset, page
from pilothouse.flows.serving.score import CLOSED, EventStreamResponse, Scorer
from pilothouse.flows.serving.types import Site
from pilothouse.flows.settings import ServingSettings
from pilothouse.models.secret import Secret
from pilothouse.tracing import conventions

Answer = Callable[[Request, Exchange], Awaitable[Response]]


class FlowApp:
    """An ASGI application that serves one flow.

    Args:
        runner: The flow, open.
        tracer: Makes the span of each request.
        settings: The limits.
        site: What the one who starts the server decides.
        secrets: What no answer may show.

    Attributes:
        is_draining: Set when the server is ending: it is healthy no more.
        scorer: Runs the lines.
    """

    def __init__(
        self,
        runner: FlowRunner,
        *,
        tracer: Tracer,
        settings: ServingSettings,
        site: Site,
        secrets: Collection[Secret] = (),
    ) -> None:
        self._flow = runner.flow
        self._tracer = tracer
        self._settings = settings
        self._site = site
        self._secrets = (*secrets, *((site.key,) if site.key is not None else ()))
        self._guard = Guard(site)
        hidden = hidden_outputs(self._flow, site.included)
        self.is_draining = False
        self.scorer = Scorer(runner, settings, hidden, self._secrets)
        self._document = describe(self._flow, hidden=hidden, streams=runner.may_stream, has_key=site.key is not None)
        self._page = page(self._flow, hidden)
        app = Starlette(
            routes=[
                Route("/", self._home, methods=["GET"]),
                Route("/page/{name}", self._asset, methods=["GET"]),
                Route("/score", self._score, methods=["POST"]),
                Route("/feedback", self._feedback, methods=["POST"]),
                Route("/health", self._health, methods=["GET"]),
                Route("/version", self._version, methods=["GET"]),
                Route("/swagger.json", self._swagger, methods=["GET"]),
            ],
            exception_handlers={HTTPException: self._refused, Problem: self._problem, Exception: self._defect},
        )
        self._app: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        extra = self._guard.cors(headers)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and extra:
                MutableHeaders(raw=message["headers"]).update(extra)
            await send(message)

        try:
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                preflight = Response(status_code=204, headers=self._guard.preflight(headers))
                await preflight(scope, receive, send)
                return
            self._guard.check(scope["path"], headers)
        except Problem as problem:
            await self._told(problem)(scope, receive, sent)
            return
        await self._app(scope, receive, sent)

    # Routes

    async def _score(self, request: Request) -> Response:
        return await self._traced(request, self.scorer.answer)

    async def _feedback(self, request: Request) -> Response:
        body = await read_body(request, self._settings, feedback.LIMIT)
        flatten = request.query_params.get("flatten", "false").lower() == "true"
        ids = {conventions.FLOW: self._flow.name}
        trace_id = feedback.record(self._tracer, request.headers, body, flatten=flatten, ids=ids)
        headers = {"x-trace-id": trace_id} if trace_id else {}
        return json_response({"status": "Feedback received."}, headers=headers)

    async def _traced(self, request: Request, answer: Answer) -> Response:
        flow = self._flow.name
        exchange = Exchange(request, self._tracer, {conventions.FLOW: flow, conventions.WORKFLOW_NAME: flow})
        status = 500
        try:
            response = await answer(request, exchange)
            status = response.status_code
            if isinstance(response, EventStreamResponse):
                response.ended = lambda final: self._end(request, exchange, final)
                return response
        except Problem as problem:
            exchange.note(problem.message)
            status = problem.status
            response = self._told(problem)
        except ClientDisconnect:
            # Nobody reads this any more.
            exchange.note("the client went away")
            status = CLOSED
            response = Response(status_code=CLOSED)
        except BaseException as defect:
            exchange.note(f"{type(defect).__name__}: {defect}")
            self._end(request, exchange, status)
            raise
        response.headers.update(exchange.headers())
        self._end(request, exchange, status)
        return response

    def _end(self, request: Request, exchange: Exchange, status: int) -> None:
        exchange.end(status)
        if self._site.say is not None:
            told = f"{request.method} {request.url.path} {status} {exchange.duration:.3f} s"
            self._site.say(f"{told} request {exchange.request_id} trace {exchange.trace_id or '-'}")

    async def _health(self, request: Request) -> Response:
        gate = self.scorer.gate
        shown = {"version": VERSION, "flow": self._flow.name, "running": gate.running, "waiting": gate.waiting}
        if self.is_draining:
            return json_response({"status": "Draining", **shown}, 503)
        return json_response({"status": "Healthy", **shown})

    async def _version(self, request: Request) -> Response:
        build = self._site.build
        try:
            version = str(json.loads(build)["build_number"])
        except (ValueError, TypeError, KeyError):
            version = VERSION
        flow = {"name": self._flow.name, "kind": self._flow.kind, "digest": self._flow.digest}
        return json_response({"status": "Healthy", "build_info": build, "version": version, "flow": flow})

    async def _swagger(self, request: Request) -> Response:
        return json_response(self._document)

    async def _home(self, request: Request) -> Response:
        return self._page()

    async def _asset(self, request: Request) -> Response:
        return asset(request.path_params["name"])

    # Errors

    def _told(self, problem: Problem) -> Response:
        return json_response(problem.body(self._secrets), problem.status, problem.headers)

    async def _defect(self, request: Request, error: Exception) -> Response:
        if self._site.say is not None:
            self._site.say("a defect in Pilothouse: " + "".join(traceback.format_exception(error)))
        # The server gives the connection up behind it.
        message = f"a defect in the server: {type(error).__name__}"
        return self._told(Problem(500, message, headers={"connection": "close"}))

    async def _problem(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return self._told(error)

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = "/score, /feedback, /health, /version, /swagger.json, /"
        said: dict[int, str] = {
            404: f"there is no {request.url.path} here; known: {known}",
            405: f"{request.url.path} does not take {request.method}",
        }
        return self._told(Problem(error.status_code, said.get(error.status_code, error.detail), headers=error.headers))


def secrets_of(connections: Any) -> tuple[Secret, ...]:
    """Return the secrets of connections."""
    return tuple(secret for connection in connections for secret in connection.secrets.values())
