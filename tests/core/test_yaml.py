"""YAML 1.2, strict and with lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.core.errors import ConfigError, NotFound
from pilothouse.core.yaml import load_yaml, parse_yaml

PATH = Path("flow.dag.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("010", 10),
        ("0o10", 8),
        ("0x1f", 31),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("=", "="),
        ("${data.x}", "${data.x}"),
    ],
)
def test_scalars_follow_the_core_schema_of_1_2(text: str, value: object) -> None:
    parsed = parse_yaml(f"key: {text}\n", PATH).data["key"]
    assert parsed == value
    assert type(parsed) is type(value)


def test_every_entry_knows_its_line() -> None:
    document = parse_yaml("a: 1\nb:\n  - x: 1\n    y: 2\n  - z\n", PATH)
    assert document.where("b", 0, "y") == "flow.dag.yaml:4"
    assert document.where("b", 1) == "flow.dag.yaml:5"
    assert document.line("b", 0, "nothing") == 3


def test_a_key_that_stands_twice_is_refused_with_both_lines() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml("a: 1\nb: 2\na: 3\n", PATH)
    assert caught.value.where == "flow.dag.yaml:3"
    assert "first at line 1" in caught.value.message


def test_merge_keys_and_anchors() -> None:
    document = parse_yaml("base: &base {a: 1, b: 2}\nown:\n  <<: *base\n  b: 3\n", PATH)
    assert document.data["own"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    "text", ["a: [1, 2\n", "a: b: c\n", "\tx: 1\n", "a: !!python/object:os.system x\n", "? [1, 2]\n: x\n", "a: *none\n"]
)
def test_what_is_not_plain_yaml_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, PATH)
    assert (caught.value.where or "").startswith("flow.dag.yaml")


def test_a_tower_of_aliases_is_no_bomb() -> None:
    """Aliases share one value in memory, but a deep nest must end in words, not in a crash."""
    with pytest.raises(ConfigError):
        parse_yaml("a: " + "[" * 20_000 + "]" * 20_000, PATH)


def test_aliases_of_aliases_are_no_bomb() -> None:
    levels = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))
    with pytest.raises(ConfigError, match="too many entries"):
        parse_yaml(f"a0: &a0 [x]\n{levels}\n", PATH)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load_yaml(path).data == {"a": 1}
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigError, match="byte 3 is not UTF-8"):
        load_yaml(path)
    with pytest.raises(NotFound):
        load_yaml(tmp_path / "missing.yaml")
