"""Images and sounds in rows: how they are found, loaded and kept to a size."""
