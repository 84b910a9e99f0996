"""Templates: words filled in, names restored, nothing overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.core.errors import Conflict, StorageError
from pilothouse.core.storage.templates import template_files, write_new


def test_words_are_filled_in_and_an_empty_one_takes_its_line_along(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.yaml").write_text("name: @name@\n\n  @model@\nlast: 1\n")
    (tmp_path / "gitignore").write_text("*.pyc\n")
    (tmp_path / "picture").write_bytes(b"\xff\x00@")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_bytes(b"x")
    files = template_files(tmp_path, {"name": "shop", "model": ""})
    assert files == {".gitignore": b"*.pyc\n", "inner/a.yaml": b"name: shop\n\nlast: 1\n", "picture": b"\xff\x00@"}


def test_one_file_that_stands_there_keeps_all_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(Conflict) as caught:
        write_new({"a": b"1", "b": b"2"}, tmp_path)
    assert caught.value.where == str(tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="write the template"):
        write_new({"inner/a": b"1"}, tmp_path / "file")
