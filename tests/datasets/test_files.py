"""Which files are read: suffixes, folders, their order, what is left out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import DataError, NotFound
from pilothouse.datasets.files import find_files
from pilothouse.datasets.service import DatasetService

Read = Callable[..., list[dict[str, Any]]]
Write = Callable[[str, str | bytes], Path]


def test_a_folder_is_its_files_in_the_order_of_their_paths(write: Write, read: Read) -> None:
    write("data/b.jsonl", '{"n": 3}\n')
    write("data/a/z.csv", "n\n1\n2\n")
    write("data/c.json", '[{"n": 4}]')
    write("data/.hidden/x.csv", "n\nno\n")
    write("data/.x.csv", "n\nno\n")
    folder = write("data/README.md", "# no data").parent

    assert [row["n"] for row in read(folder)] == ["1", "2", 3, 4]
    assert [path.name for path in find_files(folder).skipped] == ["README.md"]


def test_an_error_in_a_folder_names_the_file(write: Write, read: Read) -> None:
    write("data/a.jsonl", '{"n": 3}\n')
    bad = write("data/b.jsonl", '{"n": 3}\n{"n"}\n')

    with pytest.raises(DataError) as caught:
        read(bad.parent)
    assert caught.value.where == f"{bad}:2"


def test_a_folder_without_data(write: Write) -> None:
    folder = write("data/README.md", "# no data").parent

    with pytest.raises(DataError, match="no data files") as caught:
        find_files(folder)
    assert ".csv" in str(caught.value.expected)
    assert ".parquet" in str(caught.value.expected)


def test_a_suffix_that_nothing_reads(write: Write) -> None:
    with pytest.raises(DataError, match=r"'\.xlsx'"):
        find_files(write("a.xlsx", b"PK"))


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json"])
@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_said_to_be_empty(write: Write, datasets: DatasetService, name: str, content: str) -> None:
    write(name, content)

    with pytest.raises(DataError, match="no row") as caught:
        list(datasets.open(name))
    assert caught.value.where == name


def test_a_header_alone_is_no_data(write: Write, datasets: DatasetService) -> None:
    write("a.csv", "text,label\n")
    with pytest.raises(DataError, match="no row"):
        list(datasets.open("a.csv"))


def test_a_path_that_leads_nowhere(services: Any) -> None:
    with pytest.raises(NotFound):
        find_files(services.root / "no" / "where.csv")
