"""Everything that can be said about a flow without running it."""
