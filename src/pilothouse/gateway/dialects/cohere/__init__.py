"""Cohere's form of a conversation, the second version of `chat`: spoken to upstreams."""
