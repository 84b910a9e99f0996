"""Likeness of texts by the vectors of an encoder: token by token, and of whole texts."""
