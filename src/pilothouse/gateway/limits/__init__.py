"""Limits and budgets: reserved before a call, settled after it."""
