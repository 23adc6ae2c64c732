"""What a network computes is brought back to what it computed before, in closed form, from samples without labels."""
