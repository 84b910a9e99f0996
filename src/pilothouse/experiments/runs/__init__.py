"""Runs: one flow over one dataset, every row recorded, resumable."""
