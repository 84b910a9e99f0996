"""What an experiment is to be: its file, its arms, its data, and what it will take."""
