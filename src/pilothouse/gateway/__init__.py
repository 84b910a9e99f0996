"""The data plane in front of models: routes, keys, limits, budgets, cache and guards, one call at a time."""
