"""The tables of the ledger's store and the statements that fill them."""

# ruff: noqa: S608 - only names and constants of this package stand in statements; values are parameters
from __future__ import annotations

import json
from typing import Any, Final

from pilothouse.models.types import Usage

USAGE: Final = Usage.__struct_fields__

_TEXTS: Final = (
    *("id", "end_user", "session", "route", "wire", "deployment", "provider", "model", "response_model"),
    *("status", "code", "usage_source", "price", "config", "experiment", "arm", "cache", "trace_id"),
)
_NUMBERS: Final = ("at_ns", "duration_ns", "first_ns", "overhead_ns", "http_status", "cost")
_FLAGS: Final = ("stream", "shadow")
_TENANT: Final = ("key", "organisation", "team", "user", "use_case")
_UNKNOWN_STAYS: Final = ("price", "cost")

COLUMNS: Final[tuple[tuple[str, str], ...]] = (
    *((name, "VARCHAR") for name in _TEXTS),
    *((name, "BIGINT") for name in _NUMBERS),
    *((name, "BOOLEAN") for name in _FLAGS),
    *((name, "VARCHAR") for name in _TENANT),
    *((name, "BIGINT") for name in USAGE),
    ("entry", "VARCHAR"),
)
"""Names and types; `entry` is the recorded line itself."""

NAMES: Final = ", ".join(f'"{name}"' for name, _ in COLUMNS)

TABLES: Final = f"""
CREATE TABLE IF NOT EXISTS calls ({", ".join(f'"{name}" {kind}' for name, kind in COLUMNS)});
CREATE TABLE IF NOT EXISTS revisions (
    revises VARCHAR, at_ns BIGINT, rerating VARCHAR, before BIGINT, cost BIGINT, price VARCHAR
);
CREATE TABLE IF NOT EXISTS given_up (
    id VARCHAR, at_ns BIGINT, attempts BIGINT, may_cost BIGINT, taken BIGINT
);
CREATE TABLE IF NOT EXISTS segments (name VARCHAR PRIMARY KEY, read_to BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS sealed (file VARCHAR PRIMARY KEY, first_ns BIGINT, last_ns BIGINT, calls BIGINT);
"""

_LINE: Final[dict[str, Any]] = {
    **dict.fromkeys(_TEXTS, "VARCHAR"),
    **dict.fromkeys(_NUMBERS, "BIGINT"),
    **dict.fromkeys(_FLAGS, "BOOLEAN"),
    "tenant": dict.fromkeys(_TENANT, "VARCHAR"),
    "usage": dict.fromkeys(USAGE, "BIGINT"),
    "revises": "VARCHAR",
    "rerating": "VARCHAR",
    "before": "BIGINT",
    "given_up": "BIGINT",
    "may_cost": "BIGINT",
    "charged": "BIGINT",
}

# Lines hold no control characters, so this delimiter occurs in none of them.
STAGE: Final = f"""
CREATE OR REPLACE TEMP TABLE batch AS
SELECT line, try(from_json(line, '{json.dumps(_LINE)}')) AS v
FROM read_csv(?, columns = {{'line': 'VARCHAR'}}, delim = '\x01', quote = '', escape = '', header = false,
              auto_detect = false, max_line_size = 67108864)
"""


_ABSENT: Final = {"VARCHAR": "''", "BIGINT": "0", "BOOLEAN": "false"}


def _value(name: str, kind: str) -> str:
    if name == "entry":
        return "line"
    inside = f'v."{name}"'
    if name in _TENANT:
        inside = f'v.tenant."{name}"'
    elif name in USAGE:
        inside = f'v.usage."{name}"'
    return inside if name in _UNKNOWN_STAYS else f"COALESCE({inside}, {_ABSENT[kind]})"


_VALUES: Final = ", ".join(f'{_value(name, kind)} AS "{name}"' for name, kind in COLUMNS)

CALL: Final = "v.id IS NOT NULL AND v.at_ns IS NOT NULL AND v.status IS NOT NULL"
REVISION: Final = "v.revises IS NOT NULL AND v.rerating IS NOT NULL AND v.cost IS NOT NULL"

STORE_CALLS: Final = f"""
INSERT INTO calls
SELECT {_VALUES} FROM batch AS b
WHERE {CALL} AND NOT EXISTS (
    SELECT 1 FROM recorded AS known
    WHERE known.at_ns BETWEEN (SELECT min(v.at_ns) FROM batch) AND (SELECT max(v.at_ns) FROM batch)
      AND known.id = b.v.id
)
"""

STORE_GIVEN_UP: Final = f"""
INSERT INTO given_up
SELECT v.id, v.at_ns, v.given_up, v.may_cost, COALESCE(v.charged, COALESCE(v.cost, 0) + COALESCE(v.may_cost, 0))
FROM batch AS b
WHERE {CALL} AND v.given_up > 0 AND NOT EXISTS (SELECT 1 FROM given_up AS known WHERE known.id = b.v.id)
QUALIFY row_number() OVER (PARTITION BY v.id) = 1
"""
"""Calls with attempts that may be billed: few, so they stand apart and sealed files stay as they were."""

ONCE: Final = "QUALIFY row_number() OVER (PARTITION BY v.id) = 1"
"""Appended where a batch holds a call twice; it doubles the time of the others."""

STORE_REVISIONS: Final = f"""
INSERT INTO revisions
SELECT v.revises, v.at_ns, v.rerating, v.before, v.cost, v.price FROM batch AS b
WHERE {REVISION} AND NOT EXISTS (
    SELECT 1 FROM revisions AS known WHERE known.rerating = b.v.rerating AND known.revises = b.v.revises
)
QUALIFY row_number() OVER (PARTITION BY v.revises, v.rerating) = 1
"""

ADVANCE: Final = "INSERT INTO segments VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET read_to = excluded.read_to"

UNKNOWN: Final = "(cost IS NULL AND deployment <> '' AND status <> 'refused')"
"""Calls that reached a provider and whose cost is not known."""


def views(sealed: list[str], *, revised: bool) -> str:
    """Return the views `recorded` (as written) and `rated` (with the latest re-rating).

    Args:
        sealed: Paths of Parquet files, quoted for SQL.
        revised: Whether anything was ever re-rated.
    """
    union = f" UNION ALL BY NAME SELECT {NAMES} FROM read_parquet([{', '.join(sealed)}])" if sealed else ""
    recorded = f"CREATE OR REPLACE TEMP VIEW recorded AS SELECT {NAMES} FROM calls{union};"
    if not revised:
        return f"{recorded} CREATE OR REPLACE TEMP VIEW rated AS SELECT *, false AS revised FROM recorded;"
    return f"""{recorded}
CREATE OR REPLACE TEMP VIEW rated AS
SELECT c.* EXCLUDE (cost, price), COALESCE(r.cost, c.cost) AS cost, COALESCE(r.price, c.price) AS price,
       r.revises IS NOT NULL AS revised
FROM recorded AS c LEFT JOIN (
    SELECT revises, arg_max(cost, rerating) AS cost, arg_max(price, rerating) AS price FROM revisions GROUP BY revises
) AS r ON r.revises = c.id;"""
