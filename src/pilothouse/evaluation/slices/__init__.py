"""Slices: what figures and differences are in parts of the data, corrected for how many parts are looked at."""
