"""Where the rows of a run are computed: here, in processes, or on Ray."""
