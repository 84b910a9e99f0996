"""Engines that hold spans: DuckDB, fed from the segments that processes append to."""
