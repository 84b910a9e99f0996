"""The pages of a queue as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pilothouse.access.types import Actor
from pilothouse.core.errors import Conflict, DataError, UserError
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.evaluation.annotation.types import Queue
from pilothouse.experiments.annotation.people import person
from pilothouse.experiments.annotation.web.doors import TOKEN, Doors, Refused
from pilothouse.experiments.annotation.web.pages import HEADERS, Pages, asset
from pilothouse.experiments.annotation.web.types import Desk
from pilothouse.experiments.annotation.wording import opinion

_MOST_BYTES = 1 << 18
Form = Mapping[str, str]


class ReviewApp:
    """An ASGI application that serves one queue to its reviewers.

    Args:
        service: Takes the labels.
        desk: What is served to whom.

    Raises:
        NotFound: there is no such queue.
    """

    def __init__(self, service: ReviewService, desk: Desk) -> None:
        self._service = service
        self._desk = desk
        self._doors = Doors(desk)
        self._name = desk.queue
        self._pages = Pages(service.get(desk.queue))
        self._app = Starlette(
            routes=[
                Route("/", self._home, methods=["GET"]),
                Route("/item/{place:int}", self._again, methods=["GET"]),
                Route("/mine", self._mine, methods=["GET"]),
                Route("/enter", self._enter, methods=["POST"]),
                Route("/leave", self._leave, methods=["POST"]),
                Route("/label", self._label, methods=["POST"]),
                Route("/skip", self._skip, methods=["POST"]),
                Route("/undo", self._undo, methods=["POST"]),
                Route("/page/{name}", self._asset, methods=["GET"]),
            ],
            exception_handlers={Refused: self._refused, UserError: self._failed, HTTPException: self._unknown},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            self._doors.check(Headers(scope=scope))
            if not self._doors.has_entered(request):
                await self._admit(request)(scope, receive, send)
                return
        except Refused as refused:
            await self._pages.message(refused.status, refused.message, onward=False)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admit(self, request: Request) -> Response:
        """Let in who shows the token, and take it out of the address."""
        response = _to("/")
        if self._doors.enter(request, response):
            return response
        raise Refused(401, f"this server wants its token: open the address that it printed, with ?{TOKEN}=...")

    # Pages

    async def _home(self, request: Request) -> Response:
        reviewer = self._doors.reviewer(request)
        if reviewer is None:
            return self._pages.enter(self._doors.form_key(None))
        return await asyncio.to_thread(self._next, reviewer, request.query_params.get("after", ""))

    async def _again(self, request: Request) -> Response:
        reviewer = self._known(request)
        return await asyncio.to_thread(self._own, reviewer, request.path_params["place"])

    async def _mine(self, request: Request) -> Response:
        reviewer = self._known(request)
        return await asyncio.to_thread(self._list, reviewer)

    def _list(self, reviewer: str) -> Response:
        queue = self._queue()
        progress = self._service.progress(queue, reviewer)
        own = [label for label in self._service.given(queue, reviewer) if label.state == "labelled"]
        return Pages(queue).mine(own, progress, reviewer, self._doors.form_key(reviewer))

    async def _asset(self, request: Request) -> Response:
        return asset(request.path_params["name"]) or self._pages.message(404, "there is no such file")

    def _next(self, reviewer: str, after: str, problem: str = "") -> Response:
        queue = self._queue()
        key = self._doors.form_key(reviewer)
        told = self._opinion(queue, reviewer, after)
        task = self._service.take(queue, reviewer) if queue.status == "open" else None
        progress = self._service.progress(queue, reviewer)
        if task is not None:
            return Pages(queue).item(task, progress, reviewer, key, problem=problem, told=told)
        # Whoever still labels must not know what others came to.
        is_over = progress.labels >= progress.wanted or queue.status == "closed"
        agreement = self._service.agreement(queue) if is_over else None
        return Pages(queue).done(progress, reviewer, key, agreement, told)

    def _own(self, reviewer: str, place: int) -> Response:
        """Show an item again to the one who labelled it."""
        queue = self._queue()
        task = self._service.task(queue, reviewer, place)
        if task.current is None:
            raise Refused(403, "you have not labelled this item")
        progress = self._service.progress(queue, reviewer)
        return Pages(queue).item(task, progress, reviewer, self._doors.form_key(reviewer))

    def _opinion(self, queue: Queue, reviewer: str, after: str) -> str | None:
        """Return what the judge said of the item that was labelled last."""
        if not queue.spec.reveals or not after.isdecimal() or int(after) >= queue.items:
            return None
        task = self._service.task(queue, reviewer, int(after))
        labelled = task.current is not None and task.current.state == "labelled"
        return opinion(queue.question, task.item, task.first) if labelled else None

    # Forms

    async def _enter(self, request: Request) -> Response:
        form = await self._form(request, None)
        try:
            name = person(form.get("name", ""), Actor(name=""))
        except UserError as error:
            return self._pages.enter(self._doors.form_key(None), error.message)
        response = _to("/")
        self._doors.remember(response, name)
        return response

    async def _leave(self, request: Request) -> Response:
        await self._form(request, self._known(request))
        response = _to("/")
        self._doors.forget(response)
        return response

    async def _label(self, request: Request) -> Response:
        reviewer = self._known(request)
        form = await self._form(request, reviewer)
        return await asyncio.to_thread(self._keep, reviewer, form)

    def _keep(self, reviewer: str, form: Form) -> Response:
        queue, place = self._queue(), _place(form)
        answer, comment = form.get("answer", ""), form.get("comment", "")
        try:
            self._service.label(queue, reviewer, place, answer, comment=comment, revises=form.get("revises") == "1")
        except DataError as error:
            return self._next(reviewer, "", error.message)
        except Conflict:
            # A button pressed twice is no mistake: the first time counts.
            current = self._service.task(queue, reviewer, place).current
            if current is None or current.value != queue.question.read(answer, current.first):
                raise
        return _to(f"/?after={place}")

    async def _skip(self, request: Request) -> Response:
        reviewer = self._known(request)
        form = await self._form(request, reviewer)
        comment = form.get("comment", "")
        await asyncio.to_thread(self._service.skip, self._queue(), reviewer, _place(form), comment)
        return _to("/")

    async def _undo(self, request: Request) -> Response:
        reviewer = self._known(request)
        await self._form(request, reviewer)
        await asyncio.to_thread(self._service.undo, self._queue(), reviewer)
        return _to("/")

    def _queue(self) -> Queue:
        return self._service.get(self._name)

    def _known(self, request: Request) -> str:
        reviewer = self._doors.reviewer(request)
        if reviewer is None:
            raise Refused(403, "say who you are first")
        return reviewer

    async def _form(self, request: Request, reviewer: str | None) -> Form:
        """Return the fields of a form that is ours.

        Raises:
            Refused: it is not, or it is too large.
        """
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise Refused(413, "the form is too large")
        text = body.decode("utf-8", "replace")
        form = {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True, max_num_fields=20).items()}
        self._doors.check_form(reviewer, form.get("form_key", ""))
        return form

    # What goes wrong

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return self._pages.message(error.status, error.message)

    async def _failed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, UserError)
        status = 409 if isinstance(error, Conflict) else 404 if request.method == "GET" else 400
        return self._pages.message(status, error.message)

    async def _unknown(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return self._pages.message(error.status_code, error.detail)


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, headers=HEADERS)


def _place(form: Form) -> int:
    text = form.get("place", "")
    if not text.isdecimal() or len(text) > 9:
        raise Refused(400, "the form does not say which item is meant")
    return int(text)
