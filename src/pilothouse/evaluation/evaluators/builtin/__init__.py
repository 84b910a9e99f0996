"""The evaluators of the house; they enter by the entry points `pilothouse.evaluators`, as anyone's do."""
