"""Metrics: what a text or a set of labels is worth, free of rows, runs and evaluators."""
