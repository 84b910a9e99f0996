"""What Python tools import of `promptflow.tools`: prompts, models and services as functions."""
