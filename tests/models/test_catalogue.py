"""What is known of a model before anyone asks it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pilothouse.models.catalogue import ModelFacts, facts
from pilothouse.models.licences import SERVED_ONLY, licence_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_a_hosted_model_has_a_price_and_a_context() -> None:
    found = facts("openai/gpt-4o-mini", NOW)

    assert (found.context, found.input_price, found.output_price) == (128_000, Decimal("0.15"), Decimal("0.6"))
    assert found.licence == SERVED_ONLY


def test_a_provider_is_known_by_the_name_of_the_conventions() -> None:
    assert facts("azure.ai.openai/gpt-4o", NOW).context == 128_000


def test_the_local_model_states_its_licence_and_has_no_price() -> None:
    found = facts("local/smollm2-135m-instruct", NOW)

    assert (found.context, found.licence, found.parameters) == (8192, "Apache-2.0", 134_515_008)
    assert found.input_price is None


@pytest.mark.parametrize("name", ["openai/nobody-knows-it", "nobody/model", "scripted/tiny", "", "openai/"])
def test_nothing_is_guessed(name: str) -> None:
    assert facts(name, NOW) == ModelFacts(name=name)


@pytest.mark.parametrize(
    ("model", "licence"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama 3.1 Community Licence"),
        ("llama-3-70b", "Llama 3 Community Licence"),
        ("gpt-oss-20b", "Apache-2.0"),
        ("gpt-5-mini", SERVED_ONLY),
        ("claude-sonnet-4-5", SERVED_ONLY),
        ("my-own-finetune", None),
    ],
)
def test_the_licence_of_a_family(model: str, licence: str | None) -> None:
    assert licence_of(model) == licence
