"""What the benches of near-duplicates are made of."""
