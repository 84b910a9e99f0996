"""Comparisons that are looked at more than once: how often, what each look says, where they stop."""
