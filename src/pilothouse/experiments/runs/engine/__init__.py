"""The batch engine: rows through a flow, many at once, on one event loop."""
