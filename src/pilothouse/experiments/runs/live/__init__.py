"""What one process may know and ask of a run that another one is working on."""
