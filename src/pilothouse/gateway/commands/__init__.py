"""The gateway in the terminal."""
