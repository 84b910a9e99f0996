"""Prompt flow's importable names, served to the code of existing flows where prompt flow is not installed."""
