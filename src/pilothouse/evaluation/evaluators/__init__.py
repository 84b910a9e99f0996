"""Evaluators: functions, classes and flows that judge one row, behind one interface."""
