"""Flows to start with: from a template, or around a function that exists."""
