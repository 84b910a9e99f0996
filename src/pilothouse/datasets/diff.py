"""What changed between two datasets. In memory are a key and 16 bytes for each row, not the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Literal

from msgspec import Struct

from pilothouse.core.canonical import canonical_json
from pilothouse.datasets.source import DatasetSource
from pilothouse.datasets.types import ChangeKind, DatasetDiff, Row, RowChange

EXAMPLES = 5
"""Changes of each kind that are shown."""

By = Literal["id", "content"]

# The id of a row; or, where rows have none, its content and which of the equal ones it is.
_Key = str | tuple[bytes, int]


class _Keyed(Struct, frozen=True):
    key: _Key
    content: bytes
    row: Row


def diff(before: DatasetSource, after: DatasetSource) -> DatasetDiff:
    """Compare two datasets: by id when both name their rows by the same column, else by content.

    Raises:
        DataError: when one of them cannot be read.
    """
    by: By = "id" if before.id_column is not None and before.id_column == after.id_column else "content"
    left, right = _Side(before, by), _Side(after, by)
    old = {item.key: item.content for item in left}
    counts: Counter[str] = Counter()
    shown: dict[ChangeKind, dict[_Key, Row]] = {"added": {}, "changed": {}}
    for item in right:
        content = old.pop(item.key, None)
        kind = "added" if content is None else "unchanged" if content == item.content else "changed"
        counts[kind] += 1
        if kind != "unchanged" and len(shown[kind]) < EXAMPLES:
            shown[kind][item.key] = item.row
    removed = list(old)[:EXAMPLES]
    rows = _find(before, by, {*removed, *shown["changed"]})
    same_rows = not old and counts["added"] == counts["changed"] == 0
    return DatasetDiff(
        before=before.origin,
        after=after.origin,
        by=by,
        added=counts["added"],
        removed=len(old),
        changed=counts["changed"],
        unchanged=counts["unchanged"],
        reordered=same_rows and left.order != right.order,
        columns_added=tuple(name for name in right.columns if name not in left.columns),
        columns_removed=tuple(name for name in left.columns if name not in right.columns),
        examples=(
            *(_change("added", None, row) for row in shown["added"].values()),
            *(_change("removed", rows[key], None) for key in removed),
            *(_change("changed", rows[key], row) for key, row in shown["changed"].items()),
        ),
    )


class _Side:
    """One of the two datasets while it is read: its keyed rows, and then its columns and their order."""

    def __init__(self, source: DatasetSource, by: By) -> None:
        self._source = source
        self._by: By = by
        self._order = blake2b()
        self.columns: dict[str, None] = {}

    def __iter__(self) -> Iterator[_Keyed]:
        for item in _keyed(self._source, self._by):
            self._order.update(item.content)
            self.columns.update(dict.fromkeys(item.row.data))
            yield item

    @property
    def order(self) -> bytes:
        return self._order.digest()


def _keyed(source: DatasetSource, by: By) -> Iterator[_Keyed]:
    repeats: Counter[bytes] = Counter()
    for row in source:
        content = blake2b(canonical_json(row.data), digest_size=16).digest()
        repeats[content] += by == "content"
        yield _Keyed(row.id if by == "id" else (content, repeats[content]), content, row)


def _find(source: DatasetSource, by: By, keys: set[_Key]) -> dict[_Key, Row]:
    found: dict[_Key, Row] = {}
    if keys:
        for item in _keyed(source, by):
            if item.key in keys:
                found[item.key] = item.row
                if len(found) == len(keys):
                    break
    return found


def _change(kind: ChangeKind, before: Row | None, after: Row | None) -> RowChange:
    row: Any = after or before
    return RowChange(kind=kind, id=row.id, before=before.data if before else None, after=after.data if after else None)
