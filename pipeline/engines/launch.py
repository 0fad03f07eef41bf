"""What an engine is given: one step, the ranks that share its units, and whom to tell of the progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Launch:
    step: Any
    """The datatrove step that does a rank's units."""
    stage: str
    """The stage's name."""
    folder: Path
    tasks: int
    """Ranks."""
    workers: int
    """Ranks that are at work at the same time."""
    total: int
    """Units that stand in the end."""
    tell: Callable[[int], None]
    """Called with the number of units that stand by now."""

    @property
    def log(self) -> str:
        """The executor's own folder."""
        return str(self.folder / "log")
