"""Reports: one comparison as terminal tables, a self-contained HTML page and CSV files."""
