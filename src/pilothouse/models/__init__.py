"""Language and embedding models: connections, providers, catalogue, prices, local and keyless models."""
