"""Prompt flow's client for scripts and notebooks: flows called as functions, tried, and run over data."""
