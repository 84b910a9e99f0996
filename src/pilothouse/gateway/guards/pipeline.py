"""The guards of a route, compiled once, and one call's way through them."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Self

import msgspec

from pilothouse.core import plugins
from pilothouse.core.errors import ConfigError, UserError, nearest_hint
from pilothouse.gateway.guards.shapes import ANSWERS, REQUESTS, Shape
from pilothouse.gateway.guards.streams import GuardedStream, Stage
from pilothouse.gateway.guards.texts import Slot, Texts, without_logprobs
from pilothouse.gateway.guards.types import Edit, Guard, GuardContext, GuardOutcome, Subject, Verdict
from pilothouse.gateway.guards.types import Stage as When
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.settings import GuardSettings
from pilothouse.gateway.types import Body

_LABEL: Final = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_MOST_KINDS: Final = 32
_FILES: Final = frozenset({"openai.raw"})


class _Bound(NamedTuple):
    name: str
    guard: Guard
    stages: frozenset[When]
    refuses: bool
    timeout: float
    kinds: set[str]

    def label(self, kind: str) -> str:
        """Return a kind as metrics may count it: short, and one of few."""
        if kind in self.kinds:
            return kind
        if len(self.kinds) < _MOST_KINDS and _LABEL.match(kind):
            self.kinds.add(kind)
            return kind
        return "other"


class GuardPipeline:
    """The guards that every call of a route passes, in order.

    Args:
        guards: By name, ready to be asked.
    """

    def __init__(self, guards: Sequence[_Bound]) -> None:
        self._at: dict[When, tuple[_Bound, ...]] = {
            stage: tuple(guard for guard in guards if stage in guard.stages)
            for stage in ("before", "beside", "after", "stream")
        }

    @classmethod
    def compile(cls, names: Sequence[str], guards: Mapping[str, GuardSettings]) -> Self | None:
        """Return the pipeline of a route; None where it has no guards: then nothing is done and nothing costs.

        Args:
            names: The guards of the route, in order.
            guards: All that are configured.

        Raises:
            ConfigError: for a guard that is not configured, of no known type, or with options that do not fit.
        """
        return cls([_bind(name, guards) for name in names]) if names else None

    @property
    def looks_beside(self) -> bool:
        """Tell whether a guard looks while the upstream is asked."""
        return bool(self._at["beside"])

    @property
    def looks_at_streams(self) -> bool:
        """Tell whether a guard looks into streams."""
        return bool(self._at["stream"])

    @property
    def looks_at_answers(self) -> bool:
        """Tell whether a guard looks at whole answers."""
        return bool(self._at["after"])

    def open(self, context: GuardContext) -> GuardedCall:
        """Return one call's way through the guards."""
        return GuardedCall(self._at, context)


class GuardedCall:
    """One call under the guards of its route. Build it with ``GuardPipeline.open``.

    Attributes:
        outcomes: What the guards did so far; those of a stream are added up, one for each guard.
    """

    def __init__(self, guards: Mapping[When, tuple[_Bound, ...]], context: GuardContext) -> None:
        self._at = guards
        self._context = context
        self._outcomes: list[GuardOutcome] = []
        self._streamed: dict[str, Counter[str]] = {}

    @property
    def outcomes(self) -> tuple[GuardOutcome, ...]:
        """Return what the guards did so far."""
        streamed = (
            GuardOutcome(guard=name, stage="stream", action="replace" if findings else "allow", findings=dict(findings))
            for name, findings in self._streamed.items()
        )
        return (*self._outcomes, *streamed)

    async def before(self, body: Body) -> Body:
        """Look at a request, before anybody else sees it, and return it as it may be sent.

        What is looked into is written anew, so that nobody further on reads it in another way than the guards did;
        the other keys stay byte by byte.

        Raises:
            Refusal: ``guard_blocked``, ``guard_failed``, or ``invalid_request`` for a body that cannot be read.
        """
        if not self._at["before"]:
            return body
        values, texts = self._request(body)
        await self._pass("before", texts.slots)
        texts.write()
        return {**body, **{key: msgspec.Raw(msgspec.json.encode(value)) for key, value in values.items()}}

    async def beside(self, body: Body) -> None:
        """Look at a request while the upstream answers it; await this before the first byte of the answer is sent.

        Raises:
            Refusal: as ``before``; what is to be replaced cannot be any more and blocks the call.
        """
        if not self._at["beside"]:
            return
        _, texts = self._request(body)
        await asyncio.gather(*(self._ask(bound, "beside", texts.slots) for bound in self._at["beside"]))

    async def after(self, answer: bytes) -> bytes:
        """Look at a whole answer and return it as the client may see it; the same bytes where nothing has changed.

        Raises:
            Refusal: ``guard_blocked``, or ``guard_failed`` for an answer that cannot be read.
        """
        if not self._at["after"] or not answer:
            return answer
        shape = ANSWERS.get(self._context.wire)
        if shape is not None and shape.top == frozenset({"none"}):
            return answer
        try:
            value = msgspec.json.decode(answer)
            texts = Texts()
            _look(texts, value, shape)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refusal("guard_failed", "the answer cannot be looked at: it is no JSON") from error
        await self._pass("after", texts.slots)
        if not texts.write():
            return answer
        without_logprobs(value)
        return msgspec.json.encode(value)

    def stream(self) -> GuardedStream | None:
        """Return what a stream passes; None where no guard looks into it.

        Raises:
            Refusal: ``guard_failed`` for a stream of a form that no guard can read.
        """
        bounds = self._at["stream"]
        if not bounds:
            return None
        if self._context.wire.startswith("bedrock."):
            raise Refusal("guard_failed", "streams of this form cannot be looked at: ask without streaming")
        return GuardedStream([self._stage(bound) for bound in bounds])

    def _stage(self, bound: _Bound) -> Stage:
        counts = self._streamed.setdefault(bound.name, Counter())

        async def check(text: str) -> Sequence[Edit]:
            verdict = await self._verdict(bound, "stream", (text,))
            return () if verdict is None or verdict.action != "replace" else _edits(verdict, (text,))[0]

        async def check_slots(slots: Sequence[Slot]) -> None:
            counts.update(await self._replace(bound, "stream", slots))

        def on_release(edit: Edit) -> None:
            counts[bound.label(edit.kind)] += 1

        return Stage(
            self._context.wire, bound.guard.window, check=check, check_slots=check_slots, on_release=on_release
        )

    def _request(self, body: Body) -> tuple[dict[str, Any], Texts]:
        """Return the keys of a request that are looked into, decoded, and their texts."""
        wire, texts = self._context.wire, Texts()
        if wire in _FILES:
            raise Refusal("guard_failed", "the route has guards, and they cannot look at files and batches")
        shape = REQUESTS.get(wire)
        try:
            values: dict[str, Any] = {
                key: msgspec.json.decode(raw)
                for key, raw in body.items()
                if shape is None or shape.top is None or key in shape.top
            }
            for key in values:
                if shape is None:
                    texts.look_everywhere(values, key)
                else:
                    texts.look_at(values, key, shape)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refusal("invalid_request", f"the body cannot be read: {str(error)[:200]}") from error
        return values, texts

    async def _pass(self, stage: When, slots: Sequence[Slot]) -> None:
        for bound in self._at[stage]:
            await self._ask(bound, stage, slots)

    async def _ask(self, bound: _Bound, stage: When, slots: Sequence[Slot]) -> None:
        before = len(self._outcomes)
        findings = await self._replace(bound, stage, slots)
        if len(self._outcomes) == before or stage == "beside":
            self._note(bound, stage, "replace" if findings else "allow", findings)

    async def _replace(self, bound: _Bound, stage: When, slots: Sequence[Slot]) -> dict[str, int]:
        """Ask a guard about texts, change them, and return what it found."""
        if not slots:
            return {}
        texts = tuple(slot.text for slot in slots)
        verdict = await self._verdict(bound, stage, texts)
        if verdict is None or verdict.action != "replace":
            return {}
        if stage == "beside":
            self._blocked(bound, stage, verdict)
        for slot, text, edits in zip(slots, texts, _edits(verdict, texts), strict=True):
            if edits:
                slot.text = _edited(text, edits)
        return _labelled(bound, verdict.findings) or {"replaced": 1}

    async def _verdict(self, bound: _Bound, stage: When, texts: tuple[str, ...]) -> Verdict | None:
        """Return what a guard says; None where it says nothing and the call passes all the same.

        Raises:
            Refusal: when it blocks, or says nothing and the call may not pass.
        """
        context = self._context
        subject = Subject(stage=stage, texts=texts, tenant=context.tenant, route=context.route, call_id=context.call_id)
        try:
            verdict = await _within(bound.timeout, bound.guard.check(subject))
            _validate(verdict, texts)
        except Exception as error:  # a guard is anybody's code: whatever it raises is no verdict
            self._note(bound, stage, "failed" if bound.refuses else "error", {})
            if not bound.refuses:
                return None
            raise Refusal(
                "guard_failed",
                f"the guard '{bound.name}' could not decide, so the call is refused; "
                "an operator may set its on_error to pass",
            ) from error
        if verdict.action == "block":
            self._blocked(bound, stage, verdict)
        return verdict

    def _blocked(self, bound: _Bound, stage: When, verdict: Verdict) -> None:
        self._note(bound, stage, "block", _labelled(bound, verdict.findings))
        reason = f": {verdict.reason}" if verdict.reason else ""
        raise Refusal("guard_blocked", f"the guard '{bound.name}' does not let this pass{reason}")

    def _note(
        self,
        bound: _Bound,
        stage: When,
        action: Literal["allow", "replace", "block", "error", "failed"],
        findings: dict[str, int],
    ) -> None:
        self._outcomes.append(GuardOutcome(guard=bound.name, stage=stage, action=action, findings=findings))


def _bind(name: str, guards: Mapping[str, GuardSettings]) -> _Bound:
    settings = guards.get(name)
    if settings is None:
        raise ConfigError(f"there is no guard '{name}'", where="gateway.guards", fix=nearest_hint(name, list(guards)))
    where = f"gateway.guards.{name}"
    try:
        guard: Guard = plugins.load("guards", settings.type)(settings.options)
    except UserError as error:
        raise ConfigError(error.message, where=error.where or where, expected=error.expected, fix=error.fix) from error
    wanted = frozenset(settings.stages) if settings.stages is not None else guard.stages
    if settings.stages is None and "before" in wanted:
        # Both look at the same texts.
        wanted -= {"beside"}
    if not wanted <= guard.stages:
        raise ConfigError(
            f"the guard '{name}' cannot look at the stage '{min(wanted - guard.stages)}'",
            where=f"{where}.stages",
            expected=", ".join(sorted(guard.stages)),
        )
    return _Bound(name, guard, wanted, settings.on_error == "refuse", settings.timeout, set())


def _look(texts: Texts, value: Any, shape: Shape | None) -> None:
    if shape is None or not isinstance(value, dict):
        texts.look_everywhere([value], 0)
    else:
        texts.look(value, shape)


async def _within(seconds: float, answer: Awaitable[Verdict]) -> Verdict:
    async with asyncio.timeout(seconds):
        return await answer


def _validate(verdict: Verdict, texts: tuple[str, ...]) -> None:
    """Refuse a verdict that does not fit its texts: it counts as none.

    Raises:
        ValueError: for it.
    """
    if verdict.action == "replace":
        given = verdict.edits or verdict.texts
        if len(given) != len(texts):
            raise ValueError(f"{len(given)} texts for {len(texts)}")
        for text, edits in zip(texts, verdict.edits, strict=False):
            at = 0
            for edit in edits:
                if not at <= edit.start < edit.end <= len(text):
                    raise ValueError("edits overlap, or stand outside of the text")
                at = edit.end
    elif verdict.action not in {"allow", "block"}:
        raise ValueError(f"no such action: {verdict.action}")


def _edits(verdict: Verdict, texts: tuple[str, ...]) -> Sequence[Sequence[Edit]]:
    """Return the changes of each text, worked out where the guard gives texts alone."""
    return verdict.edits or [_difference(text, new) for text, new in zip(texts, verdict.texts, strict=True)]


def _difference(old: str, new: str) -> Sequence[Edit]:
    """Return the one change from the first difference to the last; none where there is no difference."""
    if old == new:
        return ()
    most, begin, behind = min(len(old), len(new)), 0, 0
    while begin < most and old[begin] == new[begin]:
        begin += 1
    while behind < most - begin and old[-1 - behind] == new[-1 - behind]:
        behind += 1
    if begin + behind == len(old):
        # Nothing goes, something comes: the character beside it stands for the place.
        begin, behind = (begin - 1, behind) if begin else (begin, behind - 1)
    return (Edit(start=begin, end=len(old) - behind, text=new[begin : len(new) - behind]),)


def _edited(text: str, edits: Sequence[Edit]) -> str:
    parts: list[str] = []
    at = 0
    for edit in edits:
        parts += (text[at : edit.start], edit.text)
        at = edit.end
    parts.append(text[at:])
    return "".join(parts)


def _labelled(bound: _Bound, findings: Mapping[str, int]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for kind, count in findings.items():
        counts[bound.label(kind)] += count
    return dict(counts)
