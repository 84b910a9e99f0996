"""Pipelines of CI servers that run an experiment and its gate."""
