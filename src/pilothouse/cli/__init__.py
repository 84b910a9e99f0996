"""The command line: one door, to which every room brings its own commands."""
