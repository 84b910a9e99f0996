"""Queues on both databases: who gets which item, whose label counts, and what becomes of answers taken back."""

from __future__ import annotations

import pytest

from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import ConfigError, Conflict, DataError, NotFound, UserError
from pilothouse.core.storage.sql import Database
from pilothouse.evaluation.annotation.order import first_side
from pilothouse.evaluation.annotation.question import Question
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.evaluation.annotation.types import Item, Queue

from .queues import KINDS, LEVELS, PAIRS, TEXT, YES_NO, items, service_over, spec


@pytest.fixture
def service(database: Database, clock: FixedClock) -> ReviewService:
    return service_over(database, clock)


def label_all(service: ReviewService, queue: Queue, reviewer: str, answers: str = "yes") -> list[int]:
    places = []
    while (task := service.take(queue, reviewer)) is not None:
        service.label(queue, reviewer, task.place, answers)
        places.append(task.place)
    return places


def test_every_item_gets_the_labels_it_wants_of_different_people(service: ReviewService) -> None:
    queue = service.create(spec(overlap=2), items(5))
    assert label_all(service, queue, "ann") == [0, 1, 2, 3, 4]
    assert label_all(service, queue, "ann") == []
    assert label_all(service, queue, "ben") == [0, 1, 2, 3, 4]
    assert label_all(service, queue, "cem") == []
    progress = service.progress(queue, "cem")
    assert (progress.complete, progress.labels, progress.wanted, progress.left) == (5, 10, 10, 0)
    assert progress.reviewers == {"ann": 5, "ben": 5}


def test_an_item_in_somebodys_hands_is_given_to_nobody_else_until_the_lease_is_over(
    service: ReviewService, clock: FixedClock
) -> None:
    queue = service.create(spec(lease=60.0), items(2))
    first, second = service.take(queue, "ann"), service.take(queue, "ben")
    assert first is not None
    assert second is not None
    assert (first.place, second.place) == (0, 1)
    assert service.take(queue, "cem") is None
    again = service.take(queue, "ann")
    assert again is not None
    assert again.place == 0
    clock.advance(61.0)
    late = service.take(queue, "cem")
    assert late is not None
    assert late.place == 0
    # Ann was slow: her label still counts, for one too many is better than one lost.
    service.label(queue, "ann", 0, "no")
    service.label(queue, "cem", 0, "yes")
    assert service.finals(queue)[0].votes == {"ann": False, "cem": True}


def test_nobody_labels_an_item_twice_or_one_that_was_not_given_to_them(service: ReviewService) -> None:
    queue = service.create(spec(overlap=3), items(2))
    service.take(queue, "ann")
    service.label(queue, "ann", 0, "yes")
    with pytest.raises(Conflict, match="labelled item 1 already"):
        service.label(queue, "ann", 0, "no")
    with pytest.raises(Conflict, match="was not given to"):
        service.label(queue, "ben", 1, "no")
    with pytest.raises(DataError, match="no answer to this question"):
        service.label(queue, "ben", 1, "perhaps")
    assert service.finals(queue)[0].label is True


def test_a_revision_replaces_the_label_and_keeps_the_history(service: ReviewService, clock: FixedClock) -> None:
    queue = service.create(spec(), items(1))
    service.take(queue, "ann")
    service.label(queue, "ann", 0, "yes", comment="at first sight")
    clock.advance(1.0)
    service.label(queue, "ann", 0, "no", revises=True)
    assert [(item.revision, item.value) for item in service.history(queue)] == [(1, True), (2, False)]
    assert service.finals(queue)[0].label is False
    assert service.progress(queue).labels == 1


def test_an_answer_taken_back_gives_the_item_to_its_reviewer_again(service: ReviewService, clock: FixedClock) -> None:
    queue = service.create(spec(), items(3))
    assert service.undo(queue, "ann") is None
    for answer in ("yes", "no"):
        task = service.take(queue, "ann")
        assert task is not None
        service.label(queue, "ann", task.place, answer)
        clock.advance(1.0)
    service.take(queue, "ann")
    clock.advance(1.0)
    back = service.undo(queue, "ann")
    assert back is not None
    assert back.place == 1
    assert service.progress(queue, "ann").mine == 1
    task = service.take(queue, "ann")
    assert task is not None
    assert task.place == 1
    service.label(queue, "ann", 1, "yes")
    assert [item.state for item in service.history(queue) if item.place == 1] == ["labelled", "withdrawn", "labelled"]


def test_a_skipped_item_goes_to_others_with_its_reason_kept(service: ReviewService) -> None:
    queue = service.create(spec(), items(1))
    service.take(queue, "ann")
    service.skip(queue, "ann", 0, "not my language \x00\ud800")
    assert service.take(queue, "ann") is None
    assert service.progress(queue).skips == 1
    assert label_all(service, queue, "ben") == [0]
    assert service.history(queue)[0].comment == "not my language \x00?"


def test_a_closed_queue_takes_nothing_and_can_be_opened_again(service: ReviewService) -> None:
    queue = service.create(spec(), items(1))
    service.take(queue, "ann")
    service.set_status("q", "closed")
    with pytest.raises(Conflict, match="closed"):
        service.take(queue, "ben")
    with pytest.raises(Conflict, match="closed"):
        service.label(queue, "ann", 0, "yes")
    service.set_status("q", "open")
    service.label(queue, "ann", 0, "yes")


def test_a_queue_is_frozen_named_once_and_its_order_follows_from_the_seed(service: ReviewService) -> None:
    queue = service.create(spec(seed=1, question=LEVELS), items(30))
    assert service.get("q") == queue
    same = service.create(spec("again", seed=1), items(30)[::-1])
    other = service.create(spec("other", seed=2), items(30))

    def order(found: Queue) -> list[str]:
        return [final.item.id for final in service.finals(found)]

    assert order(queue) == order(same) != order(other)
    assert order(queue) != [item.id for item in items(30)]
    assert queue.rubric == "rubric/q:1"
    with pytest.raises(Conflict, match="already"):
        service.create(spec(), items(3))
    with pytest.raises(NotFound, match="no queue 'r'"):
        service.get("r")
    for wrong in ([], [*items(2), *items(1)], items(2, pairs=True)):
        with pytest.raises(DataError):
            service.create(spec("wrong"), wrong)
    with pytest.raises(UserError):
        service.create(spec("../wrong"), items(1))
    assert [found.name for found in service.list()].count("wrong") == 0


def test_a_pair_is_read_from_the_side_the_reviewer_saw_first(service: ReviewService) -> None:
    queue = service.create(spec(question=PAIRS, overlap=2), items(8, pairs=True))
    for reviewer in ("ann", "ben"):
        while (task := service.take(queue, reviewer)) is not None:
            new = [answer["answer"] == "the new one" for answer in task.answers]
            service.label(queue, reviewer, task.place, "1" if new[0] else "2")
    assert all(final.label == 1.0 for final in service.finals(queue))
    found = service.agreement(queue).preference
    assert found is not None
    assert (found.wins, found.losses, found.ties, found.verdict) == (8, 0, 0, "better")
    firsts = [first_side(7, "ann", place) for place in range(400)]
    assert all(firsts[start : start + 4].count("candidate") == 2 for start in range(0, 400, 4))
    assert firsts != [first_side(7, "ben", place) for place in range(400)]


def test_what_is_disputed_goes_to_an_adjudicator_who_does_not_see_names(service: ReviewService) -> None:
    queue = service.create(spec(overlap=2), items(3))
    label_all(service, queue, "ann", "yes")
    for answer in ("yes", "no", "no"):
        task = service.take(queue, "ben")
        assert task is not None
        service.label(queue, "ben", task.place, answer, comment="because")
    assert [final.decision for final in service.finals(queue)] == ["unanimous", "divided", "divided"]
    disputes = service.disputes(queue, "eve")
    assert [dispute.task.place for dispute in disputes] == [1, 2]
    assert sorted(disputes[0].votes) == [(False, "because"), (True, "")]
    assert "ann" not in repr(disputes)
    assert all(dispute.labelled_it for dispute in service.disputes(queue, "ann"))
    service.settle(queue, "eve", disputes[0], "no", "the rule says so")
    with pytest.raises(Conflict, match="settled by eve"):
        service.settle(queue, "zoe", disputes[0], "yes")
    finals = service.finals(queue)
    assert [(final.label, final.decision) for final in finals[1:]] == [(False, "adjudicated"), (None, "divided")]
    assert finals[1].adjudicator == "eve"
    assert service.progress(queue).disagreed == 2
    assert len(service.disputes(queue, "eve")) == 1


def test_hostile_rows_are_kept_as_they_are(service: ReviewService) -> None:
    text = "\x00\x1b[31m\u202egnp.exe " + "x" * 100_000
    queue = service.create(spec(), [Item(id="\x00\u202e", inputs={text[:9]: text}, outputs={"a": [1, {"b": None}]})])
    task = service.take(queue, "ann")
    assert task is not None
    assert task.item.inputs == {text[:9]: text}
    assert service.finals(queue)[0].item.id == "\x00\u202e"


@pytest.mark.parametrize(
    ("question", "answer", "value"),
    [
        (YES_NO, "Y", True),
        (YES_NO, "2", False),
        (LEVELS, "3", 3),
        (KINDS, "2", "ham"),
        (KINDS, " Other ", "other"),
        (TEXT, " the price ", "the price"),
        (Question(question="?", kind="ordinal", levels={-1: "worse", 0: "same", 1: "better"}), "1", 1),
        (Question(question="?", kind="ordinal", levels={-1: "worse", 0: "same", 1: "better"}), "a", -1),
        (Question(question="?", kind="ordinal", levels={0: "no", 1: "yes"}), "0", 0),
        (Question(question="?", kind="categories", categories={"2": "", "1": ""}), "1", "1"),
    ],
)
def test_keys_and_words_mean_one_answer_each(question: Question, answer: str, value: object) -> None:
    assert question.read(answer) == value
    for choice in question.choices:
        assert question.read(choice.key) == question.read(choice.word)
        assert question.key_of(question.read(choice.word)) == choice.key


@pytest.mark.parametrize(
    "wrong",
    [
        {"question": " "},
        {"question": "?", "kind": "ordinal"},
        {"question": "?", "levels": {1: "a", 2: "b"}},
        {"question": "?", "kind": "categories", "categories": {"a": "", "A ": ""}},
        {"question": "?", "kind": "categories", "categories": {str(n): "" for n in range(10)}},
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Question(**wrong)  # type: ignore[arg-type]
