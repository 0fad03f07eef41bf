"""LaTeX submissions -> papers."""
