"""What a flow takes from its surroundings: variables, files, and what it sets for its own code."""
