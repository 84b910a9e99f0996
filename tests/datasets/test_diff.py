"""Differences between datasets."""

from collections.abc import Callable
from pathlib import Path

from pilothouse.datasets.service import DatasetService

Write = Callable[[str, str | bytes], Path]


def test_by_id(datasets_on_both: DatasetService, write: Write) -> None:
    datasets = datasets_on_both
    write("a.csv", "id,text\n1,same\n2,old\n3,gone\n")
    datasets.add("x", "a.csv", id_column="id")
    write("a.csv", "id,text,more\n4,new,\n2,changed,\n1,same,\n")
    datasets.add("x", "a.csv", id_column="id")

    found = datasets.diff("x:1", "dataset:x:2")

    assert (found.by, found.added, found.removed, found.changed, found.unchanged) == ("id", 1, 1, 2, 0)
    assert (found.columns_added, found.columns_removed) == (("more",), ())
    assert [(change.kind, change.id) for change in found.examples] == [
        ("added", "4"),
        ("removed", "3"),
        ("changed", "2"),
        ("changed", "1"),
    ]
    assert found.examples[2].before == {"id": "2", "text": "old"}
    assert found.examples[2].after == {"id": "2", "text": "changed", "more": ""}
    assert found.examples[0].before is None
    assert found.examples[1].after is None


def test_by_content_equal_rows_are_counted(datasets: DatasetService, write: Write) -> None:
    write("a.csv", "text\na\na\nb\n")
    write("b.jsonl", '{"text": "c"}\n{"text": "a"}\n{"text": "a"}\n{"text": "a"}\n')

    found = datasets.diff("a.csv", "b.jsonl")

    assert (found.by, found.added, found.removed, found.changed, found.unchanged) == ("content", 2, 1, 0, 2)
    assert [(change.kind, change.after or change.before) for change in found.examples] == [
        ("added", {"text": "c"}),
        ("added", {"text": "a"}),
        ("removed", {"text": "b"}),
    ]
    assert not found.reordered


def test_only_the_order_differs(datasets: DatasetService, write: Write) -> None:
    write("a.csv", "text\na\nb\n")
    write("b.csv", "text\nb\na\n")

    assert datasets.diff("a.csv", "b.csv").reordered
    assert not datasets.diff("a.csv", "a.csv").reordered
    assert datasets.diff("a.csv", "b.csv").unchanged == 2


def test_examples_are_few(datasets: DatasetService, write: Write) -> None:
    write("a.csv", "id,v\n" + "".join(f"{n},a\n" for n in range(100)))
    write("b.csv", "id,v\n" + "".join(f"{n},b\n" for n in range(50, 150)))

    found = datasets.diff("a.csv", "b.csv", id_column="id")

    assert (found.added, found.removed, found.changed) == (50, 50, 50)
    assert len(found.examples) == 15
