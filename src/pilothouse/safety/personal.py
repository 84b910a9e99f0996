"""Rules for personal data. Every pattern is anchored and bounded: a text's length counts once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Final

from pilothouse.safety.checks import IBAN_LENGTHS, is_card, is_iban, is_ssn
from pilothouse.safety.types import Finding
from pilothouse.safety.views import View

_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w@])|(?:[^\W_][\w-]{0,61}\.){1,8}xn--[a-z0-9-]{1,40}"
)
_LOCAL = frozenset("._%+-'")
_FILE_ENDINGS = "png jpg jpeg gif svg webp bmp ico css js ts mjs map html htm json yaml yml md txt py so dll"
_FILES = frozenset(_FILE_ENDINGS.split())
_NUMBERS = re.compile(r"[0-9][0-9 ()./\-+]{5,}[0-9]")
_CARD = re.compile(r"(?<![0-9.+])[0-9](?:[ -]?[0-9]){13,18}(?![0-9])")
_SSN = re.compile(r"(?<![0-9-])[0-9]{3}([- .])[0-9]{2}\1[0-9]{4}(?![0-9-])")
_IP = re.compile(r"(?<![0-9A-Za-z.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z]|\.[0-9])")
_IP6 = re.compile(r"(?<![0-9A-Za-z:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z:])")
_CHECK_DIGITS = re.compile(r"[0-9][0-9](?=[ -]?[A-Za-z0-9]{3,4})")
_NANP = re.compile(
    r"(?<![0-9A-Za-z.,=#/_-])(?:(?:\+|00)?1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}"
    r"(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?![0-9]|[.-][0-9])"
)
_ABROAD = re.compile(r"(?<![0-9A-Za-z+])(?:\+ ?|00)[1-9](?:[ ./-]?\(?[0-9]\)?){7,14}(?![0-9])")
_NATIONAL = re.compile(r"(?<![0-9A-Za-z.,+:=#_-])\(?0(?:[ ./-]{0,2}[()]?[0-9]\)?){8,11}(?![0-9:])")
_TOLD = re.compile(r"(?<![0-9A-Za-z.+])\(?[0-9](?:[ ./()-]{0,2}[0-9]){6,14}(?![0-9])")
_DATE_LIKE = re.compile(
    r"(?:[0-9]{1,2}[./-][0-9]{1,2}[./-](?:19|20)?[0-9]{2}|(?:19|20)[0-9]{2}[./-][0-9]{1,2}[./-][0-9]{1,2})(?![0-9])"
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?|januar|februar|märz|mai|juni|juli|oktober|dezember|janvier|février|mars|avril|juin"
    r"|juillet|août|septembre|octobre|novembre|décembre|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre"
    r"|octubre|noviembre|diciembre)"
)
_DATE = re.compile(
    r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{2,4}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th|\.)?[ -](?:of |de )?{_MONTH}\.?,?[ -](?:de )?[0-9]{{4}}"
    rf"|{_MONTH}\.? [0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{4}}"
)
_BIRTH = re.compile(
    r"(?<!\w)(?:born|d\.?o\.?b\.?|date ?of ?birth|birth ?(?:day|date)|geboren|geburtsdatum|née?|nacid[oa]|naissance"
    r"|nacimiento)(?!\w)"
)
_BIRTH_WORDS: Final = ("born", "dob", "d.o.b", "birth", "gebor", "geburt", "né", "nacid", "naissance", "nacimiento")
_PHONE_WORDS: Final = re.compile(
    r"phone|tel\b|tel\.|telef|mobil|cell|fax|whatsapp|call |my number|answering|messages to|text me|reach me|dial"
    r"|contact|handy|sms"
)
_PHONE_PLACES: Final = re.compile(r"[ ,(-]{1,3}(?:office|fax|mobile|cell|home|work|handy)(?!\w)")
_SSN_WORDS: Final = re.compile(r"(?:ssn|social security)")
_NEAR: Final = 32

Rule = Callable[[View], Iterator[Finding]]


def emails(view: View) -> Iterator[Finding]:
    """Find e-mail addresses, from each @ to both sides."""
    text = view.text
    for sign in ("@", "%40"):
        at = text.find(sign)
        while at >= 0:
            behind = at + len(sign)
            domain = _DOMAIN.match(text, behind)
            if domain:
                start, lowest = at, max(0, at - 64)
                while start > lowest and (text[start - 1].isalnum() or text[start - 1] in _LOCAL):
                    start -= 1
                while start < at and text[start] in _LOCAL:
                    start += 1
                ending = domain[0].rpartition(".")[2].lower()
                scp = text[start:at] == "git" or ending in _FILES
                if start < at and not scp:
                    yield Finding(kind="email", start=start, end=domain.end(), score=0.95)
            at = text.find(sign, behind)


def numbers(view: View) -> Iterator[Finding]:
    """Find cards, social security numbers, IPv4 addresses and telephone numbers among runs of digits."""
    text = view.text
    for run in _NUMBERS.finditer(text):
        begin, end = max(0, run.start() - 5), min(len(text), run.end() + 12)
        yield from _cards(text, begin, end)
        yield from _social(view, begin, end)
        yield from _addresses(text, begin, end)
        yield from _phones(view, begin, end)


def _cards(text: str, begin: int, end: int) -> Iterator[Finding]:
    for match in _CARD.finditer(text, begin, end):
        digits = match[0].replace(" ", "").replace("-", "")
        if is_card(digits):
            yield Finding(kind="card", start=match.start(), end=match.end())
            continue
        # Other digits may stand before or behind: a card of 16 in groups of four is looked for in them.
        for part in re.finditer(r"(?<![0-9])[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?![0-9])", match[0]):
            if is_card(part[0].replace(part[1], "")):
                yield Finding(kind="card", start=match.start() + part.start(), end=match.start() + part.end())


def _social(view: View, begin: int, end: int) -> Iterator[Finding]:
    for match in _SSN.finditer(view.text, begin, end):
        if is_ssn(re.sub(r"\D", "", match[0])) and match[1] != ".":
            yield Finding(kind="us_ssn", start=match.start(), end=match.end())
    near = view.lower[max(0, begin - _NEAR) : end]
    if _SSN_WORDS.search(near):
        for match in re.finditer(r"(?<![0-9-])[0-9]{9}(?![0-9-])", view.text[begin:end]):
            if is_ssn(match[0]):
                yield Finding(kind="us_ssn", start=begin + match.start(), end=begin + match.end(), score=0.8)


def _addresses(text: str, begin: int, end: int) -> Iterator[Finding]:
    for match in _IP.finditer(text, begin, end):
        before = text[max(0, match.start() - 10) : match.start()].lower().rstrip(" =:\"'")
        if before.endswith(("version", "release", "build", " v", "ver.", "section", "firmware")):
            continue
        if _is_personal_ip(match[0]):
            yield Finding(kind="ip", start=match.start(), end=match.end())


def _is_personal_ip(text: str) -> bool:
    """Tell whether a text is an address of somebody: not the loopback, no mask, nothing unspecified."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or text.startswith("255."))


def _phones(view: View, begin: int, end: int) -> Iterator[Finding]:
    text = view.text
    for match in _NANP.finditer(text, begin, end):
        yield Finding(kind="phone", start=match.start(), end=match.end(), score=0.9)
    for match in _ABROAD.finditer(text, begin, end):
        if match[0].startswith("00") and match[0].isdigit():
            continue
        yield Finding(kind="phone", start=match.start(), end=match.end(), score=0.9)
    for match in _NATIONAL.finditer(text, begin, end):
        inner = match[0].strip("()")
        if not _DATE_LIKE.match(inner) and any(char in inner for char in " -/(") and "." not in inner[:3]:
            yield Finding(kind="phone", start=match.start(), end=match.end(), score=0.7)
    for match in _TOLD.finditer(text, begin, end):
        near = view.lower[max(0, match.start() - _NEAR) : match.start()]
        is_told = _PHONE_WORDS.search(near) or _PHONE_PLACES.match(view.lower, match.end())
        if is_told and not _DATE_LIKE.search(match[0]) and not _IP.match(match[0]):
            yield Finding(kind="phone", start=match.start(), end=match.end(), score=0.6)


def networks(view: View) -> Iterator[Finding]:
    """Find IPv6 addresses."""
    if view.text.count(":") < 2:
        return
    for match in _IP6.finditer(view.text):
        if len(match[0]) > 4 and any(char.isdigit() for char in match[0]) and _is_personal_ip(match[0]):
            yield Finding(kind="ip", start=match.start(), end=match.end())


def accounts(view: View) -> Iterator[Finding]:
    """Find IBANs, with or without spaces."""
    text = view.text
    for match in _CHECK_DIGITS.finditer(text):
        start = match.start() - 2
        wanted = IBAN_LENGTHS.get(text[start : start + 2].upper()) if start >= 0 else None
        if wanted is None or text[max(0, start - 1) : start].isalnum():
            continue
        taken, at = 0, start
        while at < len(text) and taken < wanted:
            if text[at].isalnum():
                taken += 1
            elif text[at] not in " -" or not text[at - 1].isalnum():
                break
            at += 1
        is_whole = at == len(text) or not (text[at].isascii() and text[at].isalnum())
        if is_whole and is_iban(re.sub("[ -]", "", text[start:at]).upper()):
            yield Finding(kind="iban", start=start, end=at)


def births(view: View) -> Iterator[Finding]:
    """Find dates of birth: dates that stand behind a word that says so."""
    lower = view.lower
    if not any(word in lower for word in _BIRTH_WORDS):
        return
    for match in _BIRTH.finditer(lower):
        date = _DATE.search(lower, match.end(), match.end() + 48)
        if date and date.start() - match.end() <= 24:
            yield Finding(kind="birth_date", start=date.start(), end=date.end(), score=0.8)


RULES: Final[dict[Rule, frozenset[str]]] = {
    emails: frozenset({"email"}),
    accounts: frozenset({"iban"}),
    numbers: frozenset({"card", "us_ssn", "ip", "phone"}),
    networks: frozenset({"ip"}),
    births: frozenset({"birth_date"}),
}
"""Each rule and what it can find."""
