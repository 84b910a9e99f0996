"""What looks at texts before, beside, after and inside a call."""
