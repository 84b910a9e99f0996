"""A real MLflow server: runs, tables, prompts and models written to it and read from it."""
