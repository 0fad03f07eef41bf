"""A recipe -> the stages that carry it out, in order: whoever asks what happens to a document reads this page.

ingest/<source>       raw files -> documents
filter/<source>       documents -> the ones worth training on
signatures/<source>   documents -> hashes and MinHash bands
duplicates            all signatures -> what is a copy of what, across sources
dedup/<source>        documents -> documents that occur once
tokenizer             a sample of them -> tokenizer.json
pack/<source>/<context>   documents -> rows of tokens
heldout/<source>      the documents kept out of training -> rows for evaluation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.lists import named, stamps_of
from pipeline.filters.settings import WebFilters
from pipeline.settings import Source
from pipeline.stage import Record, Stage
from pipeline.units import InputError, Piece, Unit, find, find_source, group, stamps
from recipes.recipe import Recipe

if TYPE_CHECKING:
    from pipeline.stage import Work


def stages(recipe: Recipe) -> list[Stage]:
    """Everything up to the rows, each stage after those it reads."""
    ingested = {name: _ingest(name, source, recipe.unit) for name, source in sorted(recipe.sources.items())}
    filtered = {name: _filter(name, recipe.sources[name], stage) for name, stage in ingested.items()}
    clean = dict(filtered)
    through: list[Stage] = [*ingested.values(), *filtered.values()]
    if recipe.dedup.exact or recipe.dedup.near:
        signed = {name: _signatures(name, recipe, stage) for name, stage in filtered.items()}
        found = _duplicates(recipe, signed, filtered)
        clean = {name: _dedup(recipe, name, stage, found) for name, stage in filtered.items()}
        through += [*signed.values(), found, *clean.values()]
    tokenizer = _tokenizer(recipe, clean)
    packed = [
        _pack(recipe, name, context, clean[name], tokenizer)
        for context in recipe.contexts
        for name in recipe.mixed(context)
    ]
    held = [_held_out(recipe, name, clean[name], tokenizer) for name in evaluated(recipe)]
    return [*through, tokenizer, *packed, *held]


def evaluated(recipe: Recipe) -> list[str]:
    """The sources that are evaluated: those that some phase draws from."""
    return sorted({name for context in recipe.contexts for name in recipe.mixed(context)})


def pack_name(source: str, context: int) -> str:
    return f"pack/{source}/{context}"


def held_out_name(source: str) -> str:
    return f"heldout/{source}"


def _ingest(name: str, source: Source, unit: int) -> Stage:
    """Raw files -> documents; what is broken in them is counted under a reason."""
    how = {key: value for key, value in asdict(source).items() if key not in ("read", "filters", "max_bad")}

    def work(_: Path) -> Work:
        from pipeline.ingest.stage import ingest

        return partial(ingest, source=source, name=name)

    return Stage(
        name=f"ingest/{name}",
        work=work,
        units=lambda _: group(find_source(name, source), unit),
        settings={**how, "unit": unit},
        inputs=lambda: stamps(find_source(name, source)),
        max_bad=source.max_bad,
    )


def _filter(name: str, source: Source, ingested: Stage) -> Stage:
    """The published rules for this kind of text; each dropped document under the rule's name."""
    urls = source.filters.urls if isinstance(source.filters, WebFilters) else None
    quality = None if isinstance(source.filters, CodeFilters) else source.filters.quality
    model = quality.model if quality else None
    settings = asdict(source.filters) | ({"urls": named(urls)} if urls else {})
    if quality and model:
        settings["quality"] = asdict(quality) | {"model": Path(model).name}

    def work(_: Path) -> Work:
        from pipeline.filters.stage import filter_documents

        return partial(filter_documents, filters=source.filters)

    return Stage(
        name=f"filter/{name}",
        work=work,
        units=_same_units(ingested),
        reads=(ingested,),
        settings=settings,
        inputs=lambda: (stamps_of(urls, name) if urls else {}) | (_model_stamp(model, name) if model else {}),
    )


def _model_stamp(model: str, source: str) -> dict[str, list[int]]:
    """Size and mtime of a source's quality model: another model is another stage. Raises InputError without it."""
    try:
        found = Path(model).stat()
    except OSError as fault:
        where = f"sources.{source}.filters.quality.model"
        raise InputError(f"{where}: {model}: {fault.strerror}; the path is relative to {Path.cwd()}") from None
    return {"quality.model": [found.st_size, found.st_mtime_ns]}


def _signatures(name: str, recipe: Recipe, filtered: Stage) -> Stage:
    """What duplicates are found by, so that finding them reads no text but that of candidates."""

    def work(_: Path) -> Work:
        from pipeline.dedup.signatures import Scheme, sign_documents

        return partial(sign_documents, source=name, scheme=Scheme.of(recipe.dedup))

    near = recipe.dedup.near
    shingles = {"ngram": near.ngram, "bands": near.bands, "rows": near.rows} if near else None
    return Stage(
        name=f"signatures/{name}",
        work=work,
        units=_same_units(filtered),
        reads=(filtered,),
        settings={"exact": recipe.dedup.exact, "near": shingles},
    )


def _duplicates(recipe: Recipe, signed: Mapping[str, Stage], filtered: Mapping[str, Stage]) -> Stage:
    """Which documents are copies, decided over all sources at once: the same for any number of units and workers."""

    def work(workspace: Path) -> Work:
        from pipeline.dedup.duplicates import find_duplicates

        return partial(
            find_duplicates,
            signatures={name: workspace / stage.name for name, stage in signed.items()},
            documents={name: workspace / stage.name for name, stage in filtered.items()},
            settings=recipe.dedup,
        )

    return Stage(
        name="duplicates",
        work=work,
        units=_one_unit(list(signed.values())),
        reads=(*signed.values(), *filtered.values()),
        settings=asdict(recipe.dedup),
    )


def _dedup(recipe: Recipe, name: str, filtered: Stage, duplicates: Stage) -> Stage:
    """The documents that are no copy of another."""
    threshold = recipe.dedup.near.threshold if recipe.dedup.near else 1.0

    def work(workspace: Path) -> Work:
        from pipeline.dedup.keep import keep_survivors

        return partial(keep_survivors, source=name, duplicates=workspace / duplicates.name, threshold=threshold)

    return Stage(name=f"dedup/{name}", work=work, units=_same_units(filtered), reads=(filtered, duplicates))


def _tokenizer(recipe: Recipe, clean: Mapping[str, Stage]) -> Stage:
    """A byte-level BPE trained on a sample drawn by the shares of the mixture, or an existing tokenizer."""
    settings = recipe.tokenizer
    if settings.from_ is not None:
        path = settings.from_

        def take(_: Path) -> Work:
            from pipeline.tokenizer import take_tokenizer

            return take_tokenizer

        return Stage(
            name="tokenizer",
            work=take,
            units=lambda _: [Unit(0, tuple(find([path])))],
            settings={"from": Path(path).name},
            inputs=lambda: stamps(find([path])),
            suffix=".json",
            finish=_publish,
        )

    def train(workspace: Path) -> Work:
        from pipeline.tokenizer import train_tokenizer

        sizes = {name: Record.signed(workspace, stage).counts["bytes_out"] for name, stage in clean.items()}
        return partial(
            train_tokenizer,
            shares=recipe.shares,
            sizes=sizes,
            vocab=settings.vocab,
            sample=settings.sample,
            holdout=recipe.packing.holdout,
        )

    return Stage(
        name="tokenizer",
        work=train,
        units=_one_unit(list(clean.values())),
        reads=tuple(clean.values()),
        settings={
            "vocab": settings.vocab,
            "sample": settings.sample,
            "shares": recipe.shares,
            "holdout": recipe.packing.holdout,
        },
        suffix=".json",
        finish=_publish,
    )


def _publish(folder: Path, infos: Sequence[dict[str, Any]]) -> None:
    from pipeline.tokenizer import publish

    publish(folder, infos)


def _pack(recipe: Recipe, source: str, context: int, clean: Stage, tokenizer: Stage) -> Stage:
    """Rows of at most `context` tokens from the documents that are not held out."""
    return _rows(recipe, pack_name(source, context), source, context, clean, tokenizer, training=True)


def _held_out(recipe: Recipe, source: str, clean: Stage, tokenizer: Stage) -> Stage:
    """Rows of the held-out documents, at the shortest context, so that all phases are measured alike."""
    return _rows(recipe, held_out_name(source), source, recipe.contexts[0], clean, tokenizer, training=False)


def _rows(
    recipe: Recipe, name: str, source: str, context: int, clean: Stage, tokenizer: Stage, *, training: bool
) -> Stage:
    settings: dict[str, Any] = {
        "context": context,
        "shortest": recipe.packing.shortest,
        "holdout": recipe.packing.holdout,
        "seed": recipe.seed,
        "training": training,
    }

    def work(workspace: Path) -> Work:
        from packing.stage import pack_documents

        return partial(
            pack_documents,
            tokenizer=workspace / tokenizer.name / "tokenizer.json",
            source=source,
            **settings,
        )

    def units(workspace: Path) -> list[Unit]:
        from packing.stage import row_groups

        return group(row_groups(stage_files(workspace, clean)), recipe.packing.unit)

    def finish(folder: Path, infos: Sequence[dict[str, Any]]) -> None:
        from packing.stage import index

        index(folder, infos)

    return Stage(
        name=name,
        work=work,
        units=units,
        reads=(clean, tokenizer),
        settings={**settings, "unit": recipe.packing.unit},
        suffix=".mds",
        finish=finish,
    )


def stage_files(workspace: Path, stage: Stage) -> list[Path]:
    """The files of a signed stage, by unit number."""
    record = Record.signed(workspace, stage)
    return [workspace / stage.name / f"{number:05}{stage.suffix}" for number in range(record.units)]


def _pieces(workspace: Path, stage: Stage) -> list[Piece]:
    files = stage_files(workspace, stage)
    return [Piece(path=str(path), name=path.name, size=path.stat().st_size) for path in files]


def _same_units(earlier: Stage) -> Callable[[Path], list[Unit]]:
    """One unit for each file of an earlier stage, with its number."""
    return lambda workspace: [Unit(number, (piece,)) for number, piece in enumerate(_pieces(workspace, earlier))]


def _one_unit(earlier: Sequence[Stage]) -> Callable[[Path], list[Unit]]:
    """All files of earlier stages as one unit."""
    return lambda workspace: [Unit(0, tuple(piece for stage in earlier for piece in _pieces(workspace, stage)))]
