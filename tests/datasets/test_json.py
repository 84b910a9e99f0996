"""JSON files of one array, read object by object, across the seams of the chunks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import DataError
from pilothouse.datasets.readers import json as reader

Read = Callable[..., list[dict[str, Any]]]
Write = Callable[[str, str | bytes], Path]

ROWS = [
    {"n": index, "text": f'line\n"{index}" ü \u2028 \\u12', "deep": {"a": [1.5, None, {"b": "]}"}]}}
    for index in range(50)
]


@pytest.fixture(params=[1, 2, 7, 64, 1 << 20])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(reader, "CHUNK", request.param)
    return request.param


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("indent", [None, 2])
def test_objects_arrive_whole_whatever_the_chunks(write: Write, read: Read, indent: int | None) -> None:
    path = write("a.json", "\ufeff \n" + json.dumps(ROWS, indent=indent, ensure_ascii=indent is None) + "\n\n")

    assert read(path) == ROWS


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[\n{"a": 1},\n{"a": tru}\n]', 3, "not JSON"),
        ('[\n{"a": 1},\n{"a": 1, "a": 2}\n]', 3, "stands twice"),
        ('[\n{"a": 1}\n{"a": 2}]', 3, "comma"),
        ('[\n{"a": 1},\n]', 3, "not JSON"),
        ('[\n{"a": 1},\n', 3, "ends inside"),
        ('[\n{"a": 1}\n', 3, "ends inside"),
        ('[\n{"a": 1', 2, "not JSON"),
        ('[{"a": "x\n', 1, "not JSON"),
        ('[{"a": NaN}]', 1, "NaN"),
        ("[[1]]", 1, "an array"),
        ("[1]", 1, "a number"),
        ('[{"a": 1}]\n[]', 2, "after the end"),
        ('{"a": [1]}', 1, "does not begin with an array"),
        ("[" * 100_000, 1, "nested too deeply"),
    ],
)
def test_what_is_not_one_array_of_objects(write: Write, read: Read, text: str, line: int, said: str) -> None:
    path = write("a.json", text)

    with pytest.raises(DataError) as caught:
        read(path)
    assert said in caught.value.message
    assert caught.value.where == f"{path}:{line}"


@pytest.mark.parametrize("text", ["", "  \n", "[]", "[ \n ]"])
def test_nothing_in_it(write: Write, read: Read, text: str) -> None:
    assert read(write("a.json", text)) == []


def test_a_broken_file_is_refused_before_it_is_all_in_memory(
    write: Write, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "CHUNK", 1000)
    path = write("a.json", '[{"a": 1},\n{"a" 2},\n' + '{"a": 3},\n' * 100_000)
    longest = 0

    class Watched(reader._Window):
        def _read_on(self) -> None:
            nonlocal longest
            super()._read_on()
            longest = max(longest, len(self._text))

    monkeypatch.setattr(reader, "_Window", Watched)
    with pytest.raises(DataError):
        read(path)
    assert longest < 5000
