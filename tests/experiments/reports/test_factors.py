"""Factors in the report, and what a cell of the table begins with."""

from __future__ import annotations

from msgspec import structs

from pilothouse.evaluation.factors import Effect
from pilothouse.evaluation.types import Comparison, Estimate, Interval
from pilothouse.experiments.comparison import Answer, ExperimentComparison, RowView
from pilothouse.experiments.reports.cells import shown_row
from pilothouse.experiments.reports.html import render
from pilothouse.experiments.reports.parts.factors import effect_names
from pilothouse.experiments.reports.terminal import terminal_report


def effect(factor: str, base: str, level: str) -> Effect:
    interval = Interval(low=-0.3, high=-0.1, level=0.95, method="bca")
    return Effect(
        factor=factor,
        level=level,
        base=base,
        comparison=Comparison(
            metric="accuracy",
            baseline=base,
            candidate=level,
            difference=Estimate(name="accuracy", value=-0.2, interval=interval, n=80),
            test="paired permutation",
            p_value=0.001,
            p_adjusted=0.002,
            n_pairs=80,
            verdict="worse",
        ),
        left_out=3,
    )


def test_an_effect_is_called_by_what_changes() -> None:
    effects = [effect("ask.prompt", "plain.jinja2", "few.jinja2"), effect("inputs.top_k", "1", "4")]
    assert effect_names(effects) == ["prompt: plain → few", "top_k: 1 → 4"]

    alike = [effect("ask.prompt", "a.md", "b.md"), effect("check.prompt", "c", "d")]
    assert effect_names(alike) == ["ask.prompt: a → b", "check.prompt: c → d"]


def test_factors_stand_on_the_page_and_in_the_terminal(found: ExperimentComparison, rows: list[RowView]) -> None:
    hostile = effect("ask.<b>", "<script>alert(1)</script>", "\u202e4")
    grid = structs.replace(found, effects=(effect("inputs.top_k", "1", "4"), hostile))
    page = render(grid, rows).decode()

    assert 'id="factors"' in page
    assert "top_k: 1 → 4" in page
    assert "3 rows have no value in some variant" in page
    assert "<script>alert(1)" not in page
    assert "\u202e" not in page
    titles = [str(getattr(part, "title", "")) for part in terminal_report(grid)]
    assert "accuracy: what each factor does, averaged over the others" in titles
    assert 'id="factors"' not in render(found, rows).decode()


def test_of_several_outputs_the_first_text_is_seen_first(found: ExperimentComparison) -> None:
    answer = Answer(outputs={"answer": "by train", "documents": ["d1", "d2"]}, primary=0.5)
    listed = Answer(outputs={"documents": ["d1"], "answer": "by train"}, primary=0.5)
    row = RowView(id="r", number=0, answers=(answer, listed))
    first, second = shown_row(row, found.arms[:2], {}).cells

    assert first.short == "by train"
    assert 'documents: ["d1","d2"]' in first.more
    assert second.short == '{"documents":["d1"],"answer":"by train"}'
