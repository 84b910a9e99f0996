"""Queues of labels made from runs, experiments and datasets, and what becomes of the labels."""
