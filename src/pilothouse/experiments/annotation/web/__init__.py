"""A queue as pages in the browser."""
