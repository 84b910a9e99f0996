"""One file per kind of provider; each enters by the entry-point group `pilothouse.providers`."""
