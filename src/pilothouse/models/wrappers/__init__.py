"""Layers around any model client: retries, adaptive concurrency, spans."""
