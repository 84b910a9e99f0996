"""Item analysis: which rows decide, which tell nothing, which look mislabelled, and where evaluators contradict."""
