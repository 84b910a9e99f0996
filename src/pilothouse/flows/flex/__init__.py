"""Flex flows: a Python function or class as a whole flow."""
