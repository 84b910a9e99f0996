"""Reports for programs: rows as JSON lines and Parquet, the comparison as one JSON document."""
