"""The gateway as a process or several: listening, reloading, draining."""
