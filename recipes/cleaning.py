"""Stages: raw files -> documents -> the ones worth training on."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.lists import named, stamps_of
from pipeline.filters.settings import WebFilters
from pipeline.handover import same_units
from pipeline.settings import Source
from pipeline.stage import Stage
from pipeline.units import InputError, find_source, group, stamps

if TYPE_CHECKING:
    from pipeline.stage import Work


def ingested(name: str, source: Source, unit: int) -> Stage:
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


def filtered(name: str, source: Source, before: Stage) -> Stage:
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
        units=same_units(before),
        reads=(before,),
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
