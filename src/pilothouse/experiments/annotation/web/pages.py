"""The pages of a queue: templates, a module and a style sheet, all from the package; texts of strangers made inert."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct
from starlette.responses import Response

from pilothouse.evaluation.annotation.agreement import Agreement
from pilothouse.evaluation.annotation.types import Label, Progress, Queue, Task
from pilothouse.experiments.annotation.wording import labels_in_words, lines, preference_lines, word_seen
from pilothouse.experiments.reports.visible import plain, seen, shorten

_FOLDER = Path(__file__).parents[1] / "page"
ASSETS: Final = {"review.css": "text/css", "review.js": "text/javascript"}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
SHORT, LONG = 4000, 200_000
_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp)(;base64)?", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")


class Shown(Struct, frozen=True, kw_only=True):
    """One value on a page: its name, its text, all of it where that is longer, or the address of its image."""

    name: Markup
    text: Markup
    more: Markup | None = None
    image: str | None = None


@cache
def _templates() -> Environment:
    made = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters["seen"] = seen
    return made


class Pages:
    """Renders the pages of one queue.

    Args:
        queue: The queue, as it is now.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def enter(self, form_key: str, problem: str = "") -> Response:
        """Ask who it is."""
        return self._page("enter.html", 400 if problem else 200, form_key=form_key, problem=problem)

    def item(
        self,
        task: Task,
        progress: Progress,
        reviewer: str,
        form_key: str,
        *,
        problem: str = "",
        told: str | None = None,
    ) -> Response:
        """Show an item to be labelled, or one whose label may be changed."""
        current, question = task.current, self._queue.question
        value = current.value if current is not None else None
        return self._page(
            "item.html",
            400 if problem else 200,
            task=task,
            inputs=shown(task.item.inputs),
            answers=[shown(answer) for answer in task.answers],
            reference=shown(task.item.reference),
            progress=progress,
            reviewer=reviewer,
            form_key=form_key,
            problem=problem,
            told=told,
            chosen=question.key_of(value, task.first) if value is not None else "",
            said=str(value) if value is not None and question.kind == "text" else "",
            comment=current.comment if current is not None else "",
        )

    def done(
        self, progress: Progress, reviewer: str, form_key: str, agreement: Agreement | None, told: str | None = None
    ) -> Response:
        """Say that there is nothing left; with the figures once nobody has anything left."""
        source = self._queue.spec.source
        preference = agreement.preference if agreement is not None else None
        rows: list[tuple[str, str]] = []
        if preference is not None:
            rows += preference_lines(preference, source.candidate, source.baseline)
        if agreement is not None:
            rows += [*lines(agreement), ("labels", labels_in_words(agreement))]
        return self._page(
            "done.html",
            progress=progress,
            reviewer=reviewer,
            form_key=form_key,
            rows=rows,
            notes=agreement.notes if agreement is not None else (),
            told=told,
        )

    def mine(self, labels: Sequence[Label], progress: Progress, reviewer: str, form_key: str) -> Response:
        """List a reviewer's own answers, the latest first."""
        items = [
            {
                "number": len(labels) - back,
                "place": label.place,
                "said": word_seen(self._queue.question, label.value, label.first) if label.value is not None else "",
                "comment": label.comment,
            }
            for back, label in enumerate(reversed(labels))
        ]
        return self._page("mine.html", items=items, progress=progress, reviewer=reviewer, form_key=form_key)

    def message(self, status: int, message: str, *, onward: bool = True) -> Response:
        """Say what is wrong."""
        return self._page("message.html", status, message=message, onward=onward)

    def _page(self, name: str, status: int = 200, **given: Any) -> Response:
        text = _templates().get_template(name).render(queue=self._queue, question=self._queue.question, **given)
        return Response(text, status, HEADERS, "text/html")


def asset(name: str) -> Response | None:
    """Return a file of the pages; None for any other name."""
    if name not in ASSETS:
        return None
    return Response((_FOLDER / name).read_bytes(), headers=HEADERS, media_type=ASSETS[name])


def shown(values: Mapping[str, Any]) -> list[Shown]:
    """Return values as a page shows them."""
    found: list[Shown] = []
    for name, value in values.items():
        text = plain(value)
        if isinstance(value, dict | list):
            text = msgspec.json.format(text, indent=2)
        found.append(
            Shown(
                name=seen(name),
                text=seen(shorten(text, SHORT)),
                more=seen(shorten(text, LONG)) if len(text) > SHORT else None,
                image=_image(value),
            )
        )
    return found


def _image(value: Any) -> str | None:
    """Return the address of an image that a value holds itself; nothing is ever fetched."""
    if not isinstance(value, dict):
        return None
    entries = list(cast("dict[str, Any]", value).items())
    if len(entries) != 1 or not isinstance(entries[0][1], str):
        return None
    (kind, data) = entries[0]
    is_image = _IMAGE.fullmatch(kind) is not None and _BASE64.fullmatch(data) is not None
    return f"{kind.partition(';')[0]};base64,{data}" if is_image else None
