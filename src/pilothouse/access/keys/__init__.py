"""Virtual keys: made, rotated, revoked, and recognised without a question to the database."""
