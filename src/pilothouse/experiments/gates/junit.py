"""A decision as JUnit XML: one test case a rule, so that any CI server lists what failed and why."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from pilothouse.experiments.gates.types import Decision, Outcome, RuleResult, rows_text

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""


def junit(decision: Decision, inconclusive: Outcome = "inconclusive") -> bytes:
    """Return a decision as a JUnit document.

    Args:
        decision: The decision.
        inconclusive: What an inconclusive rule counts as: ``pass`` = a skipped test, ``fail`` = a failed one, itself =
            a test in error.
    """
    element = {"pass": "skipped", "fail": "failure", "inconclusive": "error"}[inconclusive]
    tags = {"fail": "failure", "inconclusive": element}
    count = {tag: sum(tags.get(rule.outcome) == tag for rule in decision.rules) for tag in _TAGS}
    totals = {
        "tests": str(len(decision.rules)),
        "failures": str(count["failure"]),
        "errors": str(count["error"]),
        "skipped": str(count["skipped"]),
    }
    root = ET.Element("testsuites", totals)
    suite = ET.SubElement(root, "testsuite", {"name": _clean(f"gate {decision.experiment}"), **totals})
    for rule in decision.rules:
        name = {"classname": _clean(f"{decision.experiment}.{decision.variant}"), "name": _clean(rule.name)}
        case = ET.SubElement(suite, "testcase", name)
        if rule.outcome == "pass":
            ET.SubElement(case, "system-out").text = _clean(_said(rule))
        else:
            problem = ET.SubElement(case, tags[rule.outcome], {"message": _clean(rule.reason)})
            problem.text = _clean(_said(rule))
            if problem.tag != "skipped":
                problem.set("type", rule.outcome)
    if decision.notes:
        ET.SubElement(suite, "system-out").text = _clean("\n".join(decision.notes))
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


_TAGS = ("failure", "error", "skipped")


def _said(rule: RuleResult) -> str:
    lines = [f"{rule.figure}: {rule.reason}" if rule.figure else rule.reason]
    if rule.rows:
        lines.append(f"rows: {rows_text(rule)}")
    return "\n".join(lines)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
