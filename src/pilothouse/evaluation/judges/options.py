"""What a judge is made of, as an experiment's file says it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from pilothouse.core.errors import ConfigError
from pilothouse.core.structs import convert
from pilothouse.evaluation.judges.panel import Panel
from pilothouse.evaluation.judges.rubric import Example, Kind, Rubric
from pilothouse.evaluation.judges.seats import Asking, Seat, Seats
from pilothouse.evaluation.media.loading import MOST_BYTES, Loader
from pilothouse.evaluation.media.loading import Kind as MediaKind
from pilothouse.flows.nodes.work import ModelLookup


class JudgeOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the evaluators `judge` and `pairwise`.

    Attributes:
        question: Asked of every row.
        kind: ``binary`` or ``ordinal``.
        levels: Of an ordinal rubric: level -> what earns it.
        guidance: What to look at and what to leave aside.
        examples: Rows that were judged rightly.
        connection: The judge's connection; ``panel`` in its place names several judges.
        model: Its model; the connection's own when empty.
        panel: Several judges, whose verdicts are put together.
        votes: Times each judge is asked about a row.
        temperature: Of all judges.
        max_tokens: Of an answer, its reason included.
        timeout: Seconds an answer may take.
        media: Arguments whose texts are files of the project or addresses -> ``image`` or ``audio``. Images and sounds
            that a flow recorded are known without it.
        max_media_bytes: Bytes of images and sounds that a row may hold.
    """

    question: str
    kind: Kind = "binary"
    levels: dict[int, str] = field(default_factory=dict)
    guidance: str = ""
    examples: tuple[Example, ...] = ()
    connection: str = ""
    model: str = ""
    panel: tuple[Seat, ...] = ()
    votes: int = 1
    temperature: float = 0.0
    max_tokens: int = 512
    timeout: float = 120.0
    media: dict[str, MediaKind] = field(default_factory=dict)
    max_media_bytes: int = MOST_BYTES

    def rubric(self) -> Rubric:
        """Return what is asked."""
        return Rubric(
            question=self.question, kind=self.kind, levels=self.levels, guidance=self.guidance, examples=self.examples
        )

    def loader(self, root: Path) -> Loader:
        """Return what finds images and sounds in rows."""
        return Loader(root, self.media, self.max_media_bytes)

    def seat(self, rubric: Rubric, models: ModelLookup) -> Panel:
        """Return the judges."""
        one = (Seat(connection=self.connection, model=self.model),) if self.connection else ()
        asking = Asking(
            votes=self.votes, temperature=self.temperature, max_tokens=self.max_tokens, timeout=self.timeout
        )
        return Panel(rubric, Seats(self.panel or one, models, asking))


def judge_options(given: dict[str, Any], where: str | None) -> JudgeOptions:
    """Return checked options.

    Raises:
        ConfigError: naming what is unknown, missing or of the wrong kind.
    """
    return convert(given, JudgeOptions, where=where or "options of a judge")


@contextmanager
def at(where: str | None) -> Generator[None]:
    """Say where a judge was asked for, when it cannot work as it was.

    Raises:
        ConfigError: as it was raised inside, with its place.
    """
    try:
        yield
    except ConfigError as error:
        raise ConfigError(error.message, where=error.where or where, expected=error.expected, fix=error.fix) from error
