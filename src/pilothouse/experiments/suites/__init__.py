"""Suites at work: their rows become a dataset, a flow answers them in a run, checks and figures follow."""
