"""The suites of the house, one a file."""
