"""Nouns of safety: what was found in a text, and where."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

PERSONAL: Final = frozenset({"email", "phone", "card", "iban", "us_ssn", "ip", "birth_date"})
"""Kinds of personal data."""

SECRETS: Final = frozenset(
    {
        "anthropic_key",
        "api_key",
        "aws_key",
        "azure_key",
        "connection_string",
        "gcp_key",
        "github_token",
        "jwt",
        "openai_key",
        "password",
        "private_key",
        "slack_token",
        "stripe_key",
    }
)
"""Kinds of secrets; ``api_key`` are those of vendors without a kind of their own."""

KINDS: Final = PERSONAL | SECRETS
"""All kinds."""


class Finding(Struct, frozen=True, kw_only=True, order=True):
    """Something found.

    Attributes:
        start: Index of its first character.
        end: Index behind its last character.
        kind: One of ``KINDS``.
        score: How sure the rule is, 0 to 1: 1 where a check digit or a vendor's format agrees, less where only the
            words around it tell.
    """

    start: int
    end: int
    kind: str
    score: float = 1.0
