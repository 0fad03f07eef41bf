"""A stage that doubles the numbers in text files and drops the odd ones, for the tests of the engines."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.documents import Dropped
from pipeline.stage import Stage, Work
from pipeline.tally import Tally
from pipeline.units import Unit, find, group, stamps


def double(
    unit: Unit, out: Path, tally: Tally, *, factor: int, broken: str = "", deadly: str = "", once: Path | None = None
) -> None:
    """Double the numbers of a unit's files; `broken` fails, `deadly` kills its process, if `once` is given once."""
    lines: list[str] = []
    for piece in unit.pieces:
        if piece.name == deadly and not (once and once.exists()):
            out.write_text("cut off")
            if once:
                once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        for number, line in enumerate(Path(piece.path).read_text().splitlines()):
            tally.read(1, len(line))
            if piece.name == broken:
                raise RuntimeError(f"{piece.name}#{number}: broken on purpose")
            if not line.isdigit():
                tally.drop(Dropped(at=str(number), reason="bad_number", text=line), f"{piece.name}#{number}")
            elif int(line) % 2:
                tally.drop(Dropped(at=str(number), reason="odd", value=line), f"{piece.name}#{number}")
            else:
                tally.kept(1, len(line))
                lines.append(str(int(line) * factor))
    out.write_text("\n".join(lines))


def numbers(
    raw: Path, name: str = "double", factor: int = 2, reads: tuple[Stage, ...] = (), max_bad: float = 1.0, **work: Any
) -> Stage:
    def prepared(_: Path) -> Work:
        return partial(double, factor=factor, **work)

    patterns = [f"{raw}/*.txt"]
    return Stage(
        name=name,
        work=prepared,
        units=lambda _: group(find(patterns), 40),
        reads=reads,
        settings={"factor": factor},
        inputs=lambda: stamps(find(patterns)),
        suffix=".txt",
        max_bad=max_bad,
    )


def raw_numbers(folder: Path) -> Path:
    """Six files of ten numbers."""
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text("\n".join(str(number * 100 + n) for n in range(10)))
    return folder


def contents(folder: Path) -> Mapping[str, bytes]:
    """All that a stage made, but for its log and the seconds it took."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(("log", "stage.json"))}
