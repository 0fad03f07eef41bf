"""A recipe -> what its training will need: arithmetic, memory, checkpoints. Nothing is read, no step walked through."""

from __future__ import annotations

from typing import NamedTuple

from model.tensors import Group, groups, tensors
from recipes.estimate import vocabulary
from recipes.recipe import Recipe
from recipes.supply import BYTES_PER_TOKEN, Outlook
from train.schedule import Schedule
from train.settings import Train

MODEL_FLOPS = 253e12
"""Model FLOP/s of ModernBERT-base's own run on one H100 (1.719T tokens in 194 hours on 8 of them)."""

UTILISATION = MODEL_FLOPS / 989.4e12
"""The same as a share of what an H100 SXM can do (dense bfloat16 products, by NVIDIA's data sheet)."""

WEIGHT = 4
"""Bytes of a weight, of its gradient and of each of its two moments: all are float32."""


class Saves(NamedTuple):
    """Checkpoints that a run makes, but for those that only serve to go on from."""

    products: int
    """From stretches without decay, before a decay, and at ends of phases: all of them stay."""
    falling: int
    """From the midst of decays: the newest few stay."""


def saves(settings: Train) -> Saves:
    """How many checkpoints of each kind train.retention will ask for."""
    schedule, every = Schedule(settings), settings.save_every
    products = falling = 0
    for at, phase in enumerate(settings.phases):
        begins, clock = schedule.tokens(schedule.starts[at]), 0
        falls = phase.rate.falls_from
        levels = schedule.levels(at)
        for number, level in enumerate(levels):
            size, steps = level.rows * phase.context, level.steps - (number == len(levels) - 1)  # the last: below
            stable = min(steps, max(0, (falls - clock) // size + 1))
            border = begins + clock + stable * size
            products += _passing(begins + clock, stable, size, every)
            falling += _passing(border, steps - stable, size, every)
            if 0 < falls < phase.length and stable and falls < clock + stable * size <= falls + size:
                products += not _passing(border - size, 1, size, every)  # before the rate falls
            clock += steps * size
        products += 1  # the end of the phase
    return Saves(products, falling)


def _passing(clock: int, steps: int, size: int, every: int) -> int:
    """How many of these steps, `size` tokens each, pass a multiple of `every` tokens."""
    return steps if size >= every else (clock + steps * size) // every - clock // every


def evaluations(settings: Train) -> int:
    """How often held-out rows are looked at: at each save, or as often as asked and at the end."""
    schedule, every = Schedule(settings), settings.evaluate.every
    if every is None:
        return sum(saves(settings))
    total, last = schedule.tokens(schedule.total), schedule.step_with(schedule.total - 1)
    passed = 0
    for at, phase in enumerate(settings.phases):
        clock = schedule.tokens(schedule.starts[at])
        end = clock + phase.rows * phase.context
        for level in schedule.levels(at):
            size = level.rows * phase.context
            steps = min(level.steps, (end - clock) // size)
            passed += _passing(clock, steps, size, every) + (
                steps < level.steps and end // every > (clock + steps * size) // every
            )
            clock += level.steps * size
    return passed + (not total // every > last.tokens // every)


def kept(settings: Train) -> int:
    """Checkpoints that stand at the same time, at the most: one that is being written counts."""
    made = saves(settings)
    falling = made.falling if settings.keep is None else min(made.falling, settings.keep)
    return made.products + falling + (settings.resume_every is not None) + 1


def checkpoint(recipe: Recipe) -> int:
    """Bytes of one: weights, two moments, and the mean of the weights if there is one."""
    return (3 + (recipe.train.average is not None)) * WEIGHT * recipe.model.parameters(vocabulary(recipe))


def memory(recipe: Recipe) -> int:
    """Bytes of weights, gradients and moments; what a forward pass holds for the backward one comes on top."""
    return (4 + (recipe.train.average is not None)) * WEIGHT * recipe.model.parameters(vocabulary(recipe))


def parameter_groups(recipe: Recipe) -> tuple[Group, ...]:
    """What the optimizer decays, and what it does not."""
    return groups(tensors(recipe.model, vocabulary(recipe)))


def flops(recipe: Recipe) -> int:
    """Floating-point operations of the whole training, each row counted as one document."""
    total, vocab = 0, vocabulary(recipe)
    for phase in recipe.train.phases:
        masked = round(phase.mask * phase.context)
        total += phase.rows * recipe.model.training_flops([phase.context], masked, vocab)
    return total


def hours(recipe: Recipe, gpus: int) -> float:
    """Of H100s at the utilisation of ModernBERT's own run."""
    return flops(recipe) / MODEL_FLOPS / gpus / 3600


def disk(outlook: Outlook) -> int:
    """Bytes the work folder will take, about: documents in zstd Parquet at each stage, rows, and checkpoints."""
    recipe, dedup = outlook.recipe, outlook.recipe.dedup
    later = (dedup.lines, dedup.substrings, recipe.decontaminate, recipe.packing.holdout_apart)
    times = 3 + sum(map(bool, later))
    texts = [outlook.known[name].tokens for name in recipe.texts]
    documents = sum(times * tokens * BYTES_PER_TOKEN // 3 for tokens in texts)  # zstd 3 to 1
    wide = 2 if vocabulary(recipe) <= 65_535 else 4
    streams = [stream for supply in outlook.supplies.values() for stream in supply.streams.values()]
    rows = sum(int(stream.tokens * wide * 1.02) for stream in streams)
    return documents + rows + kept(recipe.train) * checkpoint(recipe)
