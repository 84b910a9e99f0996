"""The pytest plugin: options, the marker, the outcomes. It is imported by every pytest run, so it imports nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pilothouse.core import plugins
from pilothouse.core.errors import PilothouseError
from pilothouse.experiments.testing.decorator import Evaluation

MARK = "evaluation"
OUTCOME = "pilothouse_outcome"
INCONCLUSIVE = "inconclusive"

_RUNNER = pytest.StashKey[Any]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("pilothouse", "evaluations with Pilothouse")
    group.addoption("--pilothouse-limit", type=int, metavar="N", help="Judge only the first N rows of the data.")
    group.addoption(
        "--pilothouse-inconclusive",
        choices=["fail", "xfail", "pass"],
        help="What a test is when the rows cannot tell (default: fail).",
    )
    group.addoption("--pilothouse-report", metavar="DIR", help="Write a page and a Markdown file of every evaluation.")
    group.addoption("--pilothouse-bless", action="store_true", help="Make what is found now the baseline.")
    group.addoption("--pilothouse-resume", action="store_true", help="Take answers that the same function gave before.")
    parser.addini("pilothouse_inconclusive", "fail, xfail or pass, when the rows cannot tell", default="fail")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", f"{MARK}: a test that judges rows (@pilothouse.evaluate)")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark evaluations, so that ``-m`` finds them."""
    if hasattr(getattr(item, "obj", None), "pilothouse_evaluation"):
        item.add_marker(MARK)


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """Tell an inconclusive evaluation from one that failed; it fails the run all the same."""
    if report.when == "call" and report.failed and [OUTCOME, INCONCLUSIVE] in map(list, report.user_properties):
        return INCONCLUSIVE, "I", INCONCLUSIVE.upper()
    return None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print why evaluations were inconclusive; failures are printed by pytest itself."""
    found = terminalreporter.getreports(INCONCLUSIVE)
    if found:
        terminalreporter.write_sep("=", "INCONCLUSIVE", yellow=True)
    for report in found:
        terminalreporter.write_sep("_", report.head_line or report.nodeid, yellow=True)
        terminalreporter.write_line(report.longreprtext)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the projects that evaluations opened."""
    runner = config.stash.get(_RUNNER, None)
    if runner is not None:
        runner.close()


def run(evaluation: Evaluation, request: pytest.FixtureRequest, call: Callable[..., Any]) -> None:
    """Run an evaluation and end its test accordingly; what the user did wrong comes without a traceback of ours."""
    __tracebackhide__ = True
    node = request.node
    try:
        found, wrong = _runner(request.config).run(evaluation, call, node.nodeid, node.path), ""
    except PilothouseError as error:
        found, wrong = None, str(error)
    if found is None:
        pytest.fail(wrong, pytrace=False)
    node.user_properties.append((OUTCOME, found.outcome))
    node.user_properties.extend(found.properties)
    if found.outcome == "fail":
        pytest.fail(found.text, pytrace=False)
    if found.outcome == INCONCLUSIVE:
        _inconclusive(request.config, found.text)
    node.add_report_section("call", MARK, found.text)
    if found.wants_body:
        call(result=found)


def _inconclusive(config: pytest.Config, text: str) -> None:
    __tracebackhide__ = True
    wanted = config.getoption("--pilothouse-inconclusive") or config.getini("pilothouse_inconclusive")
    if wanted == "xfail":
        pytest.xfail(text)
    if wanted != "pass":
        pytest.fail(text, pytrace=False)


def _runner(config: pytest.Config) -> Any:
    if _RUNNER not in config.stash:
        report = config.getoption("--pilothouse-report")
        config.stash[_RUNNER] = plugins.load("testing", "runner")(
            root=config.rootpath,
            limit=config.getoption("--pilothouse-limit"),
            report=config.invocation_params.dir / report if report else None,
            bless=config.getoption("--pilothouse-bless"),
            resume=config.getoption("--pilothouse-resume"),
        )
    return config.stash[_RUNNER]
