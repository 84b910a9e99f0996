"""Experiments that look at their rows more than once, and stop as soon as these tell enough."""
