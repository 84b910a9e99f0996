"""Calibration: what a judge's verdicts are worth, measured against labels that people gave."""
