"""Secrets that cannot be shown by accident, under the name by which models and connections know them."""

from __future__ import annotations

from pilothouse.access.secret import MASK, SHORTEST, Secret, redact

__all__ = ["MASK", "SHORTEST", "Secret", "redact"]
