"""Curves of held-out bits per byte over tokens, a panel a source, a line a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

ENDINGS = (".svg", ".png", ".pdf")


class FigureError(Exception):
    """A figure that cannot be drawn; one line with the mend."""


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw what `commands.compare.compare` found; the running mean of the weights is dotted.

    A run that began from a parent in the table begins where that one ended. Raises FigureError.
    """
    if path.suffix not in ENDINGS:
        raise FigureError(f"{path}: figures are {', '.join(ENDINGS)}; give the file one of these endings")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise FigureError(
            f"{path}: is drawn by matplotlib, which is not here; pip install 'bertmill[figures]'"
        ) from None
    sources = found["sources"]
    with rc_context({"svg.hashsalt": "bertmill"}):  # equal figures are equal files
        figure = Figure(figsize=(4.5 * len(sources), 4.0), layout="constrained")
        ends = {run["name"]: run["tokens"] for run in found["runs"]}
        for panel, source in zip(figure.subplots(1, len(sources), squeeze=False)[0], sources, strict=True):
            for number, run in enumerate(found["runs"]):
                _line(panel, run, source, f"C{number}", ends.get(run["parent"], 0))
            panel.set(title=source, xlabel="tokens", ylabel=f"bits per byte, {100 * float(found['mask']):g} % hidden")
            panel.grid(alpha=0.3)
        figure.axes[0].legend(fontsize="small")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def _line(panel: Any, run: Mapping[str, Any], source: str, color: str, begins: int) -> None:
    for of, style in (("sources", "-"), ("averaged", ":")):
        points = [(begins + one["tokens"], one[of][source]) for one in run["curve"] if source in one[of]]
        if points:
            name = run["name"] if of == "sources" else None
            panel.plot(*zip(*points, strict=True), style, color=color, marker=".", label=name)
