"""Serp API and content safety as built-in tools, against a server on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from tests.flows.building import FakeModels, Project, run
from tests.flows.loopback import loopback

from pilothouse.flows.nodes.tools import http
from pilothouse.flows.promptflow.connections import AzureContentSafetyConnection, SerpConnection
from pilothouse.flows.promptflow.faults import AzureContentSafetySystemError, SerpAPISystemError
from pilothouse.flows.toolkit.services import AzureContentSafety, SerpAPI
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

KEY = "serp-very-secret-key"
SEARCH = "promptflow.tools.serpapi.SerpAPI.search"
ANALYZE = "promptflow.tools.azure_content_safety.analyze_text"
CATEGORIES = ("Hate", "SelfHarm", "Sexual", "Violence")


class Service:
    """Answers as told, one answer after the other, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.seen: list[dict[str, Any]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.seen.append(
            {
                "path": request.path,
                "query": dict(request.query),
                "key": request.headers.get("Ocp-Apim-Subscription-Key"),
                "body": msgspec.json.decode(body) if body else None,
            }
        )
        status, data = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        text = data if isinstance(data, str) else msgspec.json.encode(data).decode()
        return web.Response(status=status, text=text)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(http, "_PAUSE", 0.001)
    made = Service()
    with loopback(made.answer) as url:
        made.url = url
        yield made


def models(url: str) -> FakeModels:
    secrets = {"api_key": Secret(KEY)}
    safety = {"endpoint": url, "api_version": "2023-10-01"}
    return FakeModels(
        connections={
            "serp": Connection(name="serp", type="serp", configs={"api_base": url}, secrets=secrets),
            "safety": Connection(name="safety", type="azure_content_safety", configs=safety, secrets=secrets),
        }
    )


def path_of(project: Project, tool: str, inputs: dict[str, Any]) -> Path:
    node = {"name": "n", "type": "python", "source": {"type": "package", "tool": tool}, "inputs": inputs}
    return project.flow(
        [node], inputs={"q": {"type": "string", "default": "cats"}}, outputs={"o": "${n.output}"}, files={}
    )


@pytest.mark.parametrize(
    ("inputs", "query"),
    [
        ({}, {"engine": "google", "num": "10"}),
        ({"engine": "bing", "num": "5", "safe": "active"}, {"engine": "bing", "count": "5", "safeSearch": "Strict"}),
        ({"safe": "active", "num": 0, "location": "Bern"}, {"engine": "google", "safe": "Active", "location": "Bern"}),
        ({"safe": "off", "location": ""}, {"engine": "google", "num": "10"}),
    ],
)
def test_a_search_is_sent_as_serp_api_wants_it(
    project: Project, service: Service, inputs: dict[str, Any], query: dict[str, str]
) -> None:
    service.answers = [(200, {"organic_results": [{"title": "a cat"}]})]
    path = path_of(project, SEARCH, {"connection": "serp", "query": "${inputs.q}", **inputs})
    result = run(path, models=models(service.url))
    assert result.error is None, result.error
    assert result.outputs == {"o": {"organic_results": [{"title": "a cat"}]}}
    assert service.seen[0]["path"] == "/search"
    assert service.seen[0]["query"] == {"q": "cats", "api_key": KEY, "output": "json", **query}


@pytest.mark.parametrize(
    ("answers", "kind", "says", "calls"),
    [
        ([(401, {"error": f"Invalid API key {KEY}"})], "SerpAPIUserError", "Invalid API key ***", 1),
        ([(400, "not JSON")], "SerpAPIUserError", "HTTP 400: not JSON", 1),
        ([(503, "down")], "SerpAPISystemError", "HTTP 503: down", 4),
        ([(200, "<html>")], "SerpAPISystemError", "HTTP 200", 1),
    ],
)
def test_a_search_that_fails_says_why_without_the_key(
    project: Project, service: Service, answers: list[Any], kind: str, says: str, calls: int
) -> None:
    service.answers = answers
    result = run(path_of(project, SEARCH, {"connection": "serp", "query": "x"}), models=models(service.url))
    assert result.error is not None
    assert (result.error.type, len(service.seen)) == (kind, calls)
    assert says in result.error.message
    assert KEY not in str(result)


def test_a_service_that_is_busy_is_asked_again(project: Project, service: Service) -> None:
    service.answers = [(429, "slow down"), (502, "bad gateway"), (200, {"ok": 1})]
    result = run(path_of(project, SEARCH, {"connection": "serp", "query": "x"}), models=models(service.url))
    assert result.outputs == {"o": {"ok": 1}}
    assert len(service.seen) == 3


def test_a_service_that_is_not_there_is_told_without_the_key(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_PAUSE", 0.001)
    result = run(path_of(project, SEARCH, {"connection": "serp", "query": "x"}), models=models("http://127.0.0.1:1"))
    assert result.error is not None
    assert result.error.type == "SerpAPISystemError"
    assert KEY not in str(result)


def judged(**severities: int) -> dict[str, Any]:
    return {
        "blocklistsMatch": [],
        "categoriesAnalysis": [{"category": name, "severity": severities.get(name, 0)} for name in CATEGORIES],
    }


def actions(**rejected: bool) -> dict[str, str]:
    return {name: "Reject" if rejected.get(name) else "Accept" for name in CATEGORIES}


@pytest.mark.parametrize(
    ("inputs", "answer", "suggested", "by_category"),
    [
        ({}, judged(), "Accept", actions()),
        ({}, judged(Hate=4), "Reject", actions(Hate=True)),
        ({}, judged(Hate=2), "Accept", actions()),
        ({"hate_category": "high_sensitivity"}, judged(Hate=2), "Reject", actions(Hate=True)),
        ({"violence_category": "low_sensitivity"}, judged(Violence=4), "Accept", actions()),
        ({"violence_category": "low_sensitivity"}, judged(Violence=6), "Reject", actions(Violence=True)),
        ({"sexual_category": "disable"}, judged(Sexual=7), "Accept", actions()),
        ({}, {**judged(), "blocklistsMatch": [{"blocklistName": "b"}]}, "Reject", actions()),
        (
            {},
            {"hateResult": {"severity": 0}, "selfHarmResult": {"severity": 6}, "sexualResult": {"severity": 0},
             "violenceResult": {"severity": 0}},
            "Reject",
            actions(SelfHarm=True),
        ),
    ],
)  # fmt: skip
def test_a_text_is_judged_by_thresholds(
    project: Project,
    service: Service,
    inputs: dict[str, Any],
    answer: dict[str, Any],
    suggested: str,
    by_category: dict[str, str],
) -> None:
    service.answers = [(200, answer)]
    path = path_of(project, ANALYZE, {"connection": "safety", "text": "${inputs.q}", **inputs})
    result = run(path, models=models(service.url))
    assert result.error is None, result.error
    assert result.outputs == {"o": {"suggested_action": suggested, "action_by_category": by_category}}
    (seen,) = service.seen
    assert (seen["path"], seen["query"]) == ("/contentsafety/text:analyze", {"api-version": "2023-10-01"})
    assert (seen["key"], seen["body"]) == (KEY, {"text": "cats", "blocklistNames": []})


@pytest.mark.parametrize(
    ("inputs", "answer", "kind", "says"),
    [
        ({}, (401, {"error": {"message": f"wrong key {KEY}"}}), "AzureContentSafetySystemError", "wrong key ***"),
        ({}, (200, {"categoriesAnalysis": []}), "AzureContentSafetySystemError", "no severity for Hate"),
        ({"hate_category": "most"}, (200, judged()), "AzureContentSafetyInputValueError", "medium_sensitivity"),
    ],
)
def test_a_judgement_that_fails_says_why(
    project: Project, service: Service, inputs: dict[str, Any], answer: Any, kind: str, says: str
) -> None:
    service.answers = [answer]
    path = path_of(project, ANALYZE, {"connection": "safety", "text": "x", **inputs})
    result = run(path, models=models(service.url))
    assert result.error is not None
    assert result.error.type == kind
    assert says in result.error.message
    assert KEY not in str(result)


def test_the_same_tools_are_functions_for_python_tools(service: Service) -> None:
    service.answers = [(200, {"n": 1})]
    connection = SerpConnection(api_key=KEY, api_base=service.url)
    assert SerpAPI(connection).search("x", num=3) == {"n": 1}
    service.answers = [(200, judged(Hate=6))]
    safety = AzureContentSafetyConnection(api_key=KEY, endpoint=service.url)
    assert AzureContentSafety(safety).analyze_text("x")["suggested_action"] == "Reject"
    service.answers = [(500, KEY)]
    with pytest.raises(SerpAPISystemError, match=r"HTTP 500: \*\*\*"):
        SerpAPI(connection).search("x")
    with pytest.raises(AzureContentSafetySystemError, match=r"HTTP 500: \*\*\*"):
        AzureContentSafety(safety).analyze_text("x")


def test_a_template_among_the_inputs_is_rendered(project: Project) -> None:
    tool = "promptflow.tools.template_rendering.render_template_jinja2"
    path = path_of(project, tool, {"template": "I like {{ q }}.", "q": "${inputs.q}"})
    assert run(path, models=models("")).outputs == {"o": "I like cats."}
