"""`promptflow.tools.azure_content_safety`: is a text hateful, sexual, violent, or about self-harm?"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, cast

from pilothouse.flows.nodes.tools.http import Reply, Request, Unreachable, send
from pilothouse.flows.promptflow.connections import AzureContentSafetyConnection
from pilothouse.flows.promptflow.faults import AzureContentSafetyInputValueError, AzureContentSafetySystemError
from pilothouse.models.secret import Secret

ACCEPT, REJECT = "Accept", "Reject"
_OLD_NAMES: Final = {
    "Hate": "hateResult",
    "SelfHarm": "selfHarmResult",
    "Sexual": "sexualResult",
    "Violence": "violenceResult",
}


class TextCategorySensitivity(StrEnum):
    """From which severity on a text is rejected: never, 6, 4, or 2."""

    DISABLE = "disable"
    LOW_SENSITIVITY = "low_sensitivity"
    MEDIUM_SENSITIVITY = "medium_sensitivity"
    HIGH_SENSITIVITY = "high_sensitivity"


_THRESHOLDS: Final[dict[str, int | None]] = {
    TextCategorySensitivity.DISABLE: None,
    TextCategorySensitivity.LOW_SENSITIVITY: 6,
    TextCategorySensitivity.MEDIUM_SENSITIVITY: 4,
    TextCategorySensitivity.HIGH_SENSITIVITY: 2,
}
_MEDIUM = TextCategorySensitivity.MEDIUM_SENSITIVITY


async def analyze_text_async(
    connection: AzureContentSafetyConnection,
    text: str,
    hate_category: TextCategorySensitivity = _MEDIUM,
    sexual_category: TextCategorySensitivity = _MEDIUM,
    self_harm_category: TextCategorySensitivity = _MEDIUM,
    violence_category: TextCategorySensitivity = _MEDIUM,
) -> dict[str, Any]:
    """Return what to do with a text: ``{"suggested_action": "Accept", "action_by_category": {"Hate": "Accept", ...}}``.

    Raises:
        AzureContentSafetyInputValueError: for an unknown sensitivity.
        AzureContentSafetySystemError: when the service refuses, fails, or judges a category not at all.
    """
    asked = {
        "Hate": hate_category,
        "SelfHarm": self_harm_category,
        "Sexual": sexual_category,
        "Violence": violence_category,
    }
    thresholds = {name: _threshold(name, value) for name, value in asked.items()}
    found = _answer(await _asked(connection, text))
    severities = {name: _severity(name, found) for name in thresholds}
    actions = {
        name: REJECT if threshold is not None and severities[name] >= threshold else ACCEPT
        for name, threshold in thresholds.items()
    }
    is_listed = bool(found.get("blocklistsMatch") or found.get("blocklistsMatchResults"))
    overall = REJECT if is_listed or REJECT in actions.values() else ACCEPT
    return {"suggested_action": overall, "action_by_category": actions}


async def _asked(connection: AzureContentSafetyConnection, text: str) -> Reply:
    key = connection.api_key
    request = Request(
        method="POST",
        url=f"{str(connection.endpoint).rstrip('/')}/contentsafety/text:analyze",
        query={"api-version": connection.api_version},
        headers={"Ocp-Apim-Subscription-Key": key},
        body={"text": text, "blocklistNames": []},
        secrets=(Secret(key),),
    )
    try:
        return await send(request)
    except Unreachable as error:
        raise AzureContentSafetySystemError(f"content safety cannot be reached: {error}") from None


def _answer(reply: Reply) -> dict[str, Any]:
    data = cast("dict[str, Any]", reply.data) if isinstance(reply.data, dict) else {}
    if reply.status == 200 and data:
        return data
    error: Any = data.get("error")
    said: Any = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else None
    raise AzureContentSafetySystemError(
        f"Error in detecting content: {said or f'HTTP {reply.status}: {reply.text}'} (HTTP {reply.status})"
    )


def _severity(name: str, found: dict[str, Any]) -> int:
    listed: Any = found.get("categoriesAnalysis")
    judged: Any = found.get(_OLD_NAMES[name])
    if isinstance(listed, list):
        items = cast("list[dict[str, Any]]", listed)
        judged = next((item for item in items if item.get("category") == name), None)
    severity: Any = cast("dict[str, Any]", judged).get("severity") if isinstance(judged, dict) else None
    if not isinstance(severity, int):
        raise AzureContentSafetySystemError(f"content safety gave no severity for {name}")
    return severity


def _threshold(name: str, sensitivity: str) -> int | None:
    if sensitivity not in _THRESHOLDS:
        raise AzureContentSafetyInputValueError(
            f"the sensitivity for {name} is {sensitivity!r}; expected: {', '.join(_THRESHOLDS)}"
        )
    return _THRESHOLDS[sensitivity]
