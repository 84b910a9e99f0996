"""Rules for secrets: vendors' formats, private keys, tokens, credentials in addresses, and what is assigned."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from pilothouse.safety.checks import entropy
from pilothouse.safety.types import Finding
from pilothouse.safety.views import View

_EDGE = r"(?<![A-Za-z0-9_-])"
_STOP = r"(?![A-Za-z0-9_-])"


class _Format(NamedTuple):
    """A vendor's format; ``gate`` is a character that all of it has: most texts are done with after one look."""

    gate: str
    kind: str
    triggers: tuple[str, ...]
    pattern: re.Pattern[str]
    randomness: float = 0.0


def _format(kind: str, triggers: str, pattern: str, randomness: float = 0.0) -> _Format:
    words = triggers.split()
    gate = next((char for char in "_-" if all(char in word for word in words)), "")
    return _Format(gate, kind, tuple(words), re.compile(_EDGE + pattern), randomness)


_FORMATS: Final = (
    _format("aws_key", "AKIA ASIA ABIA ACCA", r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}" + _STOP),
    _format("anthropic_key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{20,200}", 3.0),
    _format("openai_key", "sk-", r"sk-(?!ant-)(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{20,220}", 3.5),
    _format("gcp_key", "AIza", r"AIza[A-Za-z0-9_-]{35}" + _STOP),
    _format("gcp_key", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{28}" + _STOP),
    _format("gcp_key", "ya29.", r"ya29\.[A-Za-z0-9_-]{20,400}", 3.0),
    _format("azure_key", "JQQJ99", r"[A-Za-z0-9]{30,60}JQQJ99[A-Za-z0-9]{20,46}" + _STOP),
    _format("azure_key", "Q~", r"[A-Za-z0-9_.~-]{3}[0-9]Q~[A-Za-z0-9_.~-]{31,34}" + _STOP),
    _format("azure_key", "==", r"(?<![+/])[A-Za-z0-9+/]{86}==", 4.0),
    _format("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,255}" + _STOP),
    _format("github_token", "github_pat_", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}" + _STOP),
    _format("slack_token", "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs-", r"xox[abeoprs]-[A-Za-z0-9-]{10,250}", 2.5),
    _format("slack_token", "xapp-", r"xapp-[0-9]-[A-Za-z0-9-]{20,250}", 2.5),
    _format("slack_token", "hooks.slack.com/", r"hooks\.slack\.com/services/T\w{6,12}/B\w{6,12}/\w{20,30}"),
    _format("stripe_key", "_live_ _test_", r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,247}"),
    _format("stripe_key", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,100}", 3.0),
    _format("api_key", "hf_", r"hf_[A-Za-z0-9]{30,40}" + _STOP, 3.0),
    _format("api_key", "glpat-", r"glpat-[A-Za-z0-9_-]{20,64}"),
    _format("api_key", "npm_", r"npm_[A-Za-z0-9]{36}" + _STOP),
    _format("api_key", "pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{50,250}"),
    _format("api_key", "SG.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}"),
    _format("api_key", "gsk_", r"gsk_[A-Za-z0-9]{40,60}" + _STOP),
    _format("api_key", "xai-", r"xai-[A-Za-z0-9]{60,90}" + _STOP),
    _format("api_key", "dapi", r"dapi[0-9a-f]{32}" + _STOP),
)  # fmt: skip
_JWT = re.compile(_EDGE + r"(eyJ[A-Za-z0-9_-]{8,4000})\.[A-Za-z0-9_-]{4,8000}\.[A-Za-z0-9_-]{0,2000}")
_PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_BODY = re.compile(r"(?:[A-Za-z0-9+/=\s:,-]|\\[nr]){0,16384}")
_LONGEST_KEY: Final = 16_384
_CREDENTIALS = re.compile(r"://([^\s/:@'\"<>{}]{0,128}:[^\s/@'\"<>]{1,256})@(?=[A-Za-z0-9\[_])")
_NAMES: Final = (
    *("passw", "pwd", "passphrase", "secret", "token", "api_key", "apikey", "api-key", "api key", "accesskey"),
    *("access_key", "access-key", "accountkey", "private_key", "credential", "authorization"),
)
_SAID: Final = ("passw", "pwd", "passphrase")
_ASSIGNED = re.compile(
    r"[A-Za-z0-9_.\-]{0,32}[\"'`\]]{0,2}\s{0,3}(?P<sign>:=|=>|==?|:| is(?: now)?:?(?= ))\s{0,3}"
    r"(?P<scheme>(?:[Bb]earer|[Bb]asic|[Tt]oken) )?(?P<quote>[\"'`]?)"
)
_QUOTED: Final = {quote: re.compile(rf"[^{quote}\r\n]{{4,256}}(?={quote})") for quote in "\"'`"}
_BARE = re.compile(r"[^\s\"'`,;<>()\[\]{}&|]{6,256}")
_HEX32 = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])")
_AZURE_WORDS = re.compile(r"azure|ocp-apim|api-key|subscription.?key|cognitive")
_PLACEHOLDER = re.compile(
    r"(?i)[x*.•_-]+$|(?:your|my|the|some|enter|insert|change|replace)[_\- ]?"
    r"|.*(?:example|placeholder|redacted|changeme|dummy)"
    r"|(?:null|none|true|false|undefined|required|optional|string|str|text|env)$"
    r"|\$|%\(|\[|<|process\.env|os\.|self\.|https?:"
)


def formats(view: View) -> Iterator[Finding]:
    """Find keys by their vendors' formats."""
    text = view.text
    gates = {char for char in ("", "_", "-") if char in text}
    for gate, kind, triggers, pattern, randomness in _FORMATS:
        if gate not in gates:
            continue
        for trigger in triggers:
            if trigger in text:
                break
        else:
            continue
        for match in pattern.finditer(text):
            body = match[0]
            if not randomness or (entropy(body) >= randomness and any(char.isdigit() for char in body)):
                yield Finding(kind=kind, start=match.start(), end=match.end())


def tokens(view: View) -> Iterator[Finding]:
    """Find JSON Web Tokens whose header decodes."""
    if "eyJ" not in view.text:
        return
    for match in _JWT.finditer(view.text):
        head = match[1]
        try:
            decoded = msgspec.json.decode(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(decoded, dict) and ("alg" in decoded or "typ" in decoded):
            yield Finding(kind="jwt", start=match.start(), end=match.end())


def private_keys(view: View) -> Iterator[Finding]:
    """Find private keys from their first line to their last, or as far as they go."""
    text = view.text
    if "PRIVATE KEY" not in text:
        return
    end = 0
    for match in _PRIVATE.finditer(text):
        if match.start() < end:
            continue
        last = text.find("-----END", match.end(), match.end() + _LONGEST_KEY)
        if last >= 0:
            close = text.find("-----", last + 8, last + 64)
            end = close + 5 if close >= 0 else min(len(text), last + 8)
        else:
            body = _BODY.match(text, match.end())
            end = body.end() if body else match.end()
        yield Finding(kind="private_key", start=match.start(), end=end)


def credentials(view: View) -> Iterator[Finding]:
    """Find name and password inside of addresses such as those of databases."""
    text = view.text
    at = text.find("://")
    while at >= 0:
        match = _CREDENTIALS.match(text, at)
        if match and not match[1].partition(":")[2].startswith(("$", "%(", "*", "<")):
            yield Finding(kind="connection_string", start=match.start(1), end=match.end(1))
        at = text.find("://", at + 3)


def assignments(view: View) -> Iterator[Finding]:
    """Find what is assigned to a name that says it is secret, where it looks like no word and no placeholder."""
    text, lower = view.text, view.lower
    for name in _NAMES:
        at = lower.find(name)
        while at >= 0:
            match = _ASSIGNED.match(text, at + len(name))
            if match:
                value = (_QUOTED[match["quote"]] if match["quote"] else _BARE).match(text, match.end())
                if value and _is_secret(value[0], name, match, text[value.end() : value.end() + 1]):
                    bare = value[0] if match["quote"] else value[0].rstrip(".,;:!?")
                    yield Finding(kind="password", start=value.start(), end=value.start() + len(bare), score=0.7)
            at = lower.find(name, at + len(name))


def _is_secret(value: str, name: str, how: re.Match[str], behind: str) -> bool:
    """Tell a secret from a word, a number of tokens, a call or a placeholder."""
    bare = value if how["quote"] else value.rstrip(".,;:!?")
    if len(bare) < 6 or _PLACEHOLDER.match(bare) or (behind == "(" and not how["quote"]):
        return False
    has_digit = any(char.isdigit() for char in bare)
    has_letter = any(char.isalpha() for char in bare)
    if name in _SAID:
        has_sign = any(not char.isalnum() and char not in "_-./ " for char in bare)
        if how["quote"] and how["sign"].strip() != "is":
            return " " not in bare.strip() and (has_digit or has_sign or len(bare) >= 8)
        return has_letter and (has_digit or has_sign)
    return has_digit and has_letter and len(bare) >= 16 and entropy(bare) >= 3.0 and " " not in bare


def azure(view: View) -> Iterator[Finding]:
    """Find keys of 32 hexadecimal digits where words of Azure stand before them."""
    if "key" not in view.lower:
        return
    for match in _HEX32.finditer(view.text):
        near = view.lower[max(0, match.start() - 64) : match.start()]
        if _AZURE_WORDS.search(near) and "key" in near:
            yield Finding(kind="azure_key", start=match.start(), end=match.end(), score=0.8)


RULES: Final[dict[Callable[[View], Iterator[Finding]], frozenset[str]]] = {
    private_keys: frozenset({"private_key"}),
    formats: frozenset(item.kind for item in _FORMATS),
    tokens: frozenset({"jwt"}),
    credentials: frozenset({"connection_string"}),
    azure: frozenset({"azure_key"}),
    assignments: frozenset({"password"}),
}
"""Each rule and what it can find."""
