"""What `bench/fuzz.py` mutates and how."""
