"""The verbs of `pilothouse judge`."""
