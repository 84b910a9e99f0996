"""The verdicts: each row and each metric of a record beside the replay's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pilothouse.core.canonical import digest_file
from pilothouse.evaluation.statistics.intervals import wilson
from pilothouse.experiments.migration.history.types import RecordedRow, Recording
from pilothouse.experiments.migration.verify.answers import model_nodes
from pilothouse.experiments.migration.verify.compare import differences
from pilothouse.experiments.migration.verify.faults import (
    Retyped,
    data_notes,
    explained_by_inputs,
    paired_wrongly,
    retyped,
)
from pilothouse.experiments.migration.verify.replay import Replay
from pilothouse.experiments.migration.verify.types import (
    Agreement,
    Difference,
    MetricReport,
    RowReport,
    Rules,
    Verification,
)
from pilothouse.flows.types import Flow

_ANSWERED = ("equal", "alike", "differs")
_SHOWN = 6


def verification(recording: Recording, done: Replay, rules: Rules) -> Verification:
    """Return what a replay showed."""
    rows = _rows(recording, done, rules)
    agreed, compared = (sum(row.verdict in verdicts for row in rows) for verdicts in (("equal", "alike"), _ANSWERED))
    replayed = done.answers.nodes
    return Verification(
        flow=done.run.flow.path,
        against=recording.facts.name,
        where=recording.where,
        made_by=recording.made_by,
        run=done.run.name,
        rows=rows,
        metrics=_metrics(recording, done, rules),
        counts=dict(Counter(row.verdict for row in rows)),
        agreement=Agreement(agreed=agreed, compared=compared, interval=wilson(agreed, compared)),
        replayed=tuple(sorted(replayed)),
        asked=tuple(name for name in model_nodes(done.flow) if name not in replayed),
        notes=tuple(dict.fromkeys(_notes(recording, done))),
    )


def _rows(recording: Recording, done: Replay, rules: Rules) -> tuple[RowReport, ...]:
    known = {row.id for row in recording.rows}
    told = [_row(row, done.rows.get(row.id), done, rules) for row in recording.rows]
    added = [RowReport(id=row_id, verdict="missing there") for row_id in done.rows if row_id not in known]
    return (*told, *added)


def _row(there: RecordedRow, here: RecordedRow | None, done: Replay, rules: Rules) -> RowReport:
    if here is None or here.state == "missing":
        reason = here.error if here is not None else "the data has no such row"
        return RowReport(id=there.id, verdict="missing here", here=reason)
    if there.state == "missing":
        return RowReport(id=there.id, verdict="missing there", there="it has inputs and no outcome")
    changed = retyped(there.inputs, here.inputs)
    if there.state == "failed" or here.state == "failed":
        if there.state == here.state:
            return RowReport(id=there.id, verdict="failed in both", there=there.error, here=here.error)
        verdict = "failed there" if there.state == "failed" else "failed here"
        is_odd = verdict == "failed there" and changed and "nan" in there.error.lower()
        why = "; ".join(f"the input '{item.name}' was {item.what}" for item in changed) if is_odd else ""
        return RowReport(id=there.id, verdict=verdict, there=there.error, here=here.error, explanation=why)
    found = (*differences(there.outputs, here.outputs, rules), *done.answers.different.get(there.id, ()))
    if not found:
        return RowReport(id=there.id, verdict="equal")
    if all(item.alike for item in found):
        return RowReport(id=there.id, verdict="alike", differences=found)
    node = _first_node(done.flow, there, here, rules)
    return RowReport(
        id=there.id,
        verdict="differs",
        differences=found,
        node=node,
        explanation=_explained(there, here, found, changed),
        by_model=node in model_nodes(done.flow) and node not in done.answers.nodes,
    )


def _explained(
    there: RecordedRow, here: RecordedRow, found: tuple[Difference, ...], changed: tuple[Retyped, ...]
) -> str:
    """Return why the record of a row is wrong, when that accounts for every output that differs."""
    if any(item.path.startswith("node ") for item in found):
        return ""
    outputs = {item.path.split(".")[1].split("[")[0] for item in found if not item.alike and "." in item.path}
    reasons = {explained_by_inputs(there.outputs.get(name), here.outputs.get(name), changed) for name in outputs}
    return "" if "" in reasons else "; ".join(sorted(reasons))


def _first_node(flow: Flow, there: RecordedRow, here: RecordedRow, rules: Rules) -> str:
    for node in flow.nodes:
        left, right = there.nodes.get(node.name), here.nodes.get(node.name)
        if left is None or right is None:
            continue
        if left.state != right.state or any(not d.alike for d in differences(left.output, right.output, rules)):
            return node.name
    return flow.nodes[0].name if flow.kind == "prompty" else ""


def _metrics(recording: Recording, done: Replay, rules: Rules) -> tuple[MetricReport, ...]:
    there, here = recording.metrics, done.run.metrics
    why = _why_metrics(recording, done)
    told: list[MetricReport] = []
    for name in dict.fromkeys((*there, *here)):
        if name not in there or name not in here:
            verdict = "missing there" if name not in there else "missing here"
            told.append(MetricReport(name=name, verdict=verdict, there=there.get(name), here=here.get(name)))
            continue
        found = list(differences(there[name], here[name], rules))
        verdict = "equal" if not found else "alike" if all(item.alike for item in found) else "differs"
        told.append(
            MetricReport(
                name=name,
                verdict=verdict,
                there=there[name],
                here=here[name],
                explanation=why if verdict == "differs" else "",
            )
        )
    return tuple(told)


def _why_metrics(recording: Recording, done: Replay) -> str:
    """Return why the record's figures are wrong; over other rows than the record's, nobody can tell."""
    here = {row.id for row in done.rows.values() if row.state == "completed"}
    if here != {row.id for row in recording.completed}:
        return ""
    return paired_wrongly(recording, done.flow)


def _why_init(recording: Recording, flow: Flow) -> str:
    """Return which argument of a class prompt flow passed on as text, as it does with all of its command line."""
    texts = [
        name
        for name, value in recording.facts.init.items()
        if isinstance(value, str) and name in flow.init and flow.init[name].type in {"int", "double", "bool"}
    ]
    if not texts:
        return ""
    return f"prompt flow passed {', '.join(texts)} of --init to the class as text; here it has its annotated type"


def _notes(recording: Recording, done: Replay) -> list[str]:
    notes = [*recording.notes, *data_notes(recording), *done.notes]
    if recording.made_by == "prompt flow":
        notes += [*_gaps(recording), *_resumed(recording, done.flow), *_changed_files(recording, done.flow)]
        notes += [why] if (why := _why_init(recording, done.flow)) else []
    if done.run.error is not None:
        notes.append(f"the replay's aggregation failed: {done.run.error.message}")
    there, here = len(recording.completed), sum(row.state == "completed" for row in done.rows.values())
    if recording.metrics and there != here:
        notes.append(f"the recorded metrics are over {there} rows, those of the replay over {here}")
    unused = {name for row in recording.rows for name in row.inputs} - set(done.flow.inputs)
    if unused:
        notes.append(f"recorded inputs that the flow does not have: {', '.join(sorted(unused))}")
    if done.flow.kind == "prompty" and done.answers.nodes:
        notes.append("a prompty is one call of a model: only its rendering was tried, its answers are the record's")
    return notes


def _gaps(recording: Recording) -> list[str]:
    numbers = {int(row.id) for row in recording.rows}
    absent = [str(number) for number in range(max(numbers, default=-1) + 1) if number not in numbers]
    if not absent:
        return []
    shown = ", ".join(absent[:_SHOWN]) + (f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else "")
    source = f" of '{recording.facts.source_run}'" if recording.facts.source_run else ""
    return [f"prompt flow left out row {shown}: it drops rows{source} without an answer and does not say so"]


def _resumed(recording: Recording, flow: Flow) -> list[str]:
    if paired_wrongly(recording, flow):
        return ["the recorded run paired rows wrongly after a resume; its metrics cannot be trusted"]
    if recording.facts.resumed_from:
        return [f"the recorded run was resumed from '{recording.facts.resumed_from}'; its rows are paired rightly"]
    return []


def _changed_files(recording: Recording, flow: Flow) -> list[str]:
    """Return which sources of nodes are not those that the recorded run kept; the flow's file it wrote anew."""
    kept = Path(recording.where) / "snapshot"
    names = {node.source.path for node in flow.nodes if node.source.path}
    changed = [
        name
        for name in sorted(names)
        if (kept / name).is_file()
        and (flow.folder / name).is_file()
        and digest_file(kept / name) != digest_file(flow.folder / name)
    ]
    return [f"changed since the recorded run: {', '.join(changed)}"] if changed else []
