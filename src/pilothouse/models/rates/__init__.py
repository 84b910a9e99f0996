"""What calls cost: prices compiled to integers."""
