"""Experiments: flows in variants on data, run, compared and reported."""
