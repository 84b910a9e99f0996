"""Evaluation: evaluators give every row its scores; statistics turn scores into figures that may be *inconclusive*."""
