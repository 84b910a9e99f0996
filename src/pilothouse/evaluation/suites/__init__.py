"""Suites: prompts with planted facts, detectors of what must not come out, and figures with intervals."""
