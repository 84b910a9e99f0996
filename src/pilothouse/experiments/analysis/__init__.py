"""From recorded runs and scores to a comparison: measures, judgements, verdict, prompt differences."""
