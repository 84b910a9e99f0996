"""Tables of a terminal, all of one look; text of strangers is shown with its hidden characters written out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pilothouse.experiments.reports.visible import reveal

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

WIDTH = 80
STYLES = {"better": "green", "worse": "red", "inconclusive": "yellow", "single": "cyan"}


def new_table(title: str | None, columns: Sequence[str]) -> Table:
    """Return an empty table; a column whose name begins with ``>`` is set to the right."""
    from rich import box
    from rich.table import Table

    made = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        title_justify="left",
        title_style="bold",
        # A title wraps at its table's width, not at the terminal's.
        min_width=min(len(title or ""), WIDTH),
    )
    for column in columns:
        made.add_column(shown(column.lstrip(">")), justify="right" if column.startswith(">") else "left", no_wrap=True)
    return made


def shown(content: str) -> Text:
    """Return text with its hidden characters written out."""
    from rich.text import Text

    return Text(reveal(content))
