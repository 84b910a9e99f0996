"""Google's form of a conversation, `generateContent`: spoken to upstreams."""
