"""Rows that are not to be learned from, though the order comes by them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Quarantine:
    """Some rows of one source at one context: each is left out of every batch that would hold it.

    Its draw is taken all the same and nothing stands in its place: what is read at any other row of the run stays.
    """

    source: str
    context: int
    rows: tuple[int, ...]
    """By their numbers in pack/<source>/<context>: the `index` that `bertmill order` and `trace` tell."""
    since: int = 0
    """Row of the run from which on they are left out: for one that is under way, the rows that it has read."""

    def __post_init__(self) -> None:
        if not self.rows:
            raise ValueError("rows names no row; give at least one, or leave the entry out")
        if min(self.rows) < 0:
            raise ValueError(f"rows are counted from 0; there is none of number {min(self.rows)}")
        if len(set(self.rows)) < len(self.rows):
            twice = next(row for row in self.rows if self.rows.count(row) > 1)
            raise ValueError(f"row {twice} stands twice; give it once")
        if self.since < 0:
            raise ValueError(f"since is a row of the run, 0 or more, not {self.since}")
