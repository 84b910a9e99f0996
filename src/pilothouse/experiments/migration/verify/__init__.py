"""A recorded run, run again here and compared row by row."""
