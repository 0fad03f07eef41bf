"""A run's folder or a packed source's -> how its rows came out, for a person's eyes: fill, cuts, lengths of pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from commands.look import LookError
from packing.report import summary
from pipeline.stage import Record
from pipeline.stores.mirror import Mirror

PATTERNS = ("", "*", "*/*", "pack/*/*", "heldout/*")
"""Where a packed source's stage.json stands below a folder: it itself, pack/<source>, pack, and a run's folder."""


def packed(path: Path) -> Iterator[dict[str, Any]]:
    """What each packed source and context in a folder came to, those of evaluation too. LookError if there is none."""
    if mirror := Mirror.of(path):
        for pattern in PATTERNS:
            mirror.refresh(*path.glob(f"{pattern}/stage.json" if pattern else "stage.json"))
    folders = {file.parent for pattern in PATTERNS for file in path.glob(f"{pattern}/stage.json".lstrip("/"))}
    records = [record for folder in sorted(folders) if (record := Record.read(folder))]
    rows = [record for record in records if record.finished and "rows_least" in record.counts]
    if not rows:
        raise LookError(f"{path}: holds no packed source that is finished; look at a run's folder, or pack/<source>")
    for record in rows:
        yield {"stage": record.name, **summary(record.counts, int(record.settings["context"]))}


def told(one: dict[str, Any]) -> str:
    """A packed source in lines."""
    share = one["documents_cut"] / one["documents"] if one["documents"] else 0.0
    lengths = [bin for bin in one["piece_lengths"] if bin["pieces"]]
    most = max((bin["pieces"] for bin in lengths), default=1)
    return "\n".join(
        [
            f"{one['stage']}: {one['rows']} rows of {one['context']}, {one['fill']:.3%} full, {one['tokens']} tokens",
            f"  rows beyond the least that the tokens need {one['rows_more_than_least']}, under 99 % full "
            f"{one['rows_under_99']}",
            f"  documents {one['documents']}, {one['documents_per_row']:.1f} a row; cut {one['documents_cut']} "
            f"({share:.2%}), of those that fit a row {one['fitting_documents_cut']}",
            f"  pieces {one['pieces']}, {one['tokens_a_piece']:.0f} tokens each; cut to fill rows "
            f"{one['pieces_to_fill_rows']}",
            *(
                f"  {bin['from']:7} to {bin['to']:6} tokens {bin['pieces']:10} {bin['pieces'] / one['pieces']:6.1%}  "
                f"{'#' * round(40 * bin['pieces'] / most)}".rstrip()
                for bin in lengths
            ),
        ]
    )
