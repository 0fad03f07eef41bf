"""A run's folder in a store that fsspec knows, mirrored on the disk of the machine that works."""
