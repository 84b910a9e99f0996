"""What tells a real number from one that looks like it: check digits, issuers, ranges, and how random a text is."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

_LENGTHS: Final = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 "
    "FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 "
    "LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 "
    "SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TN24 TR26 UA29 VA22 VG24 XK20 "
)
IBAN_LENGTHS: Final[dict[str, int]] = {item[:2]: int(item[2:]) for item in _LENGTHS.split()}
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
