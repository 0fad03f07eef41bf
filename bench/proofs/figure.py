"""Figures for the documentation: equal data give equal bytes, and text stays text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "bertmill",  # names inside the file are drawn at random otherwise
    "svg.fonttype": "none",
    "figure.facecolor": "white",  # readable on a dark page too
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.2,
}


@contextmanager
def drawn(path: Path, *, columns: int = 1, rows: int = 1, width: float = 8.0, height: float = 3.4) -> Iterator[Any]:
    """The axes of a figure (an array where there are several), which is written to `path` in the end."""
    matplotlib.use("svg")
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(rows, columns, figsize=(width, height), layout="constrained")
        yield axes
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    print(f"\n{path}: {path.stat().st_size / 1000:.0f} kB")
