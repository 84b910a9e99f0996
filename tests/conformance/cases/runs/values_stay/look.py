from promptflow.core import tool


@tool
def look(date, n, deep):
    return [date if isinstance(date, str) else str(date), type(date).__name__, n, type(n).__name__, deep]
