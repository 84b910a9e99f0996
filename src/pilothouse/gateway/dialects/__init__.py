"""Forms of requests and answers, and translation between them: bytes in, nouns of `models` between, bytes out."""
