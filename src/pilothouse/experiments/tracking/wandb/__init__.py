"""Offline runs of Weights & Biases, to be sent by its own tool."""
