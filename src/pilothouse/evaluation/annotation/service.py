"""Review: queues made, items given out, labels taken, disagreements settled, figures told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Self

from msgspec.structs import replace

from pilothouse.access.types import Actor
from pilothouse.core.canonical import digest
from pilothouse.core.clock import Clock
from pilothouse.core.errors import Conflict, DataError
from pilothouse.core.ids import new_id
from pilothouse.core.services import Services
from pilothouse.core.storage.sql import Database
from pilothouse.evaluation.annotation.agreement import Agreement, agreement_of
from pilothouse.evaluation.annotation.finals import finals_of
from pilothouse.evaluation.annotation.order import chance, first_side, shuffled
from pilothouse.evaluation.annotation.question import Side, Value, bounded
from pilothouse.evaluation.annotation.store import ReviewStore
from pilothouse.evaluation.annotation.types import (
    MOST_ITEMS,
    Dispute,
    Final,
    Item,
    Label,
    Progress,
    Queue,
    QueueSpec,
    Status,
    Task,
)
from pilothouse.registry.service import RegistryService
from pilothouse.registry.types import check_name

KIND = "review"
RUBRIC = "rubric"


class ReviewService:
    """Verbs on queues. Any number of reviewers, in any number of processes, may work on one queue at once.

    Args:
        store: Keeps queues and labels.
        registry: Knows questions by their version, and queues by what they were made of.
        clock: Where the time comes from.
        actor: Who acts.
    """

    def __init__(self, store: ReviewStore, registry: RegistryService, clock: Clock, actor: Actor) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock
        self._actor = actor

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the queues of a project."""
        store = ReviewStore(services.get(Database))
        return cls(store, services.get(RegistryService), services.clock, services.get(Actor))

    # Queues

    def create(self, spec: QueueSpec, items: Sequence[Item]) -> Queue:
        """Make a queue; its items and its question never change from then on.

        Raises:
            Conflict: there is a queue of that name.
            DataError: there are no items, or too many, or two have one id.
            UserError: for a name that cannot be one.
        """
        check_name(KIND, spec.name)
        _refuse_unfit(spec, items)
        ordered = shuffled(items, spec.seed)
        question = {"question": spec.question.question, "kind": spec.question.kind}
        queue = Queue(
            id=new_id(self._clock.now()),
            spec=spec,
            items=len(ordered),
            digest=digest([spec.question.version, ordered]),
            created_by=self._actor.name,
            created_at=self._clock.now(),
        )
        self._store.refuse_taken(spec.name)
        rubric, _ = self._registry.register(RUBRIC, spec.name, spec.question.version, metadata=question)
        queue = replace(queue, rubric=rubric.ref)
        self._store.add(queue, ordered)
        version, _ = self._registry.register(KIND, spec.name, queue.digest, metadata={"id": queue.id})
        self._registry.link(rubric, version, "asked_in")
        return queue

    def get(self, name: str) -> Queue:
        """Return a queue.

        Raises:
            NotFound: there is none.
        """
        return self._store.find(name)

    def list(self) -> list[Queue]:
        """Return all queues, the latest first."""
        return self._store.list()

    def set_status(self, name: str, status: Status) -> Queue:
        """Open or close a queue; labels stay.

        Raises:
            NotFound: there is none.
        """
        return self._store.set_status(self._store.find(name), status)

    # Labels

    def take(self, queue: Queue, reviewer: str) -> Task | None:
        """Return the next item for a reviewer; None when there is none for them now.

        Raises:
            Conflict: the queue is closed.
        """
        found = self._store.take(queue, reviewer, self._clock.now())
        return None if found is None else replace(self.task(queue, reviewer, found[0]), expires_at=found[1])

    def task(self, queue: Queue, reviewer: str, place: int) -> Task:
        """Return an item as a reviewer sees it, with their label where they have given one.

        Raises:
            NotFound: the queue has no such place.
        """
        item, item_digest = self._store.item(queue, place)
        own = [label for label in self._store.labels(queue, place=place) if _is_by(label, reviewer)]
        return Task(
            item=item,
            place=place,
            digest=item_digest,
            first=self._first(queue, reviewer, place),
            current=own[-1] if own else None,
        )

    def label(
        self, queue: Queue, reviewer: str, place: int, answer: str, *, comment: str = "", revises: bool = False
    ) -> Label:
        """Keep a reviewer's answer; when this returns, nothing loses it.

        Args:
            queue: The queue.
            reviewer: Who answers.
            place: Which item.
            answer: A key, a word, or a text; of a pair as the reviewer sees it.
            comment: Words beside it.
            revises: Whether it replaces their own earlier answer; what was said before is kept as history.

        Raises:
            DataError: for an answer that may not be given.
            Conflict: the queue is closed, the item was not given to them, or they have labelled it already.
        """
        first = self._first(queue, reviewer, place)
        said = Label(
            place=place,
            reviewer=reviewer,
            value=queue.question.read(answer, first),
            comment=bounded(comment.strip(), "the comment"),
            first=first,
            created_at=self._clock.now(),
        )
        return self._store.keep(queue, said, revises=revises)

    def skip(self, queue: Queue, reviewer: str, place: int, reason: str = "") -> Label:
        """Leave an item to others, and say why.

        Raises:
            Conflict: as of `label`.
        """
        said = Label(
            place=place,
            reviewer=reviewer,
            state="skipped",
            comment=bounded(reason.strip(), "the reason"),
            first=self._first(queue, reviewer, place),
            created_at=self._clock.now(),
        )
        return self._store.keep(queue, said, revises=False)

    def undo(self, queue: Queue, reviewer: str) -> Task | None:
        """Take a reviewer's last answer or skip back, and give them its item again; None when there is none.

        Raises:
            Conflict: the queue is closed.
        """
        own = self.given(queue, reviewer)
        if not own:
            return None
        last = replace(own[-1], state="withdrawn", value=None, comment="", created_at=self._clock.now())
        self._store.keep(queue, last, revises=True)
        return self.task(queue, reviewer, last.place)

    def given(self, queue: Queue, reviewer: str) -> list[Label]:
        """Return a reviewer's own answers and skips that hold, in the order they were given."""
        return [label for label in self._store.labels(queue) if _is_by(label, reviewer)]

    def history(self, queue: Queue) -> list[Label]:
        """Return everything that was ever said, in the order it was."""
        return self._store.labels(queue, history=True)

    def progress(self, queue: Queue, reviewer: str = "") -> Progress:
        """Return how far a queue is, and what is left for a reviewer."""
        labels = self._store.labels(queue)
        reviews = [label for label in labels if label.role == "review" and label.state == "labelled"]
        given = Counter(label.place for label in reviews)
        said: dict[int, set[Value | None]] = {}
        for label in reviews:
            said.setdefault(label.place, set()).add(label.value)
        disagreed = {place for place, values in said.items() if len(values) > 1}
        done = {label.place for label in labels if _is_by(label, reviewer)}
        full = {place for place, count in given.items() if count >= queue.spec.overlap}
        return Progress(
            items=queue.items,
            complete=len(full),
            labels=len(reviews),
            wanted=queue.items * queue.spec.overlap,
            reviewers=dict(sorted(Counter(label.reviewer for label in reviews).items())),
            skips=len({label.place for label in labels if label.state == "skipped"}),
            disagreed=len(disagreed),
            adjudicated=len({label.place for label in labels if label.role == "adjudication"}),
            mine=sum(label.reviewer == reviewer for label in reviews),
            left=queue.items - len(done | full),
        )

    # What comes of them

    def finals(self, queue: Queue) -> tuple[Final, ...]:
        """Return what came of every item."""
        return finals_of(queue.question, self._store.items(queue), self._store.labels(queue))

    def agreement(self, queue: Queue) -> Agreement:
        """Return how far reviewers agree, and of pairs which side won."""
        labels = self._store.labels(queue)
        return agreement_of(queue, finals_of(queue.question, self._store.items(queue), labels), labels)

    def disputes(self, queue: Queue, adjudicator: str) -> list[Dispute]:
        """Return the items that an adjudicator may settle: those without a label first, their own last.

        An item waits until it has all the labels that it wants.
        """
        found: list[Dispute] = []
        for final in self.finals(queue):
            said = list(final.votes.items())
            if final.decision not in {"divided", "most", "median"} or len(said) < queue.spec.overlap:
                continue
            # In an order of its own for each item, so that a place in the list names nobody.
            said.sort(key=lambda vote: chance(queue.id, "votes", final.place, vote[0]))
            task = Task(
                item=final.item,
                place=final.place,
                digest=digest(final.item),
                first=self._first(queue, f"{adjudicator}\0adjudicates", final.place),
            )
            found.append(
                Dispute(
                    task=task,
                    votes=tuple((value, final.comments.get(name, "")) for name, value in said),
                    labelled_it=adjudicator in final.votes,
                    had_most=final.label is not None,
                )
            )
        return sorted(found, key=lambda dispute: (dispute.labelled_it, dispute.had_most, dispute.task.place))

    def settle(self, queue: Queue, adjudicator: str, dispute: Dispute, answer: str, comment: str = "") -> Label:
        """Keep what an adjudicator decided.

        Raises:
            DataError: for an answer that may not be given.
            Conflict: the queue is closed, or somebody else has settled the item.
        """
        said = Label(
            place=dispute.task.place,
            reviewer=adjudicator,
            role="adjudication",
            value=queue.question.read(answer, dispute.task.first),
            comment=bounded(comment.strip(), "the comment"),
            first=dispute.task.first,
            created_at=self._clock.now(),
        )
        return self._store.keep(queue, said, revises=True)

    def _first(self, queue: Queue, reviewer: str, place: int) -> Side | None:
        return first_side(queue.spec.seed, reviewer, place) if queue.question.kind == "pairwise" else None


def _is_by(label: Label, reviewer: str) -> bool:
    return label.reviewer == reviewer and label.role == "review"


def _refuse_unfit(spec: QueueSpec, items: Sequence[Item]) -> None:
    if not items:
        raise DataError("no row is left to be labelled", expected="at least one; see the filters")
    if len(items) > MOST_ITEMS:
        raise DataError(f"{len(items):,} items are too many", expected=f"at most {MOST_ITEMS:,}", fix="--sample N")
    double = next((id_ for id_, count in Counter(item.id for item in items).items() if count > 1), None)
    if double is not None:
        raise DataError(f"two rows have the id {double!a}", expected="a row once")
    if spec.overlap < 1 or spec.lease <= 0.0:
        raise Conflict("an item wants at least one label, and time to give it")
    if any((item.other is not None) != (spec.question.kind == "pairwise") for item in items):
        raise DataError("a question of pairs needs two answers to every item, any other question one")
