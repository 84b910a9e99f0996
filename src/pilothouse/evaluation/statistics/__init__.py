"""Statistics: pure functions over NumPy arrays. SciPy, statsmodels and scikit-learn are their judges in the tests."""
