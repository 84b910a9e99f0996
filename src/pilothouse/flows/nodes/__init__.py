"""What a node of each type does: python, prompt and llm, with their templates, roles and literals."""
