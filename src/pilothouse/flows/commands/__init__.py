"""The verbs of `pilothouse flow`, one file for each that is more than a page."""
