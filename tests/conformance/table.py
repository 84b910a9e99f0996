"""The page that says which case or test shows each row: `python -m tests.conformance.table` writes it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct, convert

from .case import HERE, Case, load_all

ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "conformance.md"
LINK = "../tests/conformance/cases"

HEAD = """\
# What prompt flow did, row by row

A flow that was written for prompt flow relies on rules. Each row below is one of them, with the cases that hold it: small
flows of our own, run through the `pilothouse` command by the tests of this project
([how they are written](../tests/conformance/README.md)). What prompt flow 1.18.5 itself does with the same cases, and
where we differ on purpose, is in [Differences from prompt flow](conformance-differences.md).

This page is made by `python -m tests.conformance.table` from `tests/conformance`: {rows} rows, {cases} flows.
"""


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule, and tests that hold it beside or in place of cases."""

    id: str
    about: str
    tests: list[str] = []


class Section(Struct, frozen=True, kw_only=True):
    """Rows under one heading."""

    number: str
    title: str
    rows: list[Row]


def sections(path: Path = HERE / "rows.yaml") -> list[Section]:
    """Return all rows by section."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        Section(
            number=number,
            title=part["title"],
            rows=[
                convert({"id": name, "tests": part.get("tests", []), **_row(row)}, Row)
                for name, row in part["rows"].items()
            ],
        )
        for number, part in data.items()
    ]


def _row(row: Any) -> dict[str, Any]:
    return row if isinstance(row, dict) else {"about": row}


def by_row(cases: list[Case]) -> dict[str, list[Case]]:
    """Return the cases of each row."""
    found: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        for row in dict.fromkeys(case.rows):
            found[row].append(case)
    return found


def page() -> str:
    """Return the page as it should be."""
    cases = load_all()
    found, parts = by_row(cases), sections()
    total = sum(len(part.rows) for part in parts)
    lines = [HEAD.format(rows=total, cases=len(cases))]
    for part in parts:
        lines += [f"## {part.number.split()[0]} {part.title}", "", "| Row | Rule | Held by |", "|---|---|---|"]
        for row in part.rows:
            held = [f"[{case.id}]({LINK}/{case.id}/case.yaml)" for case in found[row.id]]
            held += [f"`{test}`" for test in row.tests]
            about = row.about.replace("|", "\\|")
            lines.append(f"| `{row.id}` | {about} | {', '.join(held)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
