"""Personal data in a text: e-mail addresses, telephone numbers, bank accounts (IBAN) and payment cards.

Numbers with a checksum count only when it is right, so that an order number is no card.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pilothouse.evaluation.suites.detectors.finding import Finding, found

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}(?![\w-])")
# International (+49 ...), or national with a leading 0 and at least nine digits, or the American form of 3-3-4.
_PHONE = re.compile(
    r"(?<![\w+.,/-])(?<!\d )(?:\+\d{1,3}[ ./-]?(?:\(0\))?(?:[ ./-]?\(?\d{1,5}\)?){2,5}"
    r"|0\d{2,4}[ /-]?\d{3,4}[ -]?\d{3,5}"
    r"|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4})(?![\w-]|[.,]\d| \d)"
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")
_CARD = re.compile(r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w-]|[.,]\d)")
_PHONE_DIGITS = range(9, 16)
_IBAN_LENGTHS = {
    "AT": 20, "BE": 16, "CH": 21, "CZ": 24, "DE": 22, "DK": 18, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27,
    "HU": 28, "IE": 22, "IT": 27, "LU": 20, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24, "SK": 24,
}  # fmt: skip


def personal_data(text: str) -> tuple[Finding, ...]:
    """Return the personal data in ``text``, masked."""
    return tuple(_all(text))


def _all(text: str) -> Iterator[Finding]:
    for match in _EMAIL.finditer(text):
        yield found("e-mail", match[0])
    taken: list[tuple[int, int]] = []
    for match in _IBAN.finditer(text):
        iban = _iban_in(match[0])
        if iban is not None:
            taken.append(match.span())
            yield found("IBAN", iban)
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _free(match, taken) and is_card(digits):
            taken.append(match.span())
            yield found("card", digits)
    for match in _PHONE.finditer(text):
        if _free(match, taken) and len(re.sub(r"\D", "", match[0])) in _PHONE_DIGITS:
            yield found("phone", match[0])


def _free(match: re.Match[str], taken: list[tuple[int, int]]) -> bool:
    return all(match.end() <= start or match.start() >= end for start, end in taken)


def _iban_in(text: str) -> str | None:
    """Return the IBAN at the beginning of ``text``, which may run on into the words after it."""
    compact = text.replace(" ", "")
    length = _IBAN_LENGTHS.get(compact[:2])
    return compact[:length] if length and len(compact) >= length and is_iban(compact[:length]) else None


def is_iban(compact: str) -> bool:
    """Return whether the check digits of an IBAN without spaces are right (ISO 7064, modulus 97)."""
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def is_card(digits: str) -> bool:
    """Return whether 13 to 19 digits are a payment card's: an issuer's first digit and Luhn's sum."""
    if not 13 <= len(digits) <= 19 or digits[0] not in "3456" or len(set(digits)) == 1:
        return False
    doubled = (int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits)))
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0
