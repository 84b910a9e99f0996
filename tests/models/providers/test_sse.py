from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.models.providers import sse
from pilothouse.models.providers.sse import EventParser, EventTooLong

STREAM = (
    b"\xef\xbb\xbf: a comment\n\nevent: ping\ndata: one\r\n\r\ndata:two\rdata: lines\r\rid: 7\nretry: 5\n"
    b'data: {"text": "\xc3\xa9\xf0\x9f\x8c\xa7"}\n\ndata\n\ndatabase: no\n\ndata:  two spaces\n\ndata: [DONE]\n\n'
)
EVENTS = ["one", "two\nlines", '{"text": "\u00e9\U0001f327"}', "", " two spaces", "[DONE]"]


def parse(*pieces: bytes) -> tuple[list[str], bool]:
    parser = EventParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    last, torn = parser.finish()
    return events + last, torn


def test_every_line_end_comment_and_field_is_understood() -> None:
    assert parse(STREAM) == (EVENTS, False)


def test_bytes_may_arrive_one_by_one() -> None:
    assert parse(*(bytes([byte]) for byte in STREAM)) == (EVENTS, False)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_pieces_may_be_cut_anywhere(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in itertools.pairwise(edges)]
    assert parse(*pieces) == (EVENTS, False)


def test_a_carriage_return_and_its_line_feed_may_be_apart() -> None:
    assert parse(b"data: a\r", b"\n\r", b"\ndata: b\n\n") == (["a", "b"], False)


def test_a_missing_last_blank_line_is_forgiven() -> None:
    assert parse(b"data: a\n") == (["a"], False)
    assert parse(b"data: a\r") == (["a"], False)


@pytest.mark.parametrize("rest", [b"data: {", b"data", b'data: {"a": 1}'])
def test_a_line_without_its_end_is_torn(rest: bytes) -> None:
    assert parse(b"data: a\n\n" + rest) == (["a"], True)


def test_bytes_that_are_no_utf8_do_not_stop_the_stream() -> None:
    assert parse(b"data: \xff\n\n") == (["\ufffd"], False)


def test_an_event_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    with pytest.raises(EventTooLong):
        parse(*[b"data: xxxxx\n"] * 50)
    with pytest.raises(EventTooLong):
        EventParser().feed(b"x" * 101)
