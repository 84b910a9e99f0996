"""Detectors: what an answer shows, found by rules that anyone can read."""
