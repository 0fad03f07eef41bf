"""The training that a recipe asks for -> the tables of `bertmill plan` about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from recipes import needs
from recipes.estimate import short, size, vocabulary
from recipes.recipe import Recipe
from recipes.supply import Outlook
from train.phase import Phase
from train.rate import FLOOR
from train.schedule import Schedule

GPUS = (1, 8, 64)
"""Numbers of GPUs for which the hours are told."""


def phases(recipe: Recipe) -> list[list[str]]:
    """One row a phase: how long, in which steps, at which rate, with which settings; headed."""
    schedule, optimizer = Schedule(recipe.train), recipe.train.optimizer
    rows = [
        ["phase", "tokens", "context", "rows", "steps", "batch", "warm-up", "peak", "constant", "decay", "end",
         "weight decay", "mask", "rope", "local"]
    ]  # fmt: skip
    for at, phase in enumerate(recipe.train.phases):
        peak = phase.peak or optimizer.peak
        step = schedule.step_with(schedule.starts[at])
        rows.append(
            [phase.name, short(phase.length), str(phase.context), short(phase.rows), short(schedule.steps_of(at)),
             str(recipe.train.batch_rows(phase)), *_rate(phase, peak), f"{step.weight_decay:g}", f"{phase.mask:g}",
             f"{phase.rope:g}", f"{phase.local_rope:g}"]
        )  # fmt: skip
    return rows


def _rate(phase: Phase, peak: float) -> list[str]:
    """Warm-up, peak, constant, decay and end of a phase's rate; a dash for what there is not."""
    told = dict.fromkeys(("warm-up", "constant", "decay"), "-")
    for segment in phase.rate.segments:
        told[segment.kind] = short(segment.last - segment.first)
        if segment.kind == "warm-up" and segment.begins != FLOOR:
            told[segment.kind] += f" from {segment.begins * peak:.3g}"
        if segment.kind == "decay":
            told[segment.kind] = f"{segment.shape} {told[segment.kind]}"
    return [told["warm-up"], f"{peak:g}", told["constant"], told["decay"], f"{phase.rate.at(phase.length) * peak:.3g}"]


def mixes(recipe: Recipe) -> list[list[str]]:
    """One row a source: its share of each phase; headed."""
    return [
        ["mix", *(phase.name for phase in recipe.train.phases)],
        *(
            [name, *(f"{phase.shares[name]:.1%}" if phase.shares.get(name) else "-" for phase in recipe.train.phases)]
            for name in sorted(recipe.sources)
        ),
    ]


def lines(found: Outlook) -> list[str]:
    """Batches, parameters, memory, hours, checkpoints and disk, each in a line."""
    recipe = found.planned
    train, vocab = recipe.train, vocabulary(recipe)
    decayed = [group for group in needs.parameter_groups(recipe) if group.decays]
    others = [group for group in needs.parameter_groups(recipe) if not group.decays]
    hours = ", ".join(f"{_hours(needs.hours(recipe, gpus))} on {gpus}" for gpus in GPUS)
    shared = "on each GPU" if train.parallel == "ddp" else "shared out over the GPUs"
    made, one = needs.saves(train), needs.checkpoint(recipe)
    going = f", of which the newest {train.keep} stay" if train.keep and train.keep < made.falling else ""
    falling = f", {made.falling} more while the rate falls{going}" if made.falling else ""
    resume = f", one to go on from every {short(train.resume_every)} tokens" if train.resume_every else ""
    return [
        *_warming(recipe),
        f"  model       {short(recipe.model.parameters(vocab))} parameters, vocabulary {vocab}",
        f"  decayed     {_told(decayed)}; not: {_told(others)}",
        f"  memory      {size(needs.memory(recipe))} for weights, gradients and moments, {shared}; activations aside",
        f"  arithmetic  {needs.flops(recipe):.2e} FLOPs; hours at the rate of ModernBERT's own run, "
        f"{needs.UTILISATION:.0%} of an H100's: {hours}",
        f"  saves       {made.products} that stay{falling}{resume}: {size(one)} each",
        f"  evaluation  {needs.evaluations(train)} times",
        f"  disk        about {size(needs.disk(found))}, checkpoints included",
    ]


def _told(groups: Any) -> str:
    return ", ".join(f"{group.name} {short(group.parameters)} in {group.tensors}" for group in groups)


def _hours(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"


def _warming(recipe: Recipe) -> list[str]:
    """The levels of the batch warm-up."""
    *levels, full = Schedule(recipe.train).levels(0)
    if not levels:
        return []
    context = recipe.train.phases[0].context
    tokens = sum(level.rows * level.steps for level in levels) * context
    return [
        f"  batch       {levels[0].rows} rows, then {levels[0].rows} more after each {levels[0].steps} steps, up to "
        f"{full.rows} from step {sum(level.steps for level in levels)} on ({short(tokens)} tokens)"
    ]


def in_numbers(recipe: Recipe) -> list[dict[str, Any]]:
    """The phases for another program: settings, steps, sizes of batches, and the rate as segments."""
    schedule, optimizer = Schedule(recipe.train), recipe.train.optimizer
    return [
        {
            **asdict(phase),
            "rows": phase.rows,
            "steps": schedule.steps_of(at),
            "begins": schedule.tokens(schedule.starts[at]),
            "weight_decay": schedule.step_with(schedule.starts[at]).weight_decay,
            "batches": [asdict(level) for level in schedule.levels(at)],
            "rate": [
                {
                    "kind": segment.kind,
                    "shape": segment.shape,
                    "tokens": [segment.first, segment.last],
                    "lr": [share * (phase.peak or optimizer.peak) for share in (segment.begins, segment.ends)],
                }
                for segment in phase.rate.segments
            ],
        }
        for at, phase in enumerate(recipe.train.phases)
    ]
