"""What numbers in a recipe must be: shares and counts."""

from __future__ import annotations


def check_share(**shares: float) -> None:
    """Raise ValueError naming the first that is no share between 0 and 1."""
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is a share between 0 and 1, not {value:g}")


def check_counts(**counts: int) -> None:
    """Raise ValueError naming the first that is negative."""
    for name, value in counts.items():
        if value < 0:
            raise ValueError(f"{name} is a number of at least 0, not {value}")
