"""Runs as files for other tools: one module a format."""
