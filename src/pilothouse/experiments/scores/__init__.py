"""Scores of runs on the disk: durable row by row, taken up again after whatever ended their making."""
