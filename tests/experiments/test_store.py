"""Records of experiments, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from pilothouse.core.errors import Conflict, NotFound
from pilothouse.core.ids import new_id
from pilothouse.core.storage.sql import Database
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.experiments.store import ExperimentStore
from pilothouse.experiments.types import EvaluatorUse, Experiment, ExperimentRecord, ExperimentRun, Variant

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def record(name: str = "sms", number: int = 1, minutes: int = 0) -> ExperimentRecord:
    experiment = Experiment(
        name=name,
        flow="flow",
        data="data.csv",
        column_mapping={"text": "${data.text}", "limit": 3},
        variants=(Variant(name="zero", choices={"n": "zero"}), Variant(name="few", choices={"n": "few"})),
        baseline="zero",
        evaluators=(EvaluatorUse(spec=EvaluatorSpec(name="label", source="classification", better={"a": "lower"})),),
    )
    at = NOW + timedelta(minutes=minutes)
    return ExperimentRecord(
        id=new_id(), name=name, number=number, digest="ab" * 32, status="running", definition=experiment,
        created_by="me", created_at=at, updated_at=at,
    )  # fmt: skip


def test_a_record_comes_back_as_it_was_and_is_replaced_by_its_id(database: Database) -> None:
    store = ExperimentStore(database)
    first = record()
    store.save(first)
    assert store.get("sms") == first
    done = structs.replace(first, status="completed", comparison="cd" * 32, report="reports/sms/1")
    store.save(done)
    assert store.list() == [done]


def test_an_experiment_is_found_by_name_number_id_and_latest(database: Database) -> None:
    store = ExperimentStore(database)
    old, new, other = record(), record(number=2, minutes=1), record("other", minutes=2)
    for item in (old, new, other):
        store.save(item)
    assert store.get("sms") == store.get("sms:2") == store.get(new.id) == new
    assert store.get("sms:1") == store.find("sms", 1) == old
    assert store.get("latest") == other
    assert store.get(other.id[:25]) == other
    assert store.find("sms", 3) is None
    with pytest.raises(Conflict, match="several experiments"):
        store.get(old.id[:6])
    assert [item.ref for item in store.list(2)] == ["other:1", "sms:2"]
    for ref in ("smms", "sms:3", "%", "zz"):
        with pytest.raises(NotFound):
            store.get(ref)


def test_nothing_there_says_how_to_make_one(database: Database) -> None:
    with pytest.raises(NotFound, match="pilothouse experiment run FILE"):
        ExperimentStore(database).get("latest")


def test_an_arm_has_one_run_and_runs_are_found_by_what_decides_them(database: Database) -> None:
    store = ExperimentStore(database)
    first, second = record(), record("other", minutes=1)
    zero, few = first.definition.variants
    for item in (first, second):
        store.save(item)
    store.link(first.id, 1, ExperimentRun(variant=few, run="run-few"), "arm-few", NOW)
    store.link(first.id, 0, ExperimentRun(variant=zero, run="run-old"), "arm-zero", NOW)
    store.link(first.id, 0, ExperimentRun(variant=zero, run="run-zero"), "arm-zero", NOW)
    store.link(second.id, 0, ExperimentRun(variant=zero, run="run-later"), "arm-zero", NOW + timedelta(minutes=1))
    assert [link.run for link in store.get("sms").runs] == ["run-zero", "run-few"]
    assert store.get("sms").runs[0].variant == zero
    assert store.runs_of_arm("arm-zero") == ["run-later", "run-zero"]
    assert store.runs_of_arm("none") == []
    assert store.runs_of_variant("sms", zero.choices) == ["run-zero"]
    assert store.runs_of_variant("sms", {"n": "many"}) == []
