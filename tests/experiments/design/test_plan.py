"""What a plan says: calls, cost, time and what can be found; and that it says when it does not know."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import structs

from pilothouse.core.errors import UserError
from pilothouse.evaluation.statistics import power
from pilothouse.experiments.design.estimates import History
from pilothouse.experiments.design.preparation import PreparedArm
from pilothouse.experiments.design.settings import Placed
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.types import Variant
from pilothouse.flows.types import Flow
from pilothouse.models.prices import PriceBook
from pilothouse.models.service import ModelService
from pilothouse.models.settings import Price

from .conftest import Lab

ARMS = "axes: {answer.temperature: [0.0, 0.7, 1.0]}\n"


@pytest.fixture
def priced(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose two models cost 1 and 10 dollars a million tokens."""
    book = PriceBook([Price(model="small", input=1, output=1), Price(model="large", input=10, output=10)])
    monkeypatch.setattr(ModelService, "price", lambda _, *call: book.price(*call))
    return lab


def said(lab: Lab) -> str:
    result = lab.call("plan", "experiment.yaml")
    assert result.exception is None, result.exception
    return " ".join(result.stdout.split())


def test_calls_that_arms_share_are_told_and_that_is_what_is_called(lab: Lab) -> None:
    lab.experiment(ARMS)
    planned = lab.plan()
    assert (planned["calls"], planned["shared"]) == (24, 8)
    assert "At most 24 model calls; 8 of them are the same in several variants and made once" in said(lab)
    lab.run()
    assert len(lab.server.requests) == 16
    lab.experiment(ARMS.replace("1.0]", "1.0, 1.5]"))
    again = lab.plan()
    assert (again["done"], again["calls"], again["shared"]) == (12, 8, 4)


def test_an_input_that_only_a_later_node_reads_leaves_the_first_shared(lab: Lab) -> None:
    flow = (lab.root / "flows/two/flow.dag.yaml").read_text()
    lab.write("flows/two/flow.dag.yaml", flow.replace(", top_k: '${inputs.top_k}'}", "}", 1))
    lab.experiment("axes: {inputs.top_k: [3, 5]}\n")
    assert (lab.plan()["calls"], lab.plan()["shared"]) == (16, 8)
    lab.write("flows/two/flow.dag.yaml", flow)
    assert lab.plan()["shared"] == 0


def test_what_is_not_known_is_not_invented(lab: Lab) -> None:
    planned = lab.plan()
    assert (planned["cost"]["low"], planned["cost"]["high"], planned["time"]["seconds"]) == (None, None, None)
    assert "tokens of 'answer'" in planned["cost"]["unknown"]
    assert "Cost: unknown" in said(lab)
    assert "Time: unknown" in said(lab)


def test_prompts_of_the_rows_give_a_lower_bound(priced: Lab) -> None:
    cost = priced.plan()["cost"]
    letters = [len(f"user:\nDraft with 3 documents: {text}\n") for text in ("a ham", "a spam", "boom ham", "the spam")]
    assert abs(cost["input_tokens"] - sum(letters) / 4) <= 1
    assert cost["basis"] == ["draft: the prompts of 4 rows, 4 letters a token"]
    assert (Decimal(cost["low"]) > 0, cost["high"]) == (True, None)
    assert "tokens of 'answer'" in cost["unknown"]


def test_a_limit_of_the_answer_gives_an_upper_bound(priced: Lab) -> None:
    flow = (priced.root / "flows/two/flow.dag.yaml").read_text().split("  - name: answer")[0]
    flow = flow.replace("answer.output", "draft.output").replace("temperature: 0,", "temperature: 0, max_tokens: 100,")
    priced.write("flows/two/flow.dag.yaml", flow)
    cost = priced.plan()["cost"]
    assert Decimal(cost["high"]) - Decimal(cost["low"]) == Decimal(4 * 100) / 1_000_000
    assert cost["unknown"] == []


def test_earlier_calls_of_the_same_model_tell_the_cost(priced: Lab) -> None:
    priced.run()
    priced.experiment(ARMS)
    planned = priced.plan()
    # Two arms are left, whose drafts are in the cache: 8 calls of `large`, of 10 + 2 tokens at 10 dollars a million.
    assert (planned["calls"] - planned["shared"], planned["cost"]["unknown"]) == (8, [])
    assert Decimal(planned["cost"]["low"]) == Decimal(planned["cost"]["high"]) == Decimal("0.00096")
    assert "Cost: about $0.0010, 80 input and 16 output tokens (answer: 4 earlier calls of large)." in said(priced)
    priced.experiment("axes: {answer.model: [large, huge]}\n")
    assert "tokens of 'answer'" in priced.plan()["cost"]["unknown"]


def test_a_limit_on_the_cost_refuses_before_any_call(priced: Lab) -> None:
    unknown = priced.call("run", "experiment.yaml", "--max-cost", "0.0000001")
    assert isinstance(unknown.exception, UserError)
    assert "this costs at least $0.0000" in str(unknown.exception)
    assert priced.server.requests == []
    assert priced.call("run", "experiment.yaml", "--max-cost", "5").return_value == 0
    assert priced.call("run", "experiment.yaml", "--max-cost", "0").return_value == 0
    anew = priced.call("run", "experiment.yaml", "--max-cost", "0", "--no-cache")
    assert "this costs at least" in str(anew.exception)
    assert len(priced.server.requests) == 8


def test_a_cost_that_is_not_known_needs_a_yes(lab: Lab) -> None:
    result = lab.call("run", "experiment.yaml", "--max-cost", "5")
    assert "what this costs is not known: tokens of 'answer'" in str(result.exception).replace(
        "price of openai/small; ", ""
    ).replace("price of openai_compatible/small; ", "")
    assert lab.server.requests == []
    assert lab.call("run", "experiment.yaml", "--max-cost", "5", "--yes").return_value == 0


def test_time_is_that_of_earlier_runs(lab: Lab) -> None:
    lab.experiment(ARMS)
    lab.run()
    runs = lab.services.get(RunService)
    paces = {"None": 2.0, "0.7": 6.0}
    timed = []
    for run in runs.list():
        pace = paces.get(str(run.spec.connections.get("answer", {}).get("temperature")))
        if pace is not None:
            attempts = tuple(structs.replace(item, duration=pace * item.rows) for item in run.attempts)
            timed.append(structs.replace(run, attempts=attempts, cache=structs.replace(run.cache, hits=0)))
    history = History("two", timed, runs.rows)

    def pace(temperature: float) -> float | None:
        # Only the settings and the variants of an arm are looked at.
        found = history.pace(_arm(timed[0].variants, temperature))
        return None if found is None else found[0]

    assert (pace(0.0), pace(0.7)) == (2.0, 6.0)
    assert pace(5.0) in {2.0, 6.0}
    assert History("other", timed, runs.rows).pace(_arm({}, 0.0)) is None


def _arm(variants: dict[str, str], temperature: float) -> PreparedArm:
    flow = Flow(name="two", path=Path("flow.dag.yaml"), variants=variants)
    # A temperature of 0 is the flow's own.
    settings = Placed(connections={"answer": {"temperature": temperature}} if temperature else {})
    return PreparedArm(variant=Variant(name="x"), flow=flow, placed=settings, key="k")


def test_clusters_are_what_is_counted(lab: Lab) -> None:
    lab.experiment(f"{ARMS}cluster: user\n")
    planned = lab.plan()
    assert (planned["rows"], planned["units"], planned["cluster"]) == (4, 3, "user")
    assert "What 3 clusters (user) can find" in said(lab)


def test_means_are_found_in_deviations_and_corrected_for_the_family(lab: Lab) -> None:
    lab.experiment(ARMS)
    (found,) = lab.plan()["detectable_means"]
    assert found["difference"] == pytest.approx(power.detectable_mean_difference(4, 1.0, 0.025, 0.8))
    assert "means: differences from" in said(lab)


def test_means_that_were_measured_are_found_in_their_own_unit(lab: Lab) -> None:
    text = (lab.root / "experiment.yaml").read_text()
    overlap = "{use: token_f1, column_mapping: {prediction: '${run.outputs.label}', truth: '${data.label}'}}"
    axis = "axes: {answer.prompt: [answer.jinja2, short.jinja2]}\n"
    lab.experiment(axis, text.replace("resamples", f"  - {overlap}\nresamples"))
    lab.server.echoes = "it: "
    lab.run()
    found = lab.plan()["detectable_means"]
    assert [item["metric"] for item in found] == ["", "token_f1"]
    assert found[1]["deviation"] > 0
    wanted = power.detectable_mean_difference(4, found[1]["deviation"], 0.05, 0.8)
    assert found[1]["difference"] == pytest.approx(wanted)
    assert "means of token_f1: differences from" in said(lab)


def test_a_judge_s_calls_are_counted(lab: Lab) -> None:
    text = (lab.root / "experiment.yaml").read_text()
    judge = (
        "  - name: good\n    use: judge\n"
        "    options: {question: Is it good?, connection: counted, model: judge, votes: 3}\n"
        "    column_mapping: {answer: '${run.outputs.label}'}\nresamples"
    )
    lab.experiment(ARMS, text.replace("resamples", judge))
    planned = lab.plan()
    assert planned["judges"][1] == {"name": "good", "calls_per_row": 3, "calls": 36}
    assert planned["judge_calls"] == 36
    assert "'good' asks 3 models about a row: at most 36 calls" in said(lab)
    assert "what the judges cost" in said(lab)


def test_code_that_asks_models_itself_is_unknown(lab: Lab) -> None:
    lab.write("flows/own/flow.flex.yaml", "entry: own:answer\n")
    lab.write("flows/own/own.py", "def answer(text: str) -> dict:\n    return {'label': text}\n")
    lab.experiment("", (lab.root / "experiment.yaml").read_text().replace("flows/two", "flows/own"))
    assert lab.plan()["arms"][0]["calls_per_row"] is None
    assert "Model calls: unknown" in said(lab)
