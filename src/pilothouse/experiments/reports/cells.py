"""Rows as the page's table shows them: short, marked right or wrong, with the whole behind a fold."""

from __future__ import annotations

from msgspec import Struct

from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.comparison import Answer, Arm, RowView
from pilothouse.experiments.reports.visible import clip, plain, shorten

MOST_TEXT = 2000
SHORT_TEXT = 160
SHORT_ERROR = 28

_STATE_WORDS = {"r": ("right", "right"), "w": ("wrong", "wrong"), "f": ("failed", "failed"), "u": ("plain", "")}


class Cell(Struct, frozen=True, kw_only=True):
    """One arm's answer as the table shows it."""

    state: str
    css: str
    short: str
    more: str = ""
    word: str = ""


class ShownRow(Struct, frozen=True, kw_only=True):
    """One row as the table shows it; the strings of one character an arm are what the filters read."""

    key: str
    inputs: tuple[tuple[str, str], ...]
    truth: str
    cells: tuple[Cell, ...]
    states: str
    slow: str
    differ: bool
    truth_index: str
    label_indices: str


def shown_row(row: RowView, arms: tuple[Arm, ...], labels: dict[str, int]) -> ShownRow:
    """Return a row for the table; ``labels`` numbers the labels that filters know."""
    cells = tuple(_cell(answer) for answer in row.answers)
    slow = "".join("1" if _is_slow(answer, arm) else "0" for answer, arm in zip(row.answers, arms, strict=True))
    return ShownRow(
        key=row.key,
        inputs=tuple((name, shorten(plain(value), MOST_TEXT)) for name, value in row.inputs.items()),
        truth=row.truth or "",
        cells=cells,
        states="".join(cell.state for cell in cells),
        slow=slow,
        differ=row.disagree,
        truth_index=_number(row.truth, labels),
        label_indices=",".join(_number(answer.label if answer else None, labels) for answer in row.answers),
    )


def _is_slow(answer: Answer | None, arm: Arm) -> bool:
    limit = arm.latency.p95
    return answer is not None and answer.duration is not None and limit is not None and answer.duration >= limit


def _number(label: str | None, labels: dict[str, int]) -> str:
    return str(labels[label]) if label in labels else ""


def _cell(answer: Answer | None) -> Cell:
    if answer is None:
        return Cell(state="u", css="plain", short="no such row")
    state = "f" if answer.error is not None else "u" if answer.right is None else "r" if answer.right else "w"
    css, word = _STATE_WORDS[state]
    whole = _shown_text(answer) if answer.error is None else answer.error
    limit = SHORT_TEXT if answer.error is None else SHORT_ERROR
    return Cell(state=state, css=css, short=clip(whole, limit), more=_details(answer, whole, limit), word=word)


def answer_text(answer: Answer) -> str:
    """Return what an arm answered: its label, its only output, or all outputs as JSON."""
    if answer.label is not None:
        return answer.label
    if len(answer.outputs) == 1:
        return plain(next(iter(answer.outputs.values())))
    return plain(answer.outputs) if answer.outputs else ""


def _shown_text(answer: Answer) -> str:
    """Return what a cell begins with: of several outputs the first, where it is a text; the others are folded away."""
    first = next(iter(answer.outputs.values()), None)
    return first if answer.label is None and isinstance(first, str) else answer_text(answer)


def _details(answer: Answer, whole: str, limit: int) -> str:
    lines = [shorten(whole, MOST_TEXT)] if len(whole) > limit else []
    for name, value in answer.outputs.items():
        text = plain(value)
        if text != whole:
            lines.append(f"{name}: {shorten(text, MOST_TEXT)}")
    lines += [f"{name} = {plain(value)}" for name, value in answer.scores.items() if answer.error is None]
    if answer.duration is not None:
        lines.append(numbers.seconds(answer.duration) + (" (from cache)" if answer.cached else ""))
    return "\n".join(lines)
