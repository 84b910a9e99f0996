"""Versions by content hash, the aliases that point at them, and edges that say what was made from what."""
