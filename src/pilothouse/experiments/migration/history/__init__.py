"""What prompt flow recorded of its runs, read as it is."""
