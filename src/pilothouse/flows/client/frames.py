"""Tables of pandas, where it is installed."""

from __future__ import annotations

from typing import Any

from pilothouse.core.errors import UserError


def data_frame(columns: dict[str, list[Any]]) -> Any:
    """Return columns as a DataFrame.

    Raises:
        UserError: when pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise UserError(
            "a table of details is a pandas DataFrame, and pandas is not installed",
            fix='pip install "pilothouse[promptflow]"; without it, pilothouse run show NAME --rows, or '
            "pilothouse.RunService.rows in Python",
        ) from error
    return pd.DataFrame(columns)
