"""What texts must not carry: personal data and secrets, found by rules, without a model and in linear time."""
