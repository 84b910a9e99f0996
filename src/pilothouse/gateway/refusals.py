"""Every way the gateway says no: a stable code each, the same in every dialect, in the log and in the metrics."""

from __future__ import annotations

from typing import Final

STATUSES: Final[dict[str, int]] = {
    "invalid_request": 400,
    "invalid_json": 400,
    "not_supported": 400,
    "guard_blocked": 400,
    "missing_api_key": 401,
    "invalid_api_key": 401,
    "key_revoked": 401,
    "key_expired": 401,
    "model_not_allowed": 403,
    "operation_not_allowed": 403,
    "unknown_price": 403,
    "unknown_endpoint": 404,
    "model_not_found": 404,
    "method_not_allowed": 405,
    "body_timeout": 408,
    "body_too_large": 413,
    "unsupported_encoding": 415,
    "rate_limit_exceeded": 429,
    "concurrency_exceeded": 429,
    "budget_exceeded": 429,
    "headers_too_large": 431,
    "internal_error": 500,
    "upstream_error": 502,
    "upstream_malformed": 502,
    "upstream_cut": 502,
    "no_deployment": 503,
    "limits_unavailable": 503,
    "guard_failed": 503,
    "overloaded": 503,
    "draining": 503,
    "upstream_timeout": 504,
}
"""HTTP status of each code. An upstream's own 4xx keeps its status and gets the code ``upstream_rejected``."""


class Refusal(Exception):
    """A call that ends with an error; whoever raises it holds no reservation any more, or leaves it to the call.

    Attributes:
        code: A key of ``STATUSES``, or ``upstream_rejected``.
        status: The HTTP status.
        message: For the client: what, what was expected, how to mend it; never a secret.
        retry_after: Seconds after which another try makes sense.
        param: The field of the request that is wrong.
        rule: Name of the limit that refuses; empty for another reason.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        param: str | None = None,
        rule: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = STATUSES[code] if status is None else status
        self.message = message
        self.retry_after = retry_after
        self.param = param
        self.rule = rule
