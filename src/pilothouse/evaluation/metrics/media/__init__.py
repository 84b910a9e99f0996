"""Metrics of images and sounds."""
