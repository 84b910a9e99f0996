"""The nouns of sample data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from pilothouse.core.packages import PackageFile


class SampleRow(Struct, frozen=True, kw_only=True):
    """One labelled text.

    Attributes:
        id: Where it stands in the original: stable, however many rows are taken.
        text: The text, cleaned.
        label: What people said it is.
    """

    id: str
    text: str
    label: str


class Cleaned(Struct, frozen=True, kw_only=True):
    """The whole of a corpus, ready to choose from.

    Attributes:
        rows: Without duplicates, in the order of the original.
        done: What was done -> how often, in words a person reads.
    """

    rows: tuple[SampleRow, ...]
    done: dict[str, int]


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


class PulledSample(Struct, frozen=True, kw_only=True):
    """What a pull left in the folder.

    Attributes:
        name: The sample.
        licence: Its terms, in one line.
        rows: The data: ``id,text,label``.
        examples: A few more rows, none of them in the data, to show a model.
        readme: Source, licence, citation and what was cleaned.
        labels: Label -> rows of the data.
        is_new: Whether a file was written; otherwise all were there already.
    """

    name: str
    licence: str
    rows: Path
    examples: Path
    readme: Path
    labels: dict[str, int]
    is_new: bool
