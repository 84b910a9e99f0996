"""Slices and single rows in the reports."""
