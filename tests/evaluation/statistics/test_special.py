from __future__ import annotations

import numpy as np
import pytest
from scipy import special as scipy_special
from scipy import stats

from pilothouse.evaluation.statistics.special import (
    beta_cdf,
    beta_quantile,
    binomial_cdf,
    normal_cdf,
    normal_quantile,
    t_cdf,
    t_quantile,
    t_tail,
    two_sided_z,
)

RNG = np.random.default_rng(4)


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize(("a", "b"), [tuple(10 ** RNG.uniform(-1, 5, 2)) for _ in range(60)])
def test_beta(a: float, b: float) -> None:
    for x in (*RNG.beta(a, b, 5), 0.0, 1.0, 1e-6, 0.5):
        assert beta_cdf(x, a, b) == close(scipy_special.betainc(a, b, x))


@pytest.mark.parametrize("p", [0.0, 1e-6, 0.025, 0.3, 0.975, 1.0])
def test_beta_quantile(p: float) -> None:
    for a, b in ((0.5, 0.5), (1, 40), (7, 3), (900, 12)):
        assert beta_quantile(p, a, b) == close(stats.beta.ppf(p, a, b))


@pytest.mark.parametrize("n", [1, 7, 60, 1000, 250_000])
def test_binomial(n: int) -> None:
    for p in (0.05, 0.5, 0.95):
        for k in {-1, 0, int(n * p * 0.9), int(n * p), int(n * p * 1.05), n - 1, n, n + 1}:
            assert binomial_cdf(k, n, p) == close(stats.binom.cdf(k, n, p))


@pytest.mark.parametrize("df", [1, 2, 3.5, 29, 199, 10_000, 800_000])
def test_student(df: float) -> None:
    for t in (-40.0, -2.5, -1e-4, 0.0, 0.3, 1.96, 12.0):
        assert t_cdf(t, df) == close(stats.t.cdf(t, df))
        assert t_tail(t, df) == close(2 * stats.t.sf(abs(t), df))
    for p in (0.0005, 0.025, 0.5, 0.6, 0.975, 0.9999):
        assert t_quantile(p, df) == close(stats.t.ppf(p, df))


def test_normal() -> None:
    for z in (-30.0, -1.0, 0.0, 2.0):
        assert normal_cdf(z) == close(stats.norm.cdf(z))
    for p in (1e-10, 0.025, 0.5, 0.975):
        assert normal_quantile(p) == close(stats.norm.ppf(p))
    assert two_sided_z(0.95) == close(stats.norm.ppf(0.975))
