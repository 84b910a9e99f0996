"""The verbs of `pilothouse run`, one file for each family of them."""
