"""The verbs of `pilothouse review`."""
