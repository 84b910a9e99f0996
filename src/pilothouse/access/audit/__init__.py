"""The log of who changed what: each row seals the one before it."""
