"""The verbs of `pilothouse experiment`, one file each."""
