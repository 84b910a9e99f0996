"""What tells a real number from one that looks like it: check digits, issuers, ranges, and how random a text is."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

IBAN_LENGTHS: Final[dict[str, int]] = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}
"""Characters of an IBAN by country."""

_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn(digits: str) -> bool:
    """Tell whether the last of some digits is their check digit by Luhn's rule (ISO/IEC 7812-1)."""
    values = [ord(digit) - 48 for digit in reversed(digits)]
    return (sum(values[::2]) + sum(_DOUBLED[value] for value in values[1::2])) % 10 == 0


def is_card(digits: str) -> bool:
    """Tell whether digits are the number of a payment card: issuer, length, check digit."""
    length, two, four = len(digits), int(digits[:2]), int(digits[:4])
    issued = (
        (digits[0] == "4" and length in {16, 19})
        or (length == 16 and (51 <= two <= 55 or 2221 <= four <= 2720))
        or (length == 15 and two in {34, 37})
        or (length in {14, 16} and two in {30, 36, 38, 39})
        or (16 <= length <= 19 and two in {35, 60, 62, 64, 65})
        or (16 <= length <= 19 and two in {50, 56, 57, 58, 63, 67})
    )
    return issued and len(set(digits)) > 1 and luhn(digits)


def is_iban(text: str) -> bool:
    """Tell whether a text without separators is an IBAN: length of its country, check digits (ISO 13616)."""
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not text.isascii() or not text.isalnum():
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def is_ssn(digits: str) -> bool:
    """Tell whether nine digits can be a US social security number: no area 000, 666, 9xx, no empty group."""
    return digits[:3] not in {"000", "666"} and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"


def entropy(text: str) -> float:
    """Return Shannon's entropy of a text's characters, bits a character: 0 for one repeated, about 6 for base64."""
    total = len(text)
    return -sum(count / total * math.log2(count / total) for count in Counter(text).values())
