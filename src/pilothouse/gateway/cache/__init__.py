"""Answers given again: to the same request, or to one that means the same."""
