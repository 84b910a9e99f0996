"""Versions of datasets, on SQLite and on PostgreSQL."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilothouse.core.canonical import digest_bytes
from pilothouse.core.errors import DataError, NotFound, StorageError, UserError
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.datasets.service import DatasetService
from pilothouse.datasets.types import Column
from pilothouse.registry.service import RegistryService

Write = Callable[[str, str | bytes], Path]

CSV = "id,text,label\nx1,hello,ham\nx2,win,spam\n"
JSONL = '{"label": "ham", "id": "x1", "text": "hello"}\n{"id": "x2", "text": "win", "label": "spam"}\n'


def test_the_same_rows_make_one_version_whatever_the_format(datasets_on_both: DatasetService, write: Write) -> None:
    datasets = datasets_on_both
    write("a.csv", CSV)
    write("a.jsonl", JSONL)

    first, is_new = datasets.add("sms", "a.csv", licence="CC BY 4.0", source="somewhere")
    again, again_new = datasets.add("sms", "a.jsonl", licence="other")

    assert (is_new, again_new) == (True, False)
    assert again == first
    assert (first.ref, first.rows, first.licence, first.source) == ("dataset:sms:1", 2, "CC BY 4.0", "somewhere")
    assert first.columns == tuple(Column(name=name, type="string") for name in ("id", "text", "label"))


def test_changed_rows_and_changed_order_make_new_versions(datasets_on_both: DatasetService, write: Write) -> None:
    datasets = datasets_on_both
    write("a.csv", CSV)
    datasets.add("sms", "a.csv")
    write("a.csv", CSV.replace("win", "won"))
    second, _ = datasets.add("sms", "a.csv")
    write("a.jsonl", "".join(reversed(JSONL.splitlines(keepends=True))))
    third, _ = datasets.add("sms", "a.jsonl")

    assert [version.number for version in datasets.versions("sms")] == [1, 2, 3]
    assert len({version.digest for version in datasets.versions("sms")}) == 3
    assert [version.ref for version in datasets.list()] == ["dataset:sms:3"]
    assert (second.number, third.number) == (2, 3)


def test_integers_and_strings_are_different_content(datasets: DatasetService, write: Write) -> None:
    write("a.csv", "n\n1\n")
    write("a.jsonl", '{"n": 1}\n')
    write("b.jsonl", '{"n": 1.0}\n')

    digests = {datasets.open(name).digest for name in ("a.csv", "a.jsonl", "b.jsonl")}
    assert len(digests) == 3


def test_a_version_is_read_again_without_its_file(datasets_on_both: DatasetService, write: Write) -> None:
    datasets = datasets_on_both
    path = write("a.csv", CSV)
    datasets.add("sms", "a.csv", id_column="id")
    path.unlink()

    for text in ("dataset:sms", "dataset:sms:1"):
        source = datasets.open(text)
        assert [(row.id, row.number, row.data["text"]) for row in source] == [("x1", 0, "hello"), ("x2", 1, "win")]
        assert (source.name, source.count(), source.id_column) == ("sms", 2, "id")
    assert source.version is not None
    assert source.digest == source.version.digest
    assert source.origin == "dataset:sms:1"


def test_an_alias_is_a_reference(datasets: DatasetService, services: Any, write: Write) -> None:
    write("a.csv", CSV)
    datasets.add("sms", "a.csv")
    services.get(RegistryService).set_alias("dataset", "sms", "test", 1)

    assert datasets.show("sms@test").number == 1
    assert datasets.show("dataset/sms:1") == datasets.show("dataset:sms") == datasets.show("sms")
    assert datasets.open("dataset:sms@test").count() == 2


def test_the_choice_of_ids_is_part_of_a_version(datasets: DatasetService, write: Write) -> None:
    write("a.csv", CSV)
    plain, _ = datasets.add("sms", "a.csv")
    named, is_new = datasets.add("sms", "a.csv", id_column="id")

    assert is_new
    assert plain.blob == named.blob
    assert datasets.open("a.csv").digest == plain.digest
    assert datasets.open("a.csv", id_column="id").digest == named.digest
    assert [row.id for row in datasets.open("dataset:sms:1")] == ["0", "1"]
    assert [row.id for row in datasets.open("dataset:sms:2")] == ["x1", "x2"]


def test_the_blob_is_the_canonical_rows(datasets: DatasetService, services: Any, write: Write) -> None:
    write("a.csv", CSV)
    version, _ = datasets.add("sms", "a.csv")

    data = services.get(BlobStore).get(version.blob)
    assert data == (b'{"id":"x1","label":"ham","text":"hello"}\n{"id":"x2","label":"spam","text":"win"}\n')
    assert version.digest == digest_bytes(data)


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ('{"id": "a"}\n\n{"id": "b"}\n{"id": "a"}\n', 4, "lines 1 and 4"),
        ('{"id": 1}\n{"id": "1"}\n', 2, "lines 1 and 2"),
        ('{"id": "a"}\n{"x": "b"}\n', 2, "missing"),
        ('{"id": "a"}\n{"id": null}\n', 2, "empty"),
        ('{"id": ""}\n', 1, "empty"),
        ('{"id": true}\n', 1, "empty"),
        ('{"id": 1.5}\n', 1, "empty"),
    ],
)
def test_ids_that_cannot_be_ids(datasets: DatasetService, write: Write, content: str, line: int, said: str) -> None:
    path = write("a.jsonl", content)

    with pytest.raises(DataError) as caught:
        datasets.add("x", "a.jsonl", id_column="id")
    assert caught.value.where == f"{path}:{line}"
    assert said in caught.value.message
    assert datasets.list() == ()


def test_columns_tell_types_nulls_and_absent_keys(datasets: DatasetService, write: Write) -> None:
    write("a.jsonl", '{"a": 1, "b": null}\n{"a": 2.5, "c": [1]}\n{"a": null, "c": {}, "d": true}\n{"c": "x"}\n')

    assert datasets.open("a.jsonl").columns == (
        Column(name="a", type="number", nulls=1, absent=1),
        Column(name="b", type="null", nulls=1, absent=3),
        Column(name="c", type="array|object|string", nulls=0, absent=1),
        Column(name="d", type="boolean", nulls=0, absent=3),
    )


def test_a_file_is_counted_only_when_somebody_paid_for_it(datasets: DatasetService, write: Write) -> None:
    write("a.csv", CSV)
    source = datasets.open("a.csv")

    assert source.count() is None
    assert len(source.digest) == 64
    assert source.count() == 2


def test_nothing_is_kept_of_a_file_with_a_bad_row(datasets: DatasetService, services: Any, write: Write) -> None:
    write("a.csv", CSV + "x3,short\n")

    with pytest.raises(DataError):
        datasets.add("sms", "a.csv")
    assert datasets.list() == ()
    assert sorted(path.name for path in services.state.iterdir() if path.name.startswith("dataset-")) == []


@pytest.mark.parametrize("name", ["", "a b", "../x", "x:1", "x@y", "x" * 300, "x\n"])
def test_a_name_that_cannot_be_one(datasets: DatasetService, write: Write, name: str) -> None:
    write("a.csv", CSV)
    with pytest.raises(UserError):
        datasets.add(name, "a.csv")


def test_a_dataset_that_does_not_exist(datasets: DatasetService, write: Write) -> None:
    write("a.csv", CSV)
    datasets.add("sms", "a.csv")

    with pytest.raises(NotFound, match="sms"):
        datasets.open("dataset:sns")
    with pytest.raises(NotFound, match="no version 7"):
        datasets.open("dataset:sms:7")
    with pytest.raises(NotFound, match="no file and no dataset 'smss'") as caught:
        datasets.find("smss")
    assert caught.value.expected == "did you mean 'sms'?"
    with pytest.raises(NotFound, match="no version 7"):
        datasets.find("dataset/sms:7")


def test_other_kinds_are_not_datasets(datasets: DatasetService, services: Any) -> None:
    services.get(RegistryService).register("flow", "x", "0" * 64)

    assert datasets.list() == ()
    with pytest.raises(NotFound, match="there is no dataset 'xx'") as caught:
        datasets.open("dataset:xx:1")
    assert caught.value.expected == "there are none yet"
    assert caught.value.fix == "pilothouse dataset add xx FILE"


def test_a_changed_blob_is_found_out(datasets: DatasetService, services: Any, write: Write) -> None:
    write("a.csv", CSV)
    version, _ = datasets.add("sms", "a.csv")
    path = services.get(BlobStore).path(version.blob)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"win", b"won"))

    with pytest.raises(StorageError, match="were changed"):
        list(datasets.open("dataset:sms"))
    path.write_bytes(b"not JSON\n")
    with pytest.raises(StorageError, match="were changed"):
        list(datasets.open("dataset:sms"))
    path.unlink()
    with pytest.raises(StorageError):
        list(datasets.open("dataset:sms"))


def test_hostile_values_survive(datasets_on_both: DatasetService, write: Write) -> None:
    values = ["'; DROP TABLE versions; --", "${data.x}", "{{ 7*7 }}", "\x00", "\U0001f600", "<script>", "a" * 1_000_000]
    rows = [{"text": value, value[:50] or "k": 1} for value in values]
    write("a.jsonl", b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    datasets_on_both.add("hostile", "a.jsonl")

    assert [row.data for row in datasets_on_both.open("dataset:hostile")] == rows


def test_a_full_disk_says_so(datasets: DatasetService, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.csv", CSV)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        datasets.add("sms", "a.csv")
    monkeypatch.undo()
    assert datasets.list() == ()
    assert datasets.add("sms", "a.csv")[1]


def test_a_real_corpus(datasets: DatasetService) -> None:
    path = Path(__file__).parents[3] / "shared" / "data" / "banking77" / "train.csv"
    if not path.is_file():
        pytest.skip("the Banking77 corpus is not beside the checkout")

    version, _ = datasets.add("banking77", str(path), licence="CC BY 4.0", source="Banking77")

    assert version.rows == 10_003
    assert [column.name for column in version.columns] == ["text", "category"]
    assert {column.type for column in version.columns} == {"string"}
    assert len({row.data["category"] for row in datasets.open("dataset:banking77")}) == 77


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Ten times the rows may not need noticeably more memory, in any format."""
    program = """
import json, resource, sys
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from pilothouse.datasets.files import find_files, read_files
from pilothouse.datasets.profile import Profiler
from pilothouse.datasets.readers.base import ReadOptions
from pilothouse.datasets.source import DatasetSource

folder = Path(sys.argv[1])
def write(rows):
    made = ({"id": n, "text": f"row {n} " + "x" * 200} for n in range(rows))
    with (folder / "a.csv").open("w") as c, (folder / "a.jsonl").open("w") as l, (folder / "a.json").open("w") as j:
        c.write("id,text\\n"); j.write("[")
        for row in made:
            c.write(f"{row['id']},{row['text']}\\n"); l.write(json.dumps(row) + "\\n")
            j.write(("," if row["id"] else "") + json.dumps(row))
        j.write("]")
    schema = pa.schema({"id": pa.int64(), "text": pa.string()})
    with pq.ParquetWriter(folder / "a.parquet", schema) as sink:
        for start in range(0, rows, 5000):
            part = range(start, start + 5000)
            sink.write_table(pa.table({"id": list(part), "text": [f"row {n} " + "x" * 200 for n in part]}, schema))
def read(name, rows):
    files = find_files(folder / name)
    source = DatasetSource(name, lambda: read_files(files, ReadOptions()), origin=name)
    assert source.profile.rows == rows
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
NAMES = ["a.csv", "a.jsonl", "a.json", "a.parquet"]
write(5_000)
for name in NAMES: read(name, 5_000)
write(50_000)
before = peak()
for name in NAMES: read(name, 50_000)
print((peak() - before) // 1024)
"""
    said = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    )
    # The files of 50,000 rows have 10 MB each; 5 MB leave room for the allocator.
    assert int(said.stdout) < 5
