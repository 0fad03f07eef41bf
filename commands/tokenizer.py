"""Tokenizers on documents of a run, or of files: how well each fits them, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from commands.report import table
from commands.run import home
from pipeline.documents import read_batches
from pipeline.fertility import RARE, Uses
from pipeline.handover import check, signed_pieces
from pipeline.ingest.fields import told as told_as
from pipeline.ingest.fields import value_of
from pipeline.ingest.rows import TABLES, Row, read_rows
from pipeline.settings import Columns
from pipeline.tokenizer import TokenizerError, opened
from pipeline.units import Piece
from recipes.load import load
from recipes.plan import stages

LONGEST = 1_000_000
"""Characters that are looked at of a document: one book is no language's average."""

FILES = 64
"""Files of a source of a run that documents are taken from, spread over all."""

BATCH = 1 << 22
"""Characters that are measured together."""


class Text(NamedTuple):
    text: str
    source: str
    language: str


def measured(paths: Sequence[Path], others: Sequence[Path], work: Path | None, sample: int) -> list[dict[str, Any]]:
    """What `Uses.told` says of each tokenizer, with its `file`: the recipe's or those among `paths`, then `others`.

    paths   one recipe (.yaml), whose run has both tokenizer and documents, or tokenizers; and files of text (.txt, or
            tables with a column `text` and perhaps `source` and `language`), which replace the run's documents
    sample  bytes of text that are taken of each source

    Raises TokenizerError where there is no tokenizer or no text, StageError for an unfinished run, UnreadableFile.
    """
    recipes = [path for path in paths if path.suffix in (".yaml", ".yml")]
    tokenizers = [path for path in paths if path.suffix == ".json" and _is_tokenizer(path)]
    files = [path for path in paths if path not in (*recipes, *tokenizers)]
    if len(recipes) > 1 or not (recipes or tokenizers):
        raise TokenizerError("name one recipe (.yaml), or a tokenizer.json and files of text")
    workspace = home(load(recipes[0]), work) if recipes else Path()
    if recipes:
        tokenizers = [workspace / "tokenizer" / "tokenizer.json", *tokenizers]
    uses = [Uses(tokenizer=opened(path)) for path in (*tokenizers, *others)]
    texts = _of_files(files, sample) if files else _of_run(recipes[0], workspace, sample) if recipes else iter(())
    found = False
    for batch in _batches(texts):
        found = True
        groups = [{"source": one.source, "language": one.language} for one in batch]
        for one in uses:
            one.add([text.text for text in batch], groups)
    if not found:
        raise TokenizerError("there is no text to measure on; name a recipe whose run is done, or files of text")
    return [{"file": str(path), **one.told()} for path, one in zip((*tokenizers, *others), uses, strict=True)]


def _batches(texts: Iterator[Text]) -> Iterator[list[Text]]:
    batch: list[Text] = []
    for one in texts:
        batch.append(one)
        if sum(len(text.text) for text in batch) >= BATCH or len(batch) == 256:
            yield batch
            batch = []
    if batch:
        yield batch


def _is_tokenizer(path: Path) -> bool:
    """A JSON file with a `model`, or with nothing in it that a table has."""
    try:
        return "model" in json.loads(path.read_bytes())
    except (OSError, ValueError, TypeError):
        return True  # to be told as a tokenizer that cannot be opened


def _of_run(recipe: Path, workspace: Path, sample: int) -> Iterator[Text]:
    """The first documents of files spread over each source that is packed."""
    clean = {
        stage.name.split("/")[1]: read
        for stage in stages(load(recipe))
        if stage.name.startswith("pack/")
        for read in stage.reads
        if read.suffix == ".parquet"
    }
    for source, stage in sorted(clean.items()):
        pieces = signed_pieces(workspace, stage)
        chosen = pieces[:: -(-len(pieces) // FILES)]
        for piece in chosen:
            check(piece)
            yield from _first(_documents(piece, source), sample // len(chosen))


def _documents(piece: Piece, source: str) -> Iterator[Text]:
    for batch in read_batches(Path(piece.path), columns=["text", "language"]):
        for row in batch.to_pylist():
            yield Text(row["text"], source, row["language"] or "-")


def _of_files(paths: Sequence[Path], sample: int) -> Iterator[Text]:
    for path in paths:
        if not path.is_file():
            raise TokenizerError(f"{path}: there is no such file")
        if path.name.lower().endswith(TABLES):
            yield from _first(_rows(path), sample)
        else:
            yield from _first(iter([Text(path.read_bytes().decode(errors="replace"), path.name, "-")]), sample)


def _rows(path: Path) -> Iterator[Text]:
    piece = Piece(str(path.absolute()), path.name, path.stat().st_size)
    for row in read_rows(piece, Columns().texts, ("source", "language")):
        if isinstance(row, Row):
            source, language = (told_as(value_of(row.fields, name)) for name in ("source", "language"))
            yield Text(row.text, source or path.name, language or "-")


def _first(texts: Iterator[Text], size: int) -> Iterator[Text]:
    """The first texts of about `size` bytes together, one at least."""
    for one in texts:
        yield one._replace(text=one.text[:LONGEST])
        size -= len(one.text[:LONGEST].encode())
        if size <= 0:
            return


def told(found: Sequence[dict[str, Any]]) -> str:
    """The same for people."""
    return "\n".join([*_fits(found), *(line for one in found for line in ["", *_one(one)])])


def _fits(found: Sequence[dict[str, Any]]) -> list[str]:
    """Bytes a token and tokens a word of each tokenizer, numbered, by source and language."""
    numbers = [f"[{n}]" for n in range(1, len(found) + 1)]
    head = ["", "documents", "MB"]
    rows = [[*head, *(f"bytes/token {n}" for n in numbers), *(f"tokens/word {n}" for n in numbers)]]
    for number, fit in enumerate(found[0]["fits"]):
        name = "all" if fit["by"] == "all" else f"{fit['by']} {fit['name']}"
        of_all = [one["fits"][number] for one in found]
        ratios = [_ratio(one[key]) for key in ("bytes_per_token", "tokens_per_word") for one in of_all]
        rows.append([name, f"{fit['documents']:,}", f"{fit['bytes'] / 1e6:.1f}", *ratios])
    return [*(f"  {number} {one['file']}" for number, one in zip(numbers, found, strict=True)), "", *table(rows)]


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _one(one: dict[str, Any]) -> list[str]:
    layout = one["layout"]
    facts = [
        f"{one['ids']:,} ids" + ("" if layout["multiple_of_64"] else " (no multiple of 64)"),
        f"{one['special_ids']} special, {layout['unused_tokens']} of them [unused]",
        f"normalizer {layout['normalizer'] or 'none'}",
        "a space before every text" if layout["prefix_space"] else "no prefix space",
        f"[MASK] {'takes' if layout['mask_takes_the_space_before_it'] else 'leaves'} the space before it",
    ]
    longest = "  ".join(f"{item['token']!r} {item['uses']:,}" for item in one["longest"])
    lines = [
        f"  {one['file']}",
        f"    {layout['model']}, {layout['merges']:,} merges, {', '.join(facts)}",
        f"    of the other ids {one['unused_ids']:,} are never used, {one['rare_ids']:,} under {RARE} times",
        f"    never: {' '.join(one['unused_first']) or '-'}",
        f"    rare: {'  '.join(map(repr, one['rare_first'])) or '-'}",
        f"    longest, with uses: {longest}",
        f"    runs of spaces with an id: {' '.join(map(str, layout['runs_of_spaces'])) or 'none'}",
        f"    tokens of 7, 777, 777777777: {' '.join(map(str, layout['tokens_of_1_3_9_sevens']))}",
        *(f"    {text!r:22} {' '.join(map(repr, parts))}" for text, parts in one["habits"].items()),
    ]
    if one["changed_documents"]:
        lines.append(f"    {one['changed_documents']:,} documents do not come back from their tokens")
    return lines
