"""Readers: one file per format, found by the suffix of a file as plug-ins of the group `pilothouse.dataset_readers`."""
