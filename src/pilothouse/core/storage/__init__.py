"""Where things are kept: rows in a database, content-addressed blobs, append-only logs and whole files."""
