"""Gates: whether a variant may be used, said with its uncertainty."""
