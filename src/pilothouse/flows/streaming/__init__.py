"""How the pieces of a streaming output leave a node while it still runs."""
