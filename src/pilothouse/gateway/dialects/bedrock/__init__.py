"""Amazon's form of a conversation, `Converse`: spoken to upstreams."""
