"""The semantic cache: what may be taken for the same, what never, checks and feedback, and no answer across tenants."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ModelError
from pilothouse.core.packages import user_cache
from pilothouse.gateway.cache.questions import marks
from pilothouse.gateway.cache.semantic import FalseHits, Question, SemanticCache, SemanticHit
from pilothouse.gateway.cache.types import CachedAnswer, CachePolicy
from pilothouse.gateway.settings import DeploymentSettings, RouteSettings
from pilothouse.gateway.settings import SemanticCache as SemanticSettings
from pilothouse.gateway.types import NANO, Tenant
from pilothouse.models.providers.encoder import TOKENIZER, Encoder, offline_tokenizer

NOW = 1_800_000_000 * NANO
QUESTIONS = Path(__file__).parent / "data" / "questions.tsv"


async def alike(text: str) -> Sequence[float]:
    """Take all texts that share their first letter for the same."""
    vector = np.zeros(8)
    vector[ord(text[0]) % 8] = 1.0
    return vector.tolist()


def cache(embed: Any = alike, **options: Any) -> SemanticCache:
    own = SemanticSettings(connection="e", **{"verify": 0.0, **options})
    settings = RouteSettings(deployments=(DeploymentSettings(connection="c"),), semantic_cache=own)
    return SemanticCache("r", settings, {}, embed, seed=1)


def asked(made: SemanticCache, text: str = "hello", tenant: Tenant | None = None, **fields: Any) -> Question:
    history = fields.pop("history", [])
    value = {"messages": [*history, {"role": "user", "content": text}], **fields}
    body = msgspec.json.decode(msgspec.json.encode(value), type=dict[str, msgspec.Raw])
    question = made.question(tenant or Tenant(key="k"), "openai.chat", body)
    assert question is not None
    return question


def answer(question: Question, text: str = "hi", call: str = "c1") -> CachedAnswer:
    body = msgspec.json.encode({"choices": [{"message": {"content": text}}]})
    return CachedAnswer(partition=question.owner, call_id=call, stored_ns=NOW, body=body)


def told(made: SemanticCache, first: Question, second: Question, **options: Any) -> SemanticHit | None:
    async def run() -> SemanticHit | None:
        await made.put(first, answer(first))
        return await made.get(second, NOW, **options)

    return asyncio.run(run())


def test_a_question_that_means_the_same_is_answered() -> None:
    made = cache()
    hit = told(made, asked(made, "how are you"), asked(made, "how do you do"))
    assert hit is not None
    assert hit.similarity == pytest.approx(1.0)
    assert (made.counts.hits, made.counts.stored) == (1, 1)


@pytest.mark.parametrize(
    "other",
    [
        {"text": "bye"},
        {"temperature": 0.1},
        {"history": [{"role": "system", "content": "be brief"}]},
        {"tools": []},
        {"stream": True},
        {"tenant": Tenant(key="z")},
        {"text": "hello 2"},
        {"text": "hello to Berlin"},
    ],
)
def test_all_but_the_last_message_must_be_the_same(other: dict[str, Any]) -> None:
    made = cache()
    assert told(made, asked(made), asked(made, **other)) is None


def test_what_is_no_plain_text_of_a_user_is_left_alone() -> None:
    made, tenant = cache(), Tenant(key="k")

    def of(text: str) -> Question | None:
        return made.question(tenant, "openai.chat", msgspec.json.decode(text, type=dict[str, msgspec.Raw]))

    assert of('{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}') is not None
    for text in (
        '{"messages":[{"role":"tool","content":"a"}]}',
        '{"messages":[]}',
        '{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}',
        '{"messages":[{"role":"user","content":"a","content":"b"}]}',
        '{"messages":[{"role":"user","content":" "}]}',
        '{"messages":3}',
    ):
        assert of(text) is None


_PART = st.one_of(st.sampled_from(["", "a", "b", 'a","b', "\x00", "é", "e\u0301"]), st.text(max_size=4))
_TENANT = st.builds(Tenant, key=_PART, organisation=_PART, team=_PART, user=_PART)


@given(scope=st.sampled_from(["organisation", "team", "user", "key"]), one=_TENANT, other=_TENANT)
@examples(max_examples=150)
def test_no_tenant_is_given_another_tenants_answer(scope: str, one: Tenant, other: Tenant) -> None:
    made = cache(scope=scope)
    hit = told(made, asked(made, tenant=one), asked(made, tenant=other))
    if one == other:
        assert hit is not None
    if one.organisation != other.organisation or (scope == "key" and one != other):
        assert hit is None


def test_a_forged_question_is_not_given_an_answer_of_somebody_else() -> None:
    made = cache()
    mine, theirs = asked(made, tenant=Tenant(key="a")), asked(made, tenant=Tenant(key="b"))
    theirs.partition = mine.partition
    assert told(made, mine, theirs) is None


def test_age_and_cache_control_hold() -> None:
    made = cache(seconds=10)
    question = asked(made)
    assert told(made, question, asked(made), policy=CachePolicy(read=False)) is None
    assert asyncio.run(made.get(asked(made), NOW + 9 * NANO)) is not None
    assert asyncio.run(made.get(asked(made), NOW + 9 * NANO, CachePolicy(most_age=5))) is None
    assert asyncio.run(made.get(asked(made), NOW + 10 * NANO)) is None


def test_an_embedding_model_that_fails_is_a_miss_that_is_counted() -> None:
    async def broken(_: str) -> Sequence[float]:
        raise ModelError("down")

    async def strange(_: str) -> Sequence[float]:
        return [float("nan")]

    for embed in (broken, strange):
        made = cache(embed)
        assert told(made, asked(made), asked(made)) is None
        assert (made.counts.failures, made.counts.stored) == (2, 0)


def test_room_is_bounded_and_the_rest_is_still_found() -> None:
    made = cache(entries=5)
    texts = [f"{letter}xyz" for letter in "abcdefgh"]

    async def run() -> list[bool]:
        for text in texts:
            question = asked(made, text)
            await made.put(question, answer(question, text))
        hits = [await made.get(asked(made, text), NOW) for text in texts]
        assert all(hit is None or texts[index].encode() in hit.answer.body for index, hit in enumerate(hits))
        return [hit is not None for hit in hits]

    assert asyncio.run(run()) == [False] * 3 + [True] * 5
    assert made.counts.evicted == 3


def test_feedback_evicts_what_served_a_call_and_counts_a_false_hit() -> None:
    made = cache()
    assert told(made, asked(made), asked(made), call_id="c2") is not None
    assert made.evict("unknown") is False
    assert made.evict("c2") is True
    assert made.false_hits.reported == 1
    assert asyncio.run(made.get(asked(made), NOW)) is None


def test_a_share_of_hits_is_checked_and_wrong_ones_are_forgotten() -> None:
    made = cache(verify=1.0)
    hit = told(made, asked(made), asked(made))
    assert hit is not None
    assert hit.verify
    assert asyncio.run(made.verified(hit, answer(asked(made), "hi "))) is True
    assert asyncio.run(made.verified(hit, answer(asked(made), "no"))) is False
    assert (made.false_hits.checked, made.false_hits.wrong) == (2, 1)
    assert asyncio.run(made.get(asked(made), NOW)) is None


def test_the_interval_is_wilsons() -> None:
    assert FalseHits().interval() == (0.0, 1.0)
    assert FalseHits(checked=100, wrong=3).interval() == pytest.approx((0.01025, 0.08452), abs=1e-5)
    assert FalseHits(checked=50).interval()[1] == pytest.approx(0.07135, abs=1e-5)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("What is 15% of 200?", "How much is 15% of 200?", True),
        ("What is 15% of 200?", "What is 25% of 200?", False),
        ("Can I pay by card?", "Can't I pay by card?", False),
        ("Fly from Paris to Rome", "Fly from Rome to Paris", False),
        ("Translate 'good night'", "Translate 'good evening'", False),
        ("the way from the airport to the city", "the way from the city to the airport", False),
    ],
)
def test_marks_tell_apart_what_vectors_do_not(one: str, other: str, same: bool) -> None:
    assert (marks(one) == marks(other)) is same


@pytest.mark.skipif(
    not offline_tokenizer(user_cache(Environment.load(Path.cwd()))).is_file(),
    reason="the encoder's tokenizer is not fetched",
)
def test_false_hits_of_the_default_threshold_on_labelled_questions() -> None:
    assert TOKENIZER.size
    encoder = Encoder.offline(user_cache(Environment.load(Path.cwd())), download=False)

    async def embed(text: str) -> Sequence[float]:
        return encoder.whole(text).tolist()

    made = cache(embed)
    rows = [line.split("\t") for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]

    async def run() -> tuple[int, int]:
        right = wrong = 0
        for number, (question, same, different) in enumerate(rows[::3]):
            tenant = Tenant(key=str(number))
            first = asked(made, question, tenant)
            await made.put(first, answer(first))
            right += await made.get(asked(made, same, tenant), NOW) is not None
            wrong += await made.get(asked(made, different, tenant), NOW) is not None
        return right, wrong

    right, wrong = asyncio.run(run())
    assert len(rows) == 110
    assert right >= 8
    assert wrong == 0
