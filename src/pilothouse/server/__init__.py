"""The HTTP door: the gateway's calls, and the API that looks after it."""
