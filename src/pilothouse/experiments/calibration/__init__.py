"""Judges of experiments, calibrated against labels that people gave their rows."""
