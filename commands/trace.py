"""A row number of the run -> what stands there, and from where it came: the order, and the way back to raw records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from commands.look import bring_rows, describe
from commands.train import order_of
from packing.from_shards import read_chunk
from packing.shards import Shards
from pipeline.ingest.stage import raw_record
from pipeline.settings import AnySource
from pipeline.shard_files import find_shards
from pipeline.stage import Record
from pipeline.units import find_source
from recipes.load import load
from recipes.recipe import Recipe
from recipes.rows import pack_name
from train.skipped import Skipped

SHOWN = 300
"""Characters shown of a raw record."""


class TraceError(Exception):
    """A row or stretch of rows that is not in the run; the message says what is."""


def ordered(recipe: Recipe, workspace: Path, stretch: str) -> Iterator[dict[str, Any]]:
    """The rows FROM:TO of the run, one mapping each. Raises TraceError for a stretch that is none."""
    found = re.fullmatch(r"(\d+):(\d+)", stretch)
    if not found:
        raise TraceError(f"'{stretch}' is no stretch of rows; write FROM:TO, such as 0:10")
    order = order_of(recipe, workspace)
    first, last = int(found[1]), int(found[2])
    if first > last:
        raise TraceError(f"'{stretch}' runs backwards; write FROM:TO, such as {last}:{first}")
    if not first <= last <= order.total:
        raise TraceError(f"{stretch} is not in the run, which has rows 0:{order.total}")
    for start in range(first, last, 4096):  # bounded memory, however long the stretch
        for at, place in enumerate(order.rows(start, min(start + 4096, last)), start):
            yield {
                "row": at,
                "phase": order.phases[place["phase"]].name,
                "source": order.names[place["source"]],
                "epoch": int(place["epoch"]),
                "index": int(place["index"]),
                **({"left_out": True} if place["left_out"] else {}),
            }


def traced(workspace: Path, row: int) -> dict[str, Any]:
    """The row's place, its pieces, and the raw record that each piece's document was made from."""
    path = workspace / "recipe.yaml"
    if not path.exists():
        raise TraceError(f"{workspace}: is no run's folder; it has no recipe.yaml")
    recipe = load(path)
    place = next(ordered(recipe, workspace, f"{row}:{row + 1}"))
    context = next(phase.context for phase in recipe.train.phases if phase.name == place["phase"])
    name = pack_name(place["source"], context)
    record = Record.read(workspace / name)
    earlier = next((read for read in record.reads if read != "tokenizer"), name) if record else ""
    bring_rows(workspace / name)
    packed = Shards(workspace / name)[place["index"]]
    pieces = describe(packed, place["index"], _tokens(workspace), workspace / earlier)["pieces"]
    files = {piece.name: piece.path for piece in find_source(place["source"], recipe.sources[place["source"]])}
    for piece in pieces:
        file = next((name for name in files if piece["origin"].startswith(f"{name}#")), None)
        if file is None:
            raise TraceError(f"{piece['origin']}: the raw file that row {row} was made from has gone; put it back")
        at = piece["origin"].removeprefix(f"{file}#")
        piece |= {"file": files[file], "at": at, "raw": _raw(recipe.sources[place["source"]], file, files[file], at)}
    why = _left_out(workspace, row) if "left_out" in place else {}
    return {**place, **why, "context": context, "pieces": pieces}


def _left_out(workspace: Path, row: int) -> dict[str, Any]:
    """Why a row is not learned from: the spike that the run found it in, or what the recipe says."""
    for spike in Skipped.read(workspace).spikes:
        if found := next((one for one in spike.rows if one.row == row), None):
            return {"why": f"step {spike.step}: {spike.why}; its own loss was {found.loss:.4g}"}
    return {"why": "in quarantine: named by the recipe, or found in a spike where it was read before"}


def _raw(source: AnySource, name: str, path: str, at: str) -> str:
    """A raw record as text; of shards the ids of a chunk."""
    if source.kind != "shards":
        return raw_record(source, path, at).decode("utf-8", "replace")
    file = next(file for file in find_shards("", source) if file.piece.name == name)
    return " ".join(map(str, read_chunk(file, int(at), source.column).tolist()))


def _tokens(workspace: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(workspace / "tokenizer" / "tokenizer.json"))
    return lambda ids: tokenizer.decode(ids, skip_special_tokens=False)


def told(found: dict[str, Any]) -> str:
    """A traced row for a terminal."""
    head = f"row {found['row']}: phase {found['phase']}, source {found['source']}, epoch {found['epoch']}, "
    lines = [head + f"row {found['index']} of pack/{found['source']}/{found['context']}"]
    if "why" in found:
        lines.append(f"  not learned from: {found['why']}")
    for piece in found["pieces"]:
        lines += [
            f"  tokens {piece['start']} to {piece['start'] + piece['tokens']}: document {piece['id']}",
            f"    {piece['file']} at {piece['at']}",
            f"    text  {_short(piece['text'])}",
            f"    raw   {_short(piece['raw'])}",
        ]
    return "\n".join(lines)


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]} ...")
