"""Plots: small pure functions from numbers to inline SVG."""
