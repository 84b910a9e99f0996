"""The replay: the recorded inputs, or the data they came from, run through the flow as a run of ours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from msgspec import Struct, field

from pilothouse.core.errors import DataError, FlowError, Interrupted, NotFound
from pilothouse.core.services import Services
from pilothouse.core.storage.files import write_atomic
from pilothouse.experiments.migration.history.own import from_own
from pilothouse.experiments.migration.history.types import RecordedRow, Recording
from pilothouse.experiments.migration.verify.answers import Answers, ReplayRunner, chosen_nodes
from pilothouse.experiments.migration.verify.types import Rules
from pilothouse.experiments.runs.engine.execution import OnProgress
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.runfile import named, within
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Run, RunSpec
from pilothouse.flows.dag.variants import chosen, parse_variant
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Flow

_FOLDER: Final = "verify"
_ID: Final = "line_number"
_INPUTS: Final = "inputs"
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")


class Request(Struct, frozen=True, kw_only=True):
    """What is to be verified.

    Attributes:
        flow: The flow's folder or file.
        data: The data that the recorded run read; its recorded inputs when absent.
        column_mapping: Over that of the record, with ``data``.
        variants: Node -> variant id; those of the record when empty.
        init: Over the recorded arguments of a flex flow's class.
        replay_models: Whether nodes that ask a model are answered from the record.
        replay_nodes: Other nodes that are.
        rules: What counts as alike.
        concurrency: Rows in flight.
    """

    flow: Path
    data: str | None = None
    column_mapping: dict[str, Any] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)
    init: dict[str, Any] = field(default_factory=dict)
    replay_models: bool = False
    replay_nodes: tuple[str, ...] = ()
    rules: Rules = Rules()
    concurrency: int | None = None


class Replay(Struct, frozen=True, kw_only=True):
    """A replay that has ended.

    Attributes:
        flow: What was run, its variants chosen.
        run: Its run.
        rows: Its rows by id.
        answers: What was taken from the record.
        notes: What was done otherwise than asked or recorded.
    """

    flow: Flow
    run: Run
    rows: dict[str, RecordedRow]
    answers: Answers
    notes: tuple[str, ...] = ()


async def replay(
    services: Services, recording: Recording, request: Request, *, stop: Stop, on_progress: OnProgress | None = None
) -> Replay:
    """Run the recorded rows through a flow and return what came of them.

    Raises:
        UserError: the flow, the data or the request cannot be used; nothing is recorded then.
        Interrupted: it was stopped; the run that it made can be looked at.
    """
    flow, notes = _flow(services.root, recording, request)
    if not recording.rows:
        raise DataError("the recorded run has no rows", where=recording.where)
    nodes = chosen_nodes(flow, request.replay_nodes, models=request.replay_models)
    runs = services.get(RunService)
    name = _free_name(runs, f"verify-{_FOREIGN.sub('-', recording.facts.name).strip('-') or 'run'}")
    places = dict(enumerate(recording.rows))
    if request.data is None:
        spec = _from_record(services, recording, flow, name)
    else:
        spec = _from_data(services.root, recording, request)
        places = {int(row.id): row for row in recording.rows if row.id.isdecimal()}
    answers = Answers(places, recording.aggregation, nodes, request.rules)
    init = {**recording.facts.init, **request.init}
    spec = msgspec.structs.replace(
        spec,
        flow=within(services.root, named(services.root, request.flow)),
        name=name,
        variants={name: variant for name, variant in flow.variants.items() if _is_there(flow, name)},
        connections={"init": init} if init and flow.init else {},
        tags={"verifies": recording.facts.name},
        use_cache=False,
        concurrency=request.concurrency,
        max_failures=len(recording.rows),
    )
    runs = RunService.with_runners(services, _runner_of(answers))
    run = await runs.execute(spec, stop=stop, on_progress=on_progress)
    if run.status == "interrupted":
        raise Interrupted(
            f"the replay was stopped after {run.counts.done:,} rows; nothing was compared",
            fix=f"run the same command again, or look at them: pilothouse run show {run.name} --rows",
        )
    return Replay(
        flow=flow,
        run=run,
        rows={row.id: row for row in from_own(run, runs.rows(run)).rows},
        answers=answers,
        notes=tuple(notes),
    )


def _runner_of(answers: Answers) -> Any:
    def make(flow: Flow, **given: Any) -> ReplayRunner:
        return ReplayRunner(flow, answers=answers, **given)

    return make


def _flow(root: Path, recording: Recording, request: Request) -> tuple[Flow, list[str]]:
    """Return the flow with the variants of the record, where it still has them."""
    flow = load_flow(named(root, request.flow))
    if request.variants or not recording.facts.variant:
        return chosen(flow, request.variants), []
    variant = recording.facts.variant
    try:
        return chosen(flow, dict([parse_variant(variant)])), [f"run with the recorded variant {variant}"]
    except FlowError as error:
        raise FlowError(
            f"the recorded run used the variant {variant}: {error.message}",
            where=error.where,
            expected=error.expected,
            fix="name the variant to run instead with --variant",
        ) from error


def _from_record(services: Services, recording: Recording, flow: Flow, name: str) -> RunSpec:
    """Return a run over the recorded inputs, written down as data."""
    given = {key for row in recording.rows for key in row.inputs}
    for key, declared in flow.inputs.items():
        if key not in given and not declared.has_default and not declared.is_chat_history:
            raise DataError(
                f"the recorded rows have no input '{key}', which the flow needs",
                where=recording.where,
                expected=f"recorded are: {', '.join(sorted(given)) or 'none'}",
                fix="name the flow that the run was made with"
                + (f": {recording.facts.flow}" if recording.facts.flow else ""),
            )
    lines = [msgspec.json.encode({_ID: row.id, _INPUTS: _plain(row.inputs)}) for row in recording.rows]
    target = services.state / _FOLDER / f"{name}.jsonl"
    target.parent.mkdir(exist_ok=True)
    write_atomic(target, b"".join(line + b"\n" for line in lines))
    mapping = {key: f"${{data.{_INPUTS}.{key}}}" for key in flow.inputs if key in given}
    return RunSpec(flow="", data=within(services.root, target), id_column=_ID, column_mapping=mapping)


def _from_data(root: Path, recording: Recording, request: Request) -> RunSpec:
    """Return a run over the data that the recorded run read."""
    mapping = {**recording.facts.column_mapping, **request.column_mapping}
    if any(isinstance(value, str) and value.startswith("${run.") for value in mapping.values()):
        raise DataError(
            "the recorded run was given outputs of another run, which data alone cannot give",
            where=recording.where,
            fix="leave --data out: the recorded inputs are replayed then",
        )
    data = request.data or ""
    source = data if data.startswith("dataset:") else within(root, named(root, Path(data)))
    return RunSpec(flow="", data=source, column_mapping=mapping)


def _is_there(flow: Flow, name: str) -> bool:
    node = flow.node(name)
    return node is not None and node.use_variants


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: a number that is none becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    return value


def _free_name(runs: RunService, wanted: str) -> str:
    """Return ``wanted``, or with the first number behind it that no run has."""
    name, number = wanted, 1
    while True:
        try:
            runs.get(name)
        except NotFound:
            return name
        number += 1
        name = f"{wanted}-{number}"
