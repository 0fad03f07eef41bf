"""Source files -> the ones worth training on: licence, origin, shape."""
