"""The nouns of datasets: rows, columns, versions and their differences."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

ChangeKind = Literal["added", "removed", "changed"]


class Row(Struct, frozen=True, kw_only=True):
    """One row of a dataset.

    Attributes:
        id: What joins it with rows of other sources: the value of the id column, else ``number`` as text.
        number: Its place in the dataset, from 0.
        data: Column -> JSON value, exactly as the file has it; a key the file leaves out is not here.
    """

    id: str
    number: int
    data: dict[str, Any]


class Column(Struct, frozen=True, kw_only=True):
    """What one column holds, over all rows.

    Attributes:
        name: The key.
        type: JSON types of its values other than null, joined by ``|``: ``string``, ``integer``, ``number`` (some are
            fractions), ``boolean``, ``object``, ``array``; ``null`` when there is no other.
        nulls: Rows that have null.
        absent: Rows that leave the key out.
    """

    name: str
    type: str
    nulls: int = 0
    absent: int = 0


class Profile(Struct, frozen=True, kw_only=True):
    """What one reading of all rows finds out.

    Attributes:
        rows: How many there are.
        columns: In the order of their first appearance.
        digest: SHA-256 of the rows as canonical JSON lines, in order; the same for every file format.
    """

    rows: int
    columns: tuple[Column, ...]
    digest: str


class DatasetVersion(Struct, frozen=True, kw_only=True):
    """One immutable state of a named dataset.

    Attributes:
        name: The dataset.
        number: 1, 2, 3 within the name.
        digest: Of its rows and of the choice of the id column.
        rows: How many.
        columns: What they hold.
        source: Where the rows came from.
        licence: Under which terms they may be used; None when nobody said.
        id_column: The column that names the rows; None = their place.
        blob: Digest of the blob that holds the rows, one line of canonical JSON each.
        created_at: When it was first added.
    """

    name: str
    number: int
    digest: str
    rows: int
    columns: tuple[Column, ...]
    source: str
    licence: str | None
    id_column: str | None
    blob: str
    created_at: datetime

    @property
    def ref(self) -> str:
        """How the version is written: ``dataset:sms-spam:3``."""
        return f"dataset:{self.name}:{self.number}"


class RowChange(Struct, frozen=True, kw_only=True):
    """One difference between two datasets; ``before`` or ``after`` is None where the row does not exist."""

    kind: ChangeKind
    id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class DatasetDiff(Struct, frozen=True, kw_only=True):
    """How two datasets differ.

    Attributes:
        before: The first, as it was asked for.
        after: The second.
        by: ``id`` = rows of one id are the same row; ``content`` = only equal rows are, so none is ``changed``.
        added: Rows that only the second has.
        removed: Rows that only the first has.
        changed: Rows of one id whose content differs.
        unchanged: Rows that both have.
        reordered: Whether the rows are the same and only their order differs.
        columns_added: Columns that only the second has.
        columns_removed: Columns that only the first has.
        examples: The first few changes of each kind.
    """

    before: str
    after: str
    by: Literal["id", "content"]
    added: int
    removed: int
    changed: int
    unchanged: int
    reordered: bool
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    examples: tuple[RowChange, ...]


class Serves(Struct, frozen=True, kw_only=True):
    """What a version of a dataset serves, as references, each once.

    Attributes:
        flows: Flows that were run over it.
        experiments: Experiments over it, alone or with other datasets.
        evaluators: Evaluators that judged answers over it.
        runs: Runs over it.
    """

    flows: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    evaluators: tuple[str, ...] = ()
    runs: int = 0
