"""What the machine must have for a recipe, but for its files: told before any work, not after hours of it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.settings import Quality
from pipeline.settings import Dedup, Source, WebSource
from pipeline.shard_files import find_shards
from pipeline.units import InputError, find_source
from recipes.recipe import Recipe

PACKAGES = (("web", ".lz4", "lz4"), ("science", ".pdf", "pypdfium2"))
"""(kind, ending of the files, package that reads them)."""

EXTRAS = {
    "lz4": "lz4", "pypdfium2": "pdf", "trafilatura": "trafilatura",
    "tensorboard": "trackers", "wandb": "trackers", "trackio": "trackers",
}  # fmt: skip
"""Package -> the extra of bertmill that brings it."""


def check(recipe: Recipe) -> None:
    """Raise InputError with a line for each package, quality model, label or scorer that is not there or no such thing,
    for earlier runs that cannot be deduplicated against, and for a start that the model cannot begin from.

    A scorer is imported, and a model read, where one is asked for; else nothing heavy is loaded.
    """
    sources = sorted(recipe.texts.items())
    faults = [f"sources.{name}.{fault}" for name, source in sources for fault in _faults(name, source)]
    faults += [f"sources.{name}.{fault}" for name in sorted(recipe.shards) for fault in _shards_faults(recipe, name)]
    if faults := [*faults, *_earlier_faults(recipe.dedup), *_start_faults(recipe), *_track_faults(recipe)]:
        raise InputError("\n".join(faults))


def _shards_faults(recipe: Recipe, name: str) -> Iterator[str]:
    """A tokenizer that is not the recipe's, by which its ids would stand for other tokens; a column that is not there.

    (That a recipe with shards names a tokenizer is seen as it is loaded.)
    """
    from pipeline.vocabulary import VocabularyError, difference

    source = recipe.shards[name]
    try:
        if other := difference(Path(source.tokenizer), Path(str(recipe.tokenizer.from_))):
            told = f"is not the recipe's, {recipe.tokenizer.from_}: {other}"
            yield f"tokenizer: {source.tokenizer}: {told}; name this tokenizer in tokenizer: {{from: ...}}"
    except VocabularyError as fault:
        yield f"tokenizer: {fault}"
    for file in find_shards(name, source):
        columns = {column: encoding for column, encoding, _ in file.columns}
        if not columns.get(source.column, "").startswith("ndarray"):
            told = ", ".join(f"{column} {encoding}" for column, encoding in columns.items())
            yield f"column: {file.piece.path} has no arrays {source.column}; its columns are {told}"
            return


def _faults(name: str, source: Source) -> Iterator[str]:
    if isinstance(source, WebSource) and source.extract == "trafilatura" and (lacks := _lacking("trafilatura")):
        yield f"extract: {lacks}"
    for kind, ending, package in PACKAGES:
        if kind == source.kind and (lacks := _lacking(package)):
            paths = [piece.path for piece in find_source(name, source) if piece.path.lower().endswith(ending)]
            yield from (f"read: {path}: {lacks}" for path in paths[:1])
    if not isinstance(source.filters, CodeFilters) and source.filters.quality:
        yield from _quality_faults(source.filters.quality)


def _earlier_faults(dedup: Dedup) -> Iterator[str]:
    if dedup.against:
        from pipeline.dedup.earlier import check_earlier
        from pipeline.stage import StageError

        try:
            check_earlier(dedup)
        except StageError as fault:
            yield str(fault)


def _start_faults(recipe: Recipe) -> Iterator[str]:
    if recipe.train.start:
        from train.start import StartError
        from train.start import check as check_start

        given = recipe.tokenizer.from_
        try:
            check_start(recipe.train.start, recipe.model, None if given is None else Path(given))
        except StartError as fault:
            yield f"train.start: {fault}"


def _track_faults(recipe: Recipe) -> Iterator[str]:
    return (f"train.track: {lacks}" for lacks in map(_lacking, recipe.train.track) if lacks)


def _lacking(package: str) -> str:
    return "" if find_spec(package) else f"{package} is not installed; pip install 'bertmill[{EXTRAS[package]}]'"


def _quality_faults(settings: Quality) -> Iterator[str]:
    from pipeline.filters.fasttext_file import ModelFileError
    from pipeline.filters.quality import QualityError, ready

    try:
        ready(settings)
    except ModelFileError as fault:
        yield f"filters.quality.model: {fault}"
    except QualityError as fault:
        yield f"filters.quality.{'scorer' if settings.scorer else 'label'}: {fault}"
