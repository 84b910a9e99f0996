"""Prompt text: templates, their images, the guard of flow inputs, and the cut into messages."""
