"""One call from its first byte to its ledger row."""
