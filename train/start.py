"""A start -> the weights (and moments) of a fresh model: taken as they are, tiled, or moved to another vocabulary."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from model import tile
from model.bert import Bert
from model.extend import over, rows_of_parts
from model.settings import Shape
from pipeline.extension import read_parts
from pipeline.tokenizer import TokenizerError
from train.optimizer import StableAdamW
from train.parents import Parent, StartError, ids_of, open_parent, print_of_parent, tokenizer_of
from train.settings import Start
from train.sharded import fill, piece

__all__ = ["StartError", "begin", "check", "print_of"]

UNTOLD = ("dropout", "init_std")
"""Of a shape: what shapes no tensor and no result, so that it may differ."""

OVER_WORDS = ("model.embeddings.tok_embeddings.weight", "decoder.bias")
"""The tensors with one row a word."""


def begin(
    start: Start,
    model: Bert,
    optimizer: StableAdamW,
    tokenizer: Path,
    rope: tuple[float, float] | None = None,
) -> str:
    """Fill the model's weights, and the optimizer's moments and count, in place -> what was done, in a line.

    tokenizer   the training's tokenizer.json; `parts.json` beside it tells of what an extended one's pieces are made
    rope        bases of global and local layers in the first phase: told where the start was trained with others

    The result depends on nothing but these: calling it again gives the same, whatever was learned in between. Raises
    StartError for a start that is not there, is broken, or does not fit (see `check`).
    """
    parent = open_parent(Path(start.from_), trust_pickle=start.trust_pickle)
    larger = _larger(parent, model.shape)
    words = _words(parent, tokenizer, model.vocab, start.shared)
    keeps = _keeps(start, parent, whole=not larger and words.rows is None)
    weights = parent.weights()
    if larger:
        weights = tile.tile(weights, parent.shape, model.shape, start.layers)
    told = [_told_tiled(parent.shape, model.shape, start)] if larger else []
    if words.rows is not None:
        weights |= {name: over(weights[name], words.rows) for name in OVER_WORDS}
        told += [words.told] if words.told else []
    try:
        _put(model, weights)
        told.append(_moments(optimizer, parent if keeps else None))
    except ValueError as fault:
        raise StartError(f"{parent.path}: is damaged ({fault}); take another one") from None
    if rope and rope != parent.thetas:
        (theirs, theirs_local), (ours, ours_local) = parent.thetas, rope
        told.append(
            f"RoPE bases were {theirs:g} and {theirs_local:g}, are {ours:g} and {ours_local:g} in the first phase"
        )
    return f"started from {parent.path}: {'; '.join(told)}"


def check(start: Start, shape: Shape, tokenizer: Path | None) -> None:
    """Raise StartError unless a model of this shape can start so; compares the bytes of a checkpoint of ours.

    tokenizer   the one that the recipe takes or extends; None where it trains one of its own
    """
    parent = open_parent(Path(start.from_), trust_pickle=start.trust_pickle)
    _fit(start, parent, shape, tokenizer)
    if parent.compare:
        parent.compare()


def _fit(start: Start, parent: Parent, shape: Shape, tokenizer: Path | None) -> None:
    larger = _larger(parent, shape)
    if tokenizer is None:
        parent.words()
        if start.shared > 0:
            raise StartError(
                f"{parent.path}: its tokens are not those of the tokenizer that the recipe trains; write tokenizer: "
                "{from: ...} with the start's own tokenizer.json, or start: {shared: 0} to begin the new ones anew"
            )
        return
    size = ids_of(tokenizer_of(content_of(tokenizer), tokenizer))
    words = _words(parent, tokenizer, size, start.shared)
    _keeps(start, parent, whole=not larger and words.rows is None)


def print_of(start: Start) -> str:
    """16 hex digits that change whenever the weights would begin as others: a run's identity has it."""
    parent = print_of_parent(Path(start.from_), moments=start.optimizer != "fresh")
    return hashlib.sha256(json.dumps([parent, start.optimizer, start.layers]).encode()).hexdigest()[:16]


def _larger(parent: Parent, shape: Shape) -> bool:
    """Whether the start must be tiled. Raises StartError for shapes that do not go together."""
    told = [field.name for field in fields(Shape) if field.name not in UNTOLD]
    if all(getattr(parent.shape, name) == getattr(shape, name) for name in told):
        return False
    try:
        tile.check(parent.shape, shape)
    except ValueError as fault:
        raise StartError(f"{parent.path}: cannot become the recipe's model: {fault}") from None
    return True


def _keeps(start: Start, parent: Parent, *, whole: bool) -> bool:
    """Whether the moments go on, which needs all tensors as they were."""
    if start.optimizer == "keep" and not whole:
        raise StartError(
            f"{parent.path}: its moments are of another shape or vocabulary; write start: {{optimizer: fresh}}"
        )
    if start.optimizer == "keep" and parent.moments is None:
        raise StartError(f"{parent.path}: has no optimizer's state; write start: {{optimizer: fresh}}")
    return start.optimizer == "keep" or (
        start.optimizer is None and whole and parent.ours and parent.moments is not None
    )


class _Words(NamedTuple):
    """How rows of words are moved to the training's vocabulary."""

    rows: Sequence[Sequence[int]] | None
    """For each new id the old ids that it begins as; None where all stay as they are."""
    told: str = ""


def _words(parent: Parent, path: Path, size: int, shared: float) -> _Words:
    """By token where the tokenizers are equal, by `parts.json` where the new one extends the old, else by content."""
    old, new = parent.words(), tokenizer_of(content_of(path), path)
    theirs, ours = (one.get_vocab(with_added_tokens=True) for one in (old, new))
    if theirs == ours:
        return _Words(None if parent.vocab == size else [(id_,) for id_ in range(size)])
    parts = path.with_name("parts.json")
    if parts.is_file() and theirs.items() <= ours.items():
        try:
            rows = rows_of_parts(read_parts(parts)[1], ids_of(old), size)
        except (TokenizerError, ValueError) as fault:
            raise StartError(f"{parts}: does not belong to {path} and {parent.path} ({fault})") from None
        return _Words(rows, _told_rows(rows))
    rows = _by_content(old, new, size)
    specials = new.get_added_tokens_decoder()
    plain = [id_ for token, id_ in ours.items() if id_ not in specials]
    known = sum(new.id_to_token(id_) in theirs for id_ in plain) / max(len(plain), 1)
    if known < shared:
        raise StartError(
            f"{parent.path}: knows {known:.1%} of the tokens of {path}, not {shared:.0%}; take its own tokenizer, or "
            f"write start: {{shared: {int(known * 100) / 100:g}}} to begin the others anew"
        )
    return _Words(rows, _told_rows(rows))


def _by_content(old: Tokenizer, new: Tokenizer, size: int) -> list[Sequence[int]]:
    """A token that both have keeps its row, special ones too; another begins as what the old tokenizer cuts it into."""
    theirs, specials = old.get_vocab(with_added_tokens=True), new.get_added_tokens_decoder()
    rows: list[Sequence[int]] = [()] * size
    for token, id_ in new.get_vocab(with_added_tokens=True).items():
        if token in theirs:
            rows[id_] = (theirs[token],)
        elif id_ not in specials:
            rows[id_] = [piece.id for piece in old.model.tokenize(token)]
    return rows


def _told_rows(rows: Sequence[Sequence[int]]) -> str:
    kept, cut = sum(len(ids) == 1 for ids in rows), sum(len(ids) > 1 for ids in rows)
    return (
        f"of {len(rows)} tokens {kept} keep their row, {cut} begin as the mean of their parts, "
        f"{len(rows) - kept - cut} as the mean of all"
    )


def _told_tiled(small: Shape, large: Shape, start: Start) -> str:
    sizes = (f"{shape.layers} layers of {shape.hidden}" for shape in (small, large))
    return "tiled from {} to {}, {}".format(*sizes, start.layers)


@torch.no_grad()
def _put(model: Bert, weights: Mapping[str, Tensor]) -> None:
    """Raises ValueError naming a tensor that is missing, foreign or of another shape."""
    own = dict(model.named_parameters())
    if strangers := sorted(own.keys() ^ weights.keys()):
        raise ValueError(f"{len(strangers)} tensors of the model do not match, first {strangers[0]}")
    for name, tensor in own.items():
        try:
            fill(tensor, weights[name])
        except ValueError as fault:
            raise ValueError(f"{name} has {fault}") from None


def _moments(optimizer: StableAdamW, parent: Parent | None) -> str:
    """Go on with the parent's, or begin anew, whatever the optimizer has done before."""
    if parent is not None and parent.moments is not None:
        moments, updates = parent.moments()
        optimizer.load(moments, updates)
        return f"the optimizer's moments go on after {updates} steps"
    for tensor in optimizer.state().values():
        piece(tensor).zero_()
    optimizer.t = 0
    return "fresh moments"


def content_of(tokenizer: Path) -> str:
    """Raises StartError where it cannot be read."""
    try:
        return tokenizer.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise StartError(f"{tokenizer}: cannot be read ({fault})") from None
