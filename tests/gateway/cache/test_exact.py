"""The exact cache: equal requests, bounds, headers, Redis that goes away, and no answer across tenants."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pilothouse.gateway.cache.exact import CacheKey, ExactCache
from pilothouse.gateway.cache.types import CachedAnswer, CachePolicy
from pilothouse.gateway.settings import DeploymentSettings, RouteSettings
from pilothouse.gateway.settings import ExactCache as ExactSettings
from pilothouse.gateway.types import NANO, Body, Tenant

NOW = 1_800_000_000 * NANO


def cache(redis: str = "", route: str = "r", **options: Any) -> ExactCache:
    settings = RouteSettings(deployments=(DeploymentSettings(connection="c"),), cache=ExactSettings(**options))
    return ExactCache(route, settings, {}, redis)


def body(text: str = '{"model":"m","messages":[{"role":"user","content":"hi"}]}') -> Body:
    return msgspec.json.decode(text, type=dict[str, msgspec.Raw])


def key_of(made: ExactCache, tenant: Tenant | None = None, text: str | None = None, arm: str = "") -> CacheKey:
    key = made.key(tenant or Tenant(key="k"), "openai.chat", body(text) if text else body(), arm)
    assert key is not None
    return key


def answer(key: CacheKey, content: bytes = b'{"ok":1}', call: str = "call", **fields: Any) -> CachedAnswer:
    return CachedAnswer(partition=key.partition, call_id=call, stored_ns=NOW, body=content, **fields)


def run(work: Any) -> Any:
    return asyncio.run(work)


async def stored(made: ExactCache, key: CacheKey, **fields: Any) -> CachedAnswer | None:
    await made.put(key, answer(key, **fields))
    return await made.get(key, NOW)


def test_what_makes_requests_equal_and_what_does_not() -> None:
    made = cache()
    base = key_of(made)
    for same in (
        '{"messages": [ {"role":"user", "content":"hi"} ], "model":"other"}',
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"user":"u","metadata":{"a":"b"},"stream":false}',
        '{"model":"m","messages":[{"role":"user","content":"\\u0068i"}],"stream_options":{"include_usage":true}}',
    ):
        assert key_of(made, text=same) == base
    others = [
        '{"model":"m","messages":[{"role":"user","content":"hi "}]}',
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.5}',
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}',
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}',
        '{"model":"m","messages":[{"role":"user","content":"no","content":"hi"}]}',
        '{"model":"m","messages":[{"content":"hi","role":"user"}]}',
    ]
    assert len({base.digest, *(key_of(made, text=text).digest for text in others)}) == 7
    assert key_of(made, arm="b") != base
    assert key_of(cache(route="s")) != base


def test_a_changed_route_makes_new_keys_and_a_changed_weight_none() -> None:
    def of(**options: Any) -> bytes:
        settings = RouteSettings(deployments=(DeploymentSettings(connection="c", **options),), cache=ExactSettings())
        return key_of(ExactCache("r", settings, {})).digest

    assert of() == of(weight=0.1, priority=3)
    assert of() != of(model="other")


def test_what_leans_on_the_vendor_is_never_kept() -> None:
    made, tenant = cache(), Tenant(key="k")
    assert made.key(tenant, "openai.responses", body('{"input":"a","previous_response_id":"r"}')) is None
    assert made.key(tenant, "openai.responses", body('{"input":"a"}')) is not None
    assert made.key(tenant, "openai.raw", body()) is None


_PART = st.one_of(
    st.sampled_from(["", "a", "b", "a/b", 'a","b', "\x00", "é", "e\u0301", "[]", "null"]), st.text(max_size=6)
)
_TENANT = st.builds(Tenant, key=_PART, organisation=_PART, team=_PART, user=_PART)


def _allowed(scope: str, one: Tenant, other: Tenant) -> bool:
    """Say it again in other words: whether two callers may share at a scope."""

    def circle(tenant: Tenant) -> tuple[str, ...]:
        names = {
            "organisation": (tenant.organisation,),
            "team": (tenant.organisation, tenant.team),
            "user": (tenant.organisation, tenant.team, tenant.user),
            "key": (tenant.organisation, tenant.team, tenant.user, tenant.key),
        }
        return names[scope] if names[scope][-1] else ("key only", *names["key"])

    return circle(one) == circle(other)


@given(scope=st.sampled_from(["organisation", "team", "user", "key"]), one=_TENANT, other=_TENANT)
@examples(max_examples=150)
def test_no_tenant_is_given_another_tenants_answer(scope: str, one: Tenant, other: Tenant) -> None:
    made = cache(scope=scope)
    mine, theirs = key_of(made, one), key_of(made, other)
    run(made.put(mine, answer(mine)))
    found = run(made.get(theirs, NOW))
    assert (found is not None) == _allowed(scope, one, other)
    if found is not None:
        assert one.organisation == other.organisation


def test_an_answer_in_the_wrong_place_is_not_given() -> None:
    made = cache()
    mine, theirs = key_of(made, Tenant(key="a")), key_of(made, Tenant(key="b"))
    run(made.put(mine, answer(mine)))
    assert run(made.get(CacheKey(mine.digest, theirs.partition), NOW)) is None


def test_answers_age_and_headers_tell() -> None:
    made = cache(seconds=10)
    key = key_of(made)
    kept = run(stored(made, key))
    assert kept is not None
    assert dict(kept.headers(NOW + 7 * NANO, "exact")) == {
        "x-pilothouse-cache": "exact", "age": "7", "content-type": "application/json",
    }  # fmt: skip
    young = CachePolicy.of({"cache-control": "max-age=5"})
    assert run(made.get(key, NOW + 6 * NANO, young)) is None
    assert run(made.get(key, NOW + 6 * NANO)) is not None
    assert run(made.get(key, NOW + 10 * NANO)) is None
    assert (made.counts.hits, made.counts.misses) == (2, 2)


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("", (True, True, None)),
        ("no-cache", (False, True, None)),
        ("No-Store", (False, False, None)),
        ("max-age=60, private", (True, True, 60.0)),
        ("max-age=soon", (True, True, 0.0)),
    ],
)
def test_cache_control_of_requests(control: str, expected: tuple[bool, bool, float | None]) -> None:
    policy = CachePolicy.of({"cache-control": control})
    assert (policy.read, policy.store, policy.most_age) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"content": b""},
        {"content": b'{"error":{"message":"no"}}'},
        {"content": b'{"type":"error"}'},
        {"content": b'{"status":"failed"}'},
        {"content": b"<html>"},
        {"content": b'event: error\ndata: {"type":"error","error":{"message":"x"}}\n\n', "stream": True},
        {"content": b'data: {"error":{"message":"x"}}\n\n', "stream": True},
    ],
)
def test_errors_in_the_dress_of_answers_are_not_kept(fields: dict[str, Any]) -> None:
    made = cache()
    assert run(stored(made, key_of(made), **fields)) is None
    assert made.counts.refused == 1


def test_a_stream_is_kept_as_its_bytes() -> None:
    made = cache()
    events = b'data: {"choices":[{"delta":{"content":"the \\"error\\": none"}}]}\n\ndata: [DONE]\n\n'
    kept = run(stored(made, key_of(made), content=events, stream=True, content_type="text/event-stream"))
    assert kept is not None
    assert kept.body == events


def test_room_is_bounded_by_entries_and_by_bytes() -> None:
    few = cache(entries=3)
    keys = [key_of(few, Tenant(key=str(index))) for index in range(5)]
    for key in keys:
        run(few.put(key, answer(key)))
    assert [run(few.get(key, NOW)) is not None for key in keys] == [False, False, True, True, True]
    small = cache(megabytes=1)
    keys = [key_of(small, Tenant(key=str(index))) for index in range(8)]
    for key in keys:
        run(small.put(key, answer(key, b'{"a":"' + b"x" * 200_000 + b'"}')))
    assert sum(run(small.get(key, NOW)) is not None for key in keys) == 4
    assert run(stored(small, keys[0], content=b'{"a":"' + b"x" * 260_000 + b'"}')) is None


def test_feedback_evicts_the_answer_of_a_call() -> None:
    made = cache()
    key = key_of(made)
    assert run(stored(made, key, call="c1")) is not None
    assert run(made.evict("c2")) is False
    assert run(made.evict("c1")) is True
    assert run(made.get(key, NOW)) is None


def test_any_process_evicts_what_another_one_served(redis_server: Any) -> None:
    async def work() -> None:
        first, second, third = (cache(redis_server.url) for _ in range(3))
        key = key_of(first)
        for served_by, asker in ((first, "brought"), (second, "given")):
            await first.put(key, answer(key, call="brought"))
            assert await second.get(key, NOW, call_id="given") is not None
            await second.aclose()  # what no call waits for has been done
            assert await third.evict("of nobody") is False
            assert await third.evict(asker) is True
            assert await third.evict(asker) is False
            assert await third.get(key, NOW) is None
            assert await served_by.get(key, NOW + NANO // 2) is not None, "Redis is asked once a second an answer"
            assert await first.get(key, NOW + 2 * NANO) is None
            assert await second.get(key, NOW + 2 * NANO) is None
        await first.put(key, answer(key, call="kept"))
        redis_server.stop()
        assert await first.get(key, NOW + 9 * NANO) is not None, "without Redis, what is in memory counts"
        assert await third.evict("kept") is False
        for made in (first, second, third):
            await made.aclose()

    run(work())


def test_processes_share_answers_through_redis_and_live_without_it(redis_server: Any) -> None:
    async def work() -> None:
        first, second = cache(redis_server.url), cache(redis_server.url)
        key = key_of(first)
        await first.put(key, answer(key, call="c"))
        found = await second.get(key, NOW + 5 * NANO)
        assert found == answer(key, call="c")
        late = cache(redis_server.url)
        assert await late.get(key, NOW + 3600 * NANO) is None
        other = key_of(first, Tenant(key="z"))
        assert await late.get(CacheKey(key.digest, other.partition), NOW) is None
        redis_server.stop()
        third = cache(redis_server.url)
        assert await third.get(key, NOW) is None
        assert third.counts.failures == 1
        await third.put(key, answer(key))
        assert await third.get(key, NOW) is not None
        for made in (first, second, late, third):
            await made.aclose()

    run(work())
