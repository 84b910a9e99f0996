"""Cost and time of what is left: from what earlier runs measured, else from prompts; the unknown stays unknown."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from pilothouse.core.errors import UserError
from pilothouse.datasets.mapping import ColumnMapping, default_mapping
from pilothouse.datasets.types import Row
from pilothouse.experiments.design.preparation import PreparedArm
from pilothouse.experiments.design.sharing import Calls
from pilothouse.experiments.runs.types import FINISHED, Run, RunRow
from pilothouse.flows.dag.includes import find_source
from pilothouse.flows.nodes.llm import model_named
from pilothouse.flows.nodes.parameters import MODEL_NAMES
from pilothouse.flows.prompts.templates import read_template
from pilothouse.flows.types import LiteralValue, Node
from pilothouse.models.service import ModelService
from pilothouse.models.types import Usage

MOST_RUNS = 20
"""Earlier runs that are looked at, the latest first."""

MOST_ROWS = 200
"""Rows of each, and rows whose prompts are rendered."""

LETTERS = 4
"""Letters of a token, where nothing was measured: a rule of thumb for English."""

Rows = Callable[[Run], Iterable[RunRow]]


class Tokens(Struct, frozen=True, kw_only=True):
    """Tokens of one call, on average.

    Attributes:
        provider: Who serves the model.
        model: The model.
        input: Of the prompt.
        output: Of the answer; None when only its limit is known, or nothing.
        limit: Most tokens of the answer; None when there is no limit.
        basis: Where the figures come from.
    """

    provider: str
    model: str
    input: float
    output: float | None = None
    limit: int | None = None
    basis: str


class Cost(Struct, frozen=True, kw_only=True):
    """US dollars of the model calls that are left, judges not counted.

    Attributes:
        low: At least; None when nothing is known.
        high: As far as is known, at most; None when something is not.
        input_tokens: Tokens of the prompts whose size is known.
        output_tokens: Tokens of the answers whose size is known.
        basis: Where the figures come from.
        unknown: What is not in them.
    """

    low: Decimal | None = None
    high: Decimal | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    basis: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Time(Struct, frozen=True, kw_only=True):
    """Seconds that the rows which are left take, judges not counted; None when nothing was measured."""

    seconds: float | None = None
    basis: str = ""


class _Seen(NamedTuple):
    """One earlier call."""

    run: Run
    node: str
    provider: str
    model: str
    usage: Usage


class History:
    """What earlier runs of a flow measured.

    Args:
        flow: The flow's name.
        runs: Runs of the project, the latest first.
        rows: Returns the rows of a run.
    """

    def __init__(self, flow: str, runs: Iterable[Run], rows: Rows) -> None:
        ended = (run for run in runs if run.flow.name == flow and run.status in FINISHED and run.counts.completed)
        self._runs = list(itertools.islice(ended, MOST_RUNS))
        self._seen: list[_Seen] = []
        for run in self._runs:
            for row in itertools.islice(rows(run), MOST_ROWS):
                for node in row.nodes:
                    usage = node.usage or node.cached_usage
                    if usage is not None and node.model:
                        self._seen.append(_Seen(run, node.node, node.provider or "", node.model, usage))

    def tokens(self, arm: PreparedArm, node: str, model: str) -> Tokens | None:
        """Return what calls of a node took: in runs that asked it for the same, else wherever that model answered.

        Args:
            arm: The arm.
            node: The node.
            model: The model as it is asked for, which may not be as it calls itself; empty for any.
        """
        own = [item for item in self._seen if item.node == node]
        found = [item for item in own if _asks_alike(item.run, arm, node)] or [
            item for item in own if not model or item.model == model or item.model.startswith(f"{model}-")
        ]
        if not found:
            return None
        provider, seen = found[0].provider, found[0].model
        usages = [item.usage for item in found if (item.provider, item.model) == (provider, seen)]
        return Tokens(
            provider=provider,
            model=seen,
            input=sum(usage.input_tokens for usage in usages) / len(usages),
            output=sum(usage.output_tokens for usage in usages) / len(usages),
            basis=f"{node}: {len(usages):,} earlier calls of {seen}",
        )

    def pace(self, arm: PreparedArm) -> tuple[float, str] | None:
        """Return seconds a row, and the run that measured them: of the same arm where there is one."""
        measured = [run for run in self._runs if not run.cache.hits and run.duration > 0]
        alike = [
            run
            for run in measured
            if run.spec.connections == arm.placed.connections and run.variants == arm.flow.variants
        ]
        run = next(iter(alike or measured), None)
        if run is None:
            return None
        return run.duration / sum(attempt.rows for attempt in run.attempts), run.name


def _asks_alike(run: Run, arm: PreparedArm, node: str) -> bool:
    """Return whether a run's node asked the model that it asks in an arm."""

    def asked(connections: Mapping[str, Mapping[str, object]]) -> list[object]:
        return [connections.get(node, {}).get(key) for key in (*MODEL_NAMES, "connection")]

    is_same = run.flow.digest == arm.flow.digest and run.variants.get(node) == arm.flow.variants.get(node)
    return is_same and asked(run.spec.connections) == asked(arm.placed.connections)


class Estimator:
    """Estimates what calls cost.

    Args:
        models: Knows connections and prices.
        history: What earlier runs measured.
        rows: The first rows of the data.
        now: Whose prices count.
    """

    def __init__(self, models: ModelService, history: History, rows: Sequence[Row], now: datetime) -> None:
        self._models = models
        self._history = history
        self._rows = rows
        self._now = now

    def cost(self, calls: Sequence[Calls]) -> Cost:
        """Return what calls will cost."""
        low, high = Decimal(0), Decimal(0)
        known, is_whole = not any(item.lines for item in calls), True
        tokens_in = tokens_out = 0.0
        basis: dict[str, None] = {}
        unknown: dict[str, None] = {}
        for item in calls:
            if not item.lines:
                continue
            found = self._tokens(item)
            if found is None:
                unknown[f"tokens of '{item.node.name}'"] = None
                is_whole = False
                continue
            basis[found.basis] = None
            tokens_in += found.input * item.lines
            tokens_out += (found.output or 0.0) * item.lines
            least = self._price(found, found.output or 0.0)
            most = found.output if found.output is not None else found.limit
            if least is None:
                unknown[f"price of {found.provider}/{found.model}"] = None
                is_whole = False
                continue
            known = True
            low += least * item.lines
            if most is None:
                unknown[f"length of the answers of '{item.node.name}'"] = None
                is_whole = False
            else:
                high += (self._price(found, most) or least) * item.lines
        return Cost(
            low=low if known else None,
            high=high if known and is_whole else None,
            input_tokens=round(tokens_in),
            output_tokens=round(tokens_out),
            basis=tuple(basis),
            unknown=tuple(unknown),
        )

    def time(self, arms: Sequence[PreparedArm], left: Sequence[int]) -> Time:
        """Return how long the lines take that are left of each arm."""
        total, basis = 0.0, dict[str, None]()
        for arm, lines in zip(arms, left, strict=True):
            pace = self._history.pace(arm) if lines else (0.0, "")
            if pace is None:
                return Time()
            total += pace[0] * lines
            if pace[1]:
                basis[pace[1]] = None
        names = list(basis)
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return Time(seconds=total, basis=f"the pace of the run {names[0]}{more}" if names else "nothing is left")

    def _price(self, tokens: Tokens, output: float) -> Decimal | None:
        """Return the price of a call of average size; None when it is not known."""
        usage = Usage(input_tokens=math.ceil(tokens.input), output_tokens=math.ceil(output))
        return self._models.price(tokens.provider, tokens.model, usage, self._now)

    def _tokens(self, calls: Calls) -> Tokens | None:
        node, flow = calls.node, calls.arm.flow
        literals = {name: item.value for name, item in node.inputs.items() if isinstance(item, LiteralValue)}
        if flow.prompty is not None:
            literals = {**flow.prompty.parameters, **literals}
        provider, model = self._asked(node, literals)
        measured = self._history.tokens(calls.arm, node.name, model)
        return measured or self._rendered(calls, literals, provider, model)

    def _asked(self, node: Node, literals: dict[str, object]) -> tuple[str, str]:
        if node.connection is None:
            return "", str(literals.get("model") or literals.get("deployment_name") or "")
        try:
            connection, client = self._models.connection(node.connection), self._models.client(node.connection)
        except UserError:
            return "", ""
        return client.provider, model_named(connection, literals) or connection.get("model") or ""

    def _rendered(self, calls: Calls, literals: dict[str, object], provider: str, model: str) -> Tokens | None:
        """Return the size of the prompts of a node that reads nothing but the row; None for other nodes."""
        node, flow = calls.node, calls.arm.flow
        needs = [item for item in node.inputs.values() if not isinstance(item, LiteralValue)]
        path = find_source(flow.folder, flow.additional_includes, node.source.path or "")
        if flow.kind != "dag" or path is None or any(item.source != "input" for item in needs) or not self._rows:
            return None
        prompt = self._prompting(calls, path)
        sizes = [len(text) for row in self._rows if (text := prompt(row)) is not None]
        if not sizes:
            return None
        limit = literals.get("max_tokens") or literals.get("max_completion_tokens")
        return Tokens(
            provider=provider,
            model=model,
            input=sum(sizes) / len(sizes) / LETTERS,
            limit=limit if isinstance(limit, int) else None,
            basis=f"{node.name}: the prompts of {len(sizes):,} rows, {LETTERS} letters a token",
        )

    def _prompting(self, calls: Calls, path: Path) -> Callable[[Row], str | None]:
        """Return what makes the prompt of a row; None for a row of which none can be made."""
        flow, template = calls.arm.flow, read_template(path)
        needs = {name: item.has_default for name, item in flow.inputs.items() if name not in calls.arm.mapping}
        mapping = ColumnMapping.parse({**default_mapping(needs), **calls.arm.mapping}, ("data",))
        defaults = {name: item.default for name, item in flow.inputs.items() if item.has_default}

        def prompt(row: Row) -> str | None:
            try:
                given = {**defaults, **mapping.apply({"data": row.data}, optional=flow.inputs)}
                values = {
                    name: item.value if isinstance(item, LiteralValue) else given.get(item.name)
                    for name, item in calls.node.inputs.items()
                }
                return template.render(values)
            except UserError:
                return None

        return prompt
