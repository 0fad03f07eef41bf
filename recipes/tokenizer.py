"""Stages: a sample of the documents of all sources -> counts of its words -> a tokenizer; or an existing one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.handover import one_unit, same_units
from pipeline.stage import Record, Stage
from pipeline.units import Unit, find, stamps
from recipes.recipe import Recipe
from recipes.settle import settled_by_run, shares

if TYPE_CHECKING:
    from pipeline.stage import Work


ADVICE = (
    "The tokenizer's sample is drawn by the shares of the mixture: to change that and keep the tokenizer, and a "
    "training that has begun, write `remix` (docs/order.md), or name a copy of its tokenizer.json in `tokenizer.from`."
)


def tokenizer(recipe: Recipe, clean: Mapping[str, Stage]) -> list[Stage]:
    """The stages in order, the last of which is the tokenizer: trained on a sample drawn by the shares of the mixture,
    an existing one with more pieces learned on it, or an existing one as it is."""
    settings = recipe.tokenizer
    if settings.from_ is not None and not settings.extend:
        return [_taken(settings.from_)]
    counted = [_words(recipe, name, clean) for name in clean if recipe.shares[name]]
    return [*counted, _extended(recipe, counted) if settings.from_ else _trained(recipe, counted)]


def _taken(path: str) -> Stage:
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


def _words(recipe: Recipe, name: str, clean: Mapping[str, Stage]) -> Stage:
    """How often each word occurs in the sample of a source."""
    path, own = recipe.tokenizer.from_, clean[name]

    def work(workspace: Path) -> Work:
        from pipeline.extension import words_of
        from pipeline.word_counts import count_words

        size = Record.signed(workspace, own).counts["bytes_out"]
        share = recipe.tokenizer.sample * settled_by_run(recipe, clean, workspace).shares[name]
        literals, nfc = words_of(Path(path) if path else None)
        rate = min(1.0, share / size) if size else 0.0
        return partial(count_words, rate=rate, holdout=recipe.packing.holdout, literals=literals, nfc=nfc)

    return Stage(
        name=f"words/{name}",
        work=work,
        units=same_units(own),
        reads=(own, *shares(recipe, clean)),
        settings={"sample": round(recipe.tokenizer.sample * recipe.shares[name]), "holdout": recipe.packing.holdout},
        inputs=_stamps(path),
        suffix=".arrow",
        advice=ADVICE,
    )


def _trained(recipe: Recipe, counted: Sequence[Stage]) -> Stage:
    vocab = recipe.tokenizer.vocab

    def work(_: Path) -> Work:
        from pipeline.tokenizer import train_tokenizer

        return partial(train_tokenizer, vocab=vocab)

    return _made(work, counted, {"vocab": vocab}, None)


def _extended(recipe: Recipe, counted: Sequence[Stage]) -> Stage:
    path, extend = recipe.tokenizer.from_ or "", recipe.tokenizer.extend

    def work(_: Path) -> Work:
        from pipeline.extension import extend_tokenizer

        return partial(extend_tokenizer, tokenizer=Path(path).absolute(), pieces=extend)

    return _made(work, counted, {"from": Path(path).name, "extend": extend}, path)


def _made(work: Any, counted: Sequence[Stage], settings: Mapping[str, Any], path: str | None) -> Stage:
    return Stage(
        name="tokenizer",
        work=work,
        units=one_unit(counted),
        reads=tuple(counted),
        settings=settings,
        inputs=_stamps(path),
        suffix=".json",
        finish=_publish,
    )


def _stamps(path: str | None) -> Any:
    return lambda: stamps(find([path])) if path else {}


def _publish(folder: Path, infos: Sequence[dict[str, Any]]) -> None:
    from pipeline.tokenizer import publish

    publish(folder, infos)
