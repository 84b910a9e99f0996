"""Verbs of `pilothouse experiment` that speak with trackers."""
