"""Logged calls, made again under another configuration or through another route."""
