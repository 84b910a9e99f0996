"""Prompty files: a prompt with its model in one file, in the dialects of prompt flow and of Prompty 2."""
