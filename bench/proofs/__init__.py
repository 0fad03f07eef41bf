"""What the proofs that the trainer learns have in common."""
