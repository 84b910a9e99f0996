"""The confusion matrix as a heat map; every cell leads to its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from pilothouse.experiments.reports.plots import svg
from pilothouse.experiments.reports.visible import clip

TOP = 42
MOST_CELL = 78
LETTER = 7.2
LEAST_WIDTH = 320


class Matrix(Struct, frozen=True, kw_only=True):
    """Counts of (truth, answer).

    Attributes:
        truths: Names of the rows.
        answers: Names of the columns: the truths in the same order, then whatever else was answered.
        counts: ``counts[truth][answer]``.
    """

    truths: tuple[str, ...]
    answers: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def confusion_plot(matrix: Matrix, *, title: str, link: Callable[[int, int], str]) -> str:
    """Return the heat map; a cell's shade is its share of the rows of that truth.

    Args:
        matrix: The counts.
        title: Which arm it is.
        link: From the indices of truth and answer to the attributes of the cell's link, ready to stand in a tag.
    """
    left = min(max(len("truth ↓"), *(len(label) for label in matrix.truths)), 15) * LETTER + 16
    width = min((svg.WIDTH - left - 8) / max(len(matrix.answers), 1), MOST_CELL)
    height = min(width, 46.0)
    letters = max(int(width / LETTER), 2)
    body = [
        svg.text(left, 14, "answer →", css="tick"),
        svg.text(left - 8, TOP - 8, "truth ↓", css="tick", anchor="end"),
    ]
    body += [
        _label((left + (column + 0.5) * width, TOP - 8), label, letters, "middle")
        for column, label in enumerate(matrix.answers)
    ]
    for row, truth in enumerate(matrix.truths):
        body.append(_label((left - 8, TOP + (row + 0.5) * height + 4), truth, 15, "end"))
        total = sum(matrix.counts[row])
        for column, answer in enumerate(matrix.answers):
            found = matrix.counts[row][column]
            corner = (left + column * width, TOP + row * height)
            cell = _cell(corner, (width, height), found, found / total if total else 0.0, right=row == column)
            words = svg.attr(f"truth {truth}, answer {answer}: {found} {'row' if found == 1 else 'rows'}")
            body.append(
                f'<a {link(row, column)} aria-label="{words}"><title>{words}</title>{cell}</a>' if found else cell
            )
    # Few classes make a narrow plot, so that its text is not scaled down beside its neighbours.
    wide = max(left + width * len(matrix.answers) + 8, LEAST_WIDTH)
    return svg.frame(body, TOP + height * len(matrix.truths) + 8, title, "Rows are truths, columns answers.", wide)


def reduce(labels: Sequence[str], matrix: Sequence[Sequence[int]], most: int) -> Matrix:
    """Return the matrix of at most ``most`` classes: those with most errors, the others summed up in one.

    Args:
        labels: The classes.
        matrix: ``matrix[truth][answer]`` with one more column at its end: answers that are no class.
        most: Classes that are told apart.
    """
    n = len(labels)
    errors = [
        sum(matrix[row]) - matrix[row][row] + sum(matrix[other][row] for other in range(n) if other != row)
        for row in range(n)
    ]
    kept = sorted(sorted(range(n), key=lambda row: (-errors[row], row))[:most]) if n > most else list(range(n))
    rest = [row for row in range(n) if row not in set(kept)]
    groups = [[row] for row in kept] + ([rest] if rest else [])
    names = [labels[row] for row in kept] + ([f"{len(rest)} others"] if rest else [])
    unreadable = any(row[-1] for row in matrix)
    columns = groups + ([[n]] if unreadable else [])
    counts = tuple(
        tuple(sum(matrix[row][column] for row in truths for column in answers) for answers in columns)
        for truths in groups
    )
    return Matrix(truths=tuple(names), answers=(*names, *(("(none)",) if unreadable else ())), counts=counts)


def _label(place: tuple[float, float], label: str, letters: int, anchor: str) -> str:
    short = clip(label, letters)
    inner = svg.text(*place, short, css="tick", anchor=anchor)
    return inner if short == label else f"<g><title>{svg.attr(label)}</title>{inner}</g>"


def _cell(corner: tuple[float, float], size: tuple[float, float], count: int, share: float, *, right: bool) -> str:
    (x, y), (width, height) = corner, size
    box = (
        f'x="{svg.num(x + 1)}" y="{svg.num(y + 1)}" width="{svg.num(width - 2)}" height="{svg.num(height - 2)}" rx="3"'
    )
    kind = f'cell {"right" if right else "wrong"}" fill-opacity="{0.08 + 0.86 * share:.2f}' if count else "cell none"
    ink = "count nil" if not count else "count strong" if share > 0.5 else "count"
    number = svg.text(x + width / 2, y + height / 2 + 4.5, f"{count:,}", css=ink, anchor="middle")
    return f'<rect {box} class="{kind}"/>{number}'
