"""Stages of a source that is shards of token ids already: the ids -> rows, for training and for evaluation.

Such a source has no text: it is not ingested, filtered, deduplicated or decontaminated, and no tokenizer is trained
on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.settings import ShardsSource
from pipeline.shard_files import ShardFile, find_shards, parts_of
from pipeline.stage import Stage
from pipeline.units import Piece, Unit, stamps
from recipes.recipe import Recipe
from recipes.rows import in_rows

if TYPE_CHECKING:
    from pipeline.stage import Work


def packed_chunks(recipe: Recipe, source: str, context: int, tokenizer: Stage) -> Stage:
    """Rows of at most `context` tokens from the chunks that are not held out."""
    return _of_chunks(recipe, source, context, tokenizer, training=True)


def held_out_chunks(recipe: Recipe, source: str, tokenizer: Stage) -> Stage:
    """Rows of the held-out chunks, at the shortest context, so that all phases are measured alike."""
    return _of_chunks(recipe, source, recipe.contexts[0], tokenizer, training=False)


def _of_chunks(recipe: Recipe, source: str, context: int, tokenizer: Stage, *, training: bool) -> Stage:
    given, size = recipe.shards[source], recipe.packing.unit

    def work(workspace: Path, settings: Mapping[str, Any]) -> Work:
        from packing.from_shards import pack_chunks

        files = {file.piece.name: (number, file) for number, file in enumerate(find_shards(source, given))}
        path = workspace / tokenizer.name / "tokenizer.json"
        return partial(pack_chunks, files=files, tokenizer=path, source=source, part_bytes=size, **settings)

    def units(_: Path) -> list[Unit]:
        from packing.stage import full_units

        return full_units([part for file in find_shards(source, given) for part in _parts(file, size)], size)

    return in_rows(
        recipe,
        source,
        context,
        work,
        units,
        training=training,
        reads=(tokenizer,),
        more={"column": given.column},
        inputs=lambda: stamps(file.piece for file in find_shards(source, given)),
    )


def _parts(file: ShardFile, size: int) -> Iterator[Piece]:
    """A shard, or its parts; their size is that of the unpacked bytes."""
    parts = parts_of(file, size)
    if parts == 1:
        yield replace(file.piece, size=file.size)
        return
    yield from (replace(file.piece, size=file.size // parts, groups=(part, part + 1)) for part in range(parts))


def uncleaned(recipe: Recipe) -> list[str]:
    """A line for each source that goes past the stages of text."""
    return [
        f"{name} is shards of token ids: it is packed as it is, not filtered, deduplicated or decontaminated, and what "
        "is trained on may resemble its chunks that are kept for evaluation"
        for name in sorted(recipe.shards)
    ]


def about_tokens(name: str, source: ShardsSource) -> int:
    """Tokens of a source by its indexes alone: the bytes of its samples by those of an id, 2 % too many or so.

    (A sample has its size words, an array's length, and other columns such as `id`, which no index tells of.)
    """
    total = 0
    for file in find_shards(name, source):
        encoding = next((kind for column, kind, _ in file.columns if column == source.column), "")
        width = {"16": 2, "32": 4, "64": 8}.get(encoding.split(":")[1][-2:] if ":" in encoding else "", 8)
        total += max(file.size - 8 * file.samples, 0) // width
    return total
