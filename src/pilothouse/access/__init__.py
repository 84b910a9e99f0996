"""Who acts, what they may do, the keys they show, and the log of what they did."""
