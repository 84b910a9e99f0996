"""Evaluations as tests: the decorator, the pytest plugin, and what runs behind them."""
