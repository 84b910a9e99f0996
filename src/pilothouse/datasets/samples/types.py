"""The nouns of sample data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from pilothouse.core.packages import PackageFile


class SampleRow(Struct, frozen=True, kw_only=True):
    """One row of a corpus.

    Attributes:
        id: Where it stands in the original: stable, however many rows are taken.
        data: Its other columns, cleaned; the first one decides its place in the choice.
        label: What it is; a choice has equally many rows of each label. Empty where rows have none.
    """

    id: str
    data: dict[str, str]
    label: str = ""

    @property
    def first(self) -> str:
        """The text that the row is about."""
        return next(iter(self.data.values()))


class Document(Struct, frozen=True, kw_only=True):
    """A text that the questions of a corpus are asked about."""

    id: str
    text: str


class Cleaned(Struct, frozen=True, kw_only=True):
    """The whole of a corpus, ready to choose from.

    Attributes:
        rows: Without duplicates, in the order of the original.
        done: What was done -> how often, in words a person reads.
        documents: All texts to search, where the corpus has any.
    """

    rows: tuple[SampleRow, ...]
    done: dict[str, int]
    documents: tuple[Document, ...] = ()


class Sample(Struct, frozen=True, kw_only=True):
    """One corpus that can be pulled.

    Attributes:
        name: What people type.
        title: The corpus as its makers call it.
        about: What it is, in a sentence or two.
        file: Where it comes from.
        licence: The terms, in one line.
        terms: The terms in full sentences.
        citation: How to name it in a publication.
        clean: Reads the fetched file.
    """

    name: str
    title: str
    about: str
    file: PackageFile
    licence: str
    terms: str
    citation: str
    clean: Callable[[Path], Cleaned]

    @property
    def stem(self) -> str:
        """The beginning of the names of its files."""
        return self.name.replace("-", "_")


def counted(labels: Mapping[str, int]) -> str:
    """Return ``40 ham, 40 spam``, or ``60 rows`` where rows have no label."""
    return ", ".join(f"{count:,} {label or 'rows'}" for label, count in sorted(labels.items()))


class PulledSample(Struct, frozen=True, kw_only=True):
    """What a pull left in the folder.

    Attributes:
        name: The sample.
        licence: Its terms, in one line.
        rows: The data: ``id`` and the sample's columns.
        examples: A few more rows, none of them in the data, to show a model.
        documents: The texts to search, where the sample has any: ``id,text``.
        readme: Source, licence, citation and what was cleaned.
        labels: Label -> rows of the data; one entry with an empty label where rows have none.
        is_new: Whether a file was written; otherwise all were there already.
    """

    name: str
    licence: str
    rows: Path
    examples: Path
    documents: Path | None = None
    readme: Path
    labels: dict[str, int]
    is_new: bool
