"""Flows: prompt flow's files, loaded with every mistake named, and run line by line."""
