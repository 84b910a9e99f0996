"""A little of the fuzzing, each time the same: whatever comes, the gateway answers in words and lives on."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import grammar
from .process import Process, serving
from .running import Findings, documents, try_document, try_one
from .targets import TARGETS


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with serving(tmp_path_factory.mktemp("fuzzed"), "serve") as made:
        yield made


@pytest.mark.parametrize(("name", "number"), [("bodies", 150), ("heads", 400)])
def test_requests(process: Process, name: str, number: int) -> None:
    found, begun = Findings(), process.rss
    chance = Random(name)
    for _ in range(number):
        try_one(process, found, name, chance)
    found.end(process, begun)
    assert found.defects == []


def test_the_ingress_as_described(process: Process) -> None:
    found, begun = Findings(), process.rss
    try_document(process, found, "ingress", documents()["ingress"], 4.0, examples=6)
    found.end(process, begun)
    assert found.defects == []


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(chance=st.randoms(use_true_random=False), noise=st.binary(max_size=300))
def test_readers(target: str, chance: Random, noise: bytes) -> None:
    TARGETS[target](noise)
    TARGETS[target](grammar.body(chance).partition(b"\r\n\r\n")[2])
