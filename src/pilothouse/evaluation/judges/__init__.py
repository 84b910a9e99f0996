"""Judges: models that answer a question about a row, by a rubric and in a form that a schema fixes."""
