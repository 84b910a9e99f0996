"""The gateway's configuration: checked, compiled into routes, versioned, changed while it serves."""
