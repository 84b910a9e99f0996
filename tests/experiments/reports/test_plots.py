"""The plots: every mark where its number says, every text escaped."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import pytest

from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.reports.plots import svg
from pilothouse.experiments.reports.plots.confusion import Matrix, confusion_plot, reduce
from pilothouse.experiments.reports.plots.intervals import PAD, Dot, difference_plot, score_plot
from pilothouse.experiments.reports.plots.latency import MOST_POINTS, Curve, latency_plot
from pilothouse.experiments.reports.plots.tokens import token_plot


def parse(plot: str) -> ET.Element:
    return ET.fromstring(plot.replace("&#x27;", "'"))


def marks(plot: str, css: str) -> list[ET.Element]:
    return [item for item in parse(plot).iter() if css in (item.get("class") or "").split()]


def test_a_score_plot_puts_dots_and_whiskers_on_one_scale() -> None:
    dots = [Dot(label="a", value=0.2, low=0.0, high=0.4), Dot(label="b", value=1.0, low=0.9, high=1.0)]
    plot = score_plot(dots, title="t", baseline=0.2, bounds=(0.0, 1.0), show=numbers.score)
    circles = [float(item.get("cx") or "") for item in marks(plot, "mark")]
    width = svg.WIDTH - 2 * PAD
    assert circles == pytest.approx([PAD + 0.2 * width, PAD + width], abs=0.1)
    (reference,) = marks(plot, "reference")
    assert float(reference.get("x1") or "") == pytest.approx(circles[0], abs=0.1)
    inside = [float(item.get(key) or 0) for item in marks(plot, "whisker") for key in ("x1", "x2")]
    assert min(inside) >= PAD - 0.1
    assert max(inside) <= svg.WIDTH - PAD + 0.1


def test_a_difference_plot_has_zero_in_its_middle_and_bands_around_it() -> None:
    dots = [Dot(label="a", value=0.1, low=-0.1, high=0.3, band=0.2), Dot(label="b", value=None, text="no pairs")]
    plot = difference_plot(dots, title="t", show=numbers.signed)
    (zero,) = marks(plot, "zero")
    assert float(zero.get("x1") or "") == pytest.approx(svg.WIDTH / 2)
    (band,) = marks(plot, "band")
    left, width = float(band.get("x") or ""), float(band.get("width") or "")
    assert left + width / 2 == pytest.approx(svg.WIDTH / 2, abs=0.2)
    assert len(marks(plot, "mark")) == 1
    assert "no pairs" in plot


@pytest.mark.parametrize("values", [[], [None], [0.5], [0.0], [1e9], [-3.0, 7.0]])
def test_any_numbers_make_a_plot(values: list[float | None]) -> None:
    dots = [Dot(label="a", value=value) for value in values]
    parse(score_plot(dots, title="t", baseline=None, bounds=None, show=numbers.score))
    parse(difference_plot(dots, title="t", show=numbers.signed))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.61, 0.68), (-0.3, 0.3), (0.0, 12345.0), (1e-7, 3e-7), (5.0, 5.0), (-1e6, 1e6)]
)
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    found = svg.ticks(low, high)
    assert 1 <= len(found) <= 7
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)
    steps = {float(f"{b - a:.3g}") for a, b in itertools.pairwise(found)}
    assert len(steps) <= 1
    assert all(f"{step:.0e}"[0] in "125" for step in steps)


def test_a_latency_curve_climbs_from_nothing_to_all_rows() -> None:
    plot = latency_plot([Curve(label="a", values=tuple(value / 100 for value in range(1, 1001)), style=0)], title="t")
    (curve,) = marks(plot, "curve")
    heights = [float(value) for value in re.findall(r"V([\d.]+)", curve.get("d") or "")]
    assert len(heights) <= MOST_POINTS
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] == 10
    assert "logarithmic" in plot
    assert "logarithmic" not in latency_plot([Curve(label="a", values=(1.0, 2.0), style=0)], title="t")
    assert latency_plot([Curve(label="a", values=(), style=0)], title="t") == ""
    parse(latency_plot([Curve(label="a", values=(0.0, 0.0), style=9)], title="t"))


def test_a_confusion_cell_is_shaded_by_its_share_and_leads_to_its_rows() -> None:
    matrix = Matrix(truths=("ham", "spam"), answers=("ham", "spam", "(none)"), counts=((3, 1, 0), (0, 0, 0)))
    plot = confusion_plot(matrix, title="t", link=lambda truth, answer: f'href="#r{truth}{answer}"')
    links = [item.get("href") for item in parse(plot).iter("a")]
    assert links == ["#r00", "#r01"]
    assert [item.get("fill-opacity") for item in marks(plot, "right")] == ["0.72"]
    assert [item.get("fill-opacity") for item in marks(plot, "wrong")] == ["0.29"]
    assert len(marks(plot, "none")) == 4


def test_many_classes_are_reduced_to_those_with_most_errors_and_nothing_is_lost() -> None:
    n = 30
    labels = [f"c{index}" for index in range(n)]
    matrix = [[10 if row == column else 0 for column in range(n + 1)] for row in range(n)]
    matrix[7][9], matrix[9][n] = 4, 2
    found = reduce(labels, matrix, 5)
    assert (len(found.truths), found.answers[-1]) == (6, "(none)")
    assert {"c7", "c9", "25 others"} <= set(found.truths)
    assert sum(map(sum, found.counts)) == sum(map(sum, matrix))
    assert found.counts[found.truths.index("c7")][found.answers.index("c9")] == 4
    assert reduce(labels[:2], [[1, 2, 0], [3, 4, 0]], 5) == Matrix(
        truths=("c0", "c1"), answers=("c0", "c1"), counts=((1, 2), (3, 4))
    )


@pytest.mark.parametrize("text", ["<script>", "</svg><b>", "\"'&", "a\u202eb", "x\ud800"])
def test_every_text_is_escaped(text: str) -> None:
    plots = [
        score_plot(
            [Dot(label=text, value=0.5, text=text, remark=text)],
            title=text,
            baseline=None,
            bounds=None,
            show=numbers.score,
        ),
        latency_plot([Curve(label=text, values=(1.0,), style=0)], title=text),
        token_plot([(text, 3.0, 1.0), ("b", 0.0, 0.0)], title=text),
        confusion_plot(Matrix(truths=(text,), answers=(text,), counts=((1,),)), title=text, link=lambda *_: 'href="#"'),
    ]
    for plot in plots:
        parse(plot)
        assert text not in plot
        plot.encode()
