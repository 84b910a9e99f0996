"""Reads the error answers of all vendors: which failure it is, in whose words, and how long to wait."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from pilothouse.core.clock import Clock
from pilothouse.gateway.providers.interface import Refused
from pilothouse.gateway.types import Failure
from pilothouse.models.providers import answers
from pilothouse.models.secret import Secret

Verdict = tuple[Failure, bool]
"""The failure, and whether the same deployment may be asked again."""

_MOST: Final = 1 << 16
_REQUEST: Final[Verdict] = ("request", False)
_SPENT: Final[Verdict] = ("auth", False)
_BUSY: Final[Verdict] = ("rate_limit", True)
_DOWN: Final[Verdict] = ("server", True)
_ABSENT: Final[Verdict] = ("server", False)
_SLOW: Final[Verdict] = ("timeout", True)
_TOO_LONG: Final[Verdict] = ("context_length", False)
_FILTERED: Final[Verdict] = ("content_filter", False)

_STATUSES: Final[dict[int, Verdict]] = {
    401: _SPENT,
    402: _SPENT,
    403: _SPENT,
    407: _SPENT,
    408: _SLOW,
    409: _DOWN,
    413: _TOO_LONG,
    421: _DOWN,
    424: _DOWN,
    425: _DOWN,
    429: _BUSY,
    498: _BUSY,
    501: _ABSENT,
    504: _SLOW,
    505: _ABSENT,
    524: _SLOW,
}

_CODES: Final[dict[str, Verdict]] = {
    # OpenAI and those that speak like it
    **dict.fromkeys(answers.SPENT, _SPENT),
    "invalid_api_key": _SPENT,
    "context_length_exceeded": _TOO_LONG,
    "string_above_max_length": _TOO_LONG,
    "exceed_context_size_error": _TOO_LONG,
    "rate_limit_exceeded": _BUSY,
    "model_not_found": _ABSENT,
    "content_filter": _FILTERED,
    "content_policy_violation": _FILTERED,
    "moderation_blocked": _FILTERED,
    "server_error": _DOWN,
    # Azure
    "responsibleaipolicyviolation": _FILTERED,
    "deploymentnotfound": _ABSENT,
    # Anthropic
    "authentication_error": _SPENT,
    "billing_error": _SPENT,
    "permission_error": _SPENT,
    "rate_limit_error": _BUSY,
    "overloaded_error": _DOWN,
    "api_error": _DOWN,
    "timeout_error": _SLOW,
    "request_too_large": _TOO_LONG,
    # Google
    "api_key_invalid": _SPENT,
    "unauthenticated": _SPENT,
    "permission_denied": _SPENT,
    "resource_exhausted": _BUSY,
    "unavailable": _DOWN,
    "internal": _DOWN,
    "deadline_exceeded": _SLOW,
    # Amazon
    "throttlingexception": _BUSY,
    "throttledexception": _BUSY,
    "toomanyrequestsexception": _BUSY,
    "servicequotaexceededexception": _BUSY,
    "modelnotreadyexception": _DOWN,
    "modelerrorexception": _DOWN,
    "modelstreamerrorexception": _DOWN,
    "internalserverexception": _DOWN,
    "serviceunavailableexception": _DOWN,
    "modeltimeoutexception": _SLOW,
    "resourcenotfoundexception": _ABSENT,
    "accessdeniedexception": _SPENT,
    "unrecognizedclientexception": _SPENT,
    "invalidsignatureexception": _SPENT,
    "missingauthenticationtokenexception": _SPENT,
    # A new token is fetched before the next attempt.
    "expiredtokenexception": ("auth", True),
}

_STATUS_OF: Final[dict[str, int]] = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "overloaded_error": 529,
    "authentication_error": 401,
    "permission_error": 403,
    "invalid_request_error": 400,
    "not_found_error": 404,
}

_WORDS: Final[tuple[tuple[re.Pattern[str], Verdict], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), verdict)
    for pattern, verdict in (
        (
            (
                r"maximum context length|context (window|size|length)|prompt is too long|input (is )?too long|"
                r"too many (input )?tokens|token count.{0,40}exceeds|exceeds? the (maximum|max)\b.{0,40}\btokens|"
                r"reduce the length of the (messages|prompt)|input length and .max_tokens. exceed"
            ),
            _TOO_LONG,
        ),
        (
            (
                r"content (management )?(policy|filter)|blocked by (the )?(content|safety)|safety system|"
                r"flagged as potentially violating|guardrail intervened"
            ),
            _FILTERED,
        ),
        (r"credit balance is too low|insufficient (balance|credits|funds)|exceeded your current quota", _SPENT),
        (
            r"api key not valid|(invalid|incorrect|expired) api key|(security token|signature).{0,60}(invalid|expired)",
            _SPENT,
        ),
        (
            r"model identifier is invalid|unknown model|model .{0,120}(not found|does not exist|isn't supported)",
            _ABSENT,
        ),
    )
)
_MODEL = re.compile(r"\b(models?|deployment|publisher model)\b", re.IGNORECASE)
_AGAIN_IN = re.compile(r"(?:try again|retry(?:ing)?) (?:in|after) (\d{1,6}(?:\.\d{1,9})? ?(?:ms|s)?)", re.IGNORECASE)


class Refusals:
    """Reads the error answers of one connection.

    Args:
        secrets: What must never show in a message.
        clock: For `Retry-After` dates.
    """

    def __init__(self, secrets: Iterable[Secret], clock: Clock) -> None:
        self._secrets = tuple(secrets)
        self._clock = clock

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Return what an error answer means.

        Args:
            status: Its HTTP status; 2xx for an answer whose body is an error all the same.
            headers: Its headers, lower case.
            body: Its body, or the data of an error event of a stream.
        """
        body = body[:_MOST]
        fields = answers.decode(body)
        words, _ = answers.describe(body)
        codes = _codes(fields, headers)
        status = status if status >= 300 else _inner_status(fields, codes)
        if fields is None and status < 300:
            failure, retryable = "malformed", True
        else:
            failure, retryable = _verdict(status, codes, words, is_page=fields is None)
        hint = headers.get("x-should-retry")
        if hint in {"true", "false"} and failure not in {"auth", "context_length", "content_filter"}:
            retryable = hint == "true"
        message = answers.clean(words, self._secrets) or f"HTTP {status}, no reason given"
        return Refused(
            failure=failure,
            message=message,
            retry_after=self._wait(headers, fields, words) if failure in {"rate_limit", "server"} else None,
            retryable=retryable,
        )

    def _wait(self, headers: Mapping[str, str], fields: dict[str, Any] | None, words: str) -> float | None:
        asked = answers.retry_after(headers, self._clock.now())
        for detail in _details(fields) if asked is None else ():
            # google.rpc.RetryInfo
            asked = answers.duration(str(detail.get("retryDelay", "")), "s") if asked is None else asked
        if asked is None and (match := _AGAIN_IN.search(words)):
            asked = answers.duration(match[1], "s")
        return asked


def _verdict(status: int, codes: tuple[str, ...], words: str, *, is_page: bool) -> Verdict:
    for code in codes:
        if code in _CODES:
            named = _CODES[code]
            # An account without money may hide behind a code that says no more than "too many".
            return (
                _SPENT if named is _BUSY and _WORDS[2][0].search(words) and "resource_exhausted" not in codes else named
            )
    if status < 500:
        for pattern, verdict in _WORDS:
            if pattern.search(words) and (verdict is not _SPENT or status != 429 or "quota" in words):
                return verdict
    if status in _STATUSES:
        return _STATUSES[status]
    if status == 404:
        return _ABSENT if is_page or _MODEL.search(words) else _REQUEST
    if status >= 500:
        return _DOWN
    # A redirect is an address that is wrong, not a client that is.
    return _ABSENT if 300 <= status < 400 else _REQUEST


def _codes(fields: dict[str, Any] | None, headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return every name the answer gives its error, the most telling first, in lower case."""
    found: list[str] = []
    amazon = headers.get("x-amzn-errortype", "")
    if fields is not None:
        inner = fields.get("error")
        error = cast("dict[str, Any]", inner) if isinstance(inner, dict) else fields
        nested = error.get("innererror")
        if isinstance(nested, dict):
            found.append(str(cast("dict[str, Any]", nested).get("code") or ""))
        found += [str(detail.get("reason") or "") for detail in _details(fields)]
        found += [str(error.get(key) or "") for key in ("code", "type", "status", "__type")]
    # Amazon writes `ValidationException:http://...` and `com.amazonaws.bedrock#ValidationException`.
    found.append(amazon)
    return tuple(name.partition(":")[0].rpartition("#")[2].lower() for name in found if name)


def _details(fields: dict[str, Any] | None) -> list[dict[str, Any]]:
    inner = fields.get("error") if fields else None
    details = cast("dict[str, Any]", inner).get("details") if isinstance(inner, dict) else None
    if not isinstance(details, list):
        return []
    return [cast("dict[str, Any]", item) for item in cast("list[Any]", details)[:16] if isinstance(item, dict)]


def _inner_status(fields: dict[str, Any] | None, codes: tuple[str, ...]) -> int:
    """Return the status that a body behind a 2xx stands for."""
    if fields is None:
        return 200
    for code in codes:
        if code.isascii() and code.isdigit() and len(code) == 3 and 400 <= int(code) < 600:
            return int(code)
        if code in _STATUS_OF:
            return _STATUS_OF[code]
    return 500
