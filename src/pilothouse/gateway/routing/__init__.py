"""Which deployment serves a call, and which one next."""
