"""The tools of prompt flow's own package that flows name by id."""
