"""Errors, ids, clock and canonical content."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.core.canonical import canonical_json, digest, digest_file, digest_tree
from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import ConfigError, DataError, nearest_hint, suggest
from pilothouse.core.ids import LENGTH, new_id

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_an_error_says_what_where_expected_and_how_to_mend_it() -> None:
    error = ConfigError("unknown key 'a'", where="x.yaml:3", expected="b", fix="rename it")
    assert str(error) == "x.yaml:3: unknown key 'a'\n  expected: b\n  to mend:  rename it"
    assert error.exit_code == 2


def test_suggestions() -> None:
    assert suggest("Datasett", ["dataset", "run"]) == "dataset"
    assert suggest("zzz", ["dataset"]) is None
    assert nearest_hint("zzz", [f"n{i:02}" for i in range(20)]).endswith("and 8 more")
    assert nearest_hint("x", []) == "there are none yet"


def test_ids_sort_by_time_and_do_not_repeat() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert all(len(one) == LENGTH for one in ids)
    assert [one[:9] for one in ids] == sorted(one[:9] for one in ids)


def test_a_fixed_clock_moves_when_told() -> None:
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(1.5)
    assert (clock.now().timestamp(), clock.monotonic()) == (datetime(2026, 1, 1, tzinfo=UTC).timestamp() + 1.5, 1.5)


@given(JSON)
def test_equal_content_has_equal_bytes_whatever_the_order_of_keys(value: object) -> None:
    def turned(item: object) -> object:
        if isinstance(item, dict):
            return {key: turned(item[key]) for key in reversed(list(item))}
        return [turned(one) for one in item] if isinstance(item, list) else item

    try:
        first = canonical_json(value)
    except DataError:  # lone surrogates have no UTF-8
        return
    assert canonical_json(turned(value)) == first


@pytest.mark.parametrize("value", [float("nan"), [1, {"a": float("inf")}], object(), "\ud800"])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(DataError):
        canonical_json(value)


def test_digests_of_files_and_trees(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("1")
    first = digest_tree(tmp_path)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "y").write_text("2")
    assert digest_tree(tmp_path) != first
    assert digest_tree(tmp_path, ignore=lambda path: path.name == "cache") == first
    assert digest("1") != digest_file(tmp_path / "a" / "x.txt")
