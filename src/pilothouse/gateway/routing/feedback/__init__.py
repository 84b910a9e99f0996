"""What users thought of the arms of experiments in traffic, and what follows from it for their weights."""
