"""What a mixture would do to its sources -> what to know of it; where it cannot be given, the nearest that can."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from packing.shares import quotas
from recipes.estimate import PlanError, short
from recipes.nearest import Limit, lacking, nearest
from recipes.recipe import Recipe
from recipes.supply import Outlook, Supply
from train.phase import Part, Phase

REPEATED = 4.0
"""Epochs up to which repeated text is about as good as new (Muennighoff et al. 2023, arXiv 2305.16264, section 5)."""

DIGITS = (4, 6, 9, 12)
"""Decimals of a proposal's shares: the fewest with which it stays within the limits."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The nearest mixture that the sources can give."""

    recipe: Recipe
    """The same recipe, with it."""
    mixes: Mapping[str, Mapping[str, float]]
    """The mixes that change, by the name of the phase; `<name>, remix <number>` for what takes over in it."""

    @property
    def lines(self) -> list[str]:
        """What to write into the recipe: `mix: {...}` is YAML."""
        width = max(map(len, self.mixes))
        return [f"  {name:{width}}   mix: {flow(mix)}" for name, mix in self.mixes.items()]


def flow(mix: Mapping[str, float]) -> str:
    """A mix as YAML has it in one line."""
    return "{" + ", ".join(f"{name}: {share:.12f}".rstrip("0") for name, share in mix.items()) + "}"


def check(outlook: Outlook) -> None:
    """Raise PlanError for what `packing.max_epochs` refuses, with the nearest mixture that it does not."""
    cap = outlook.recipe.packing.max_epochs
    lines = [
        f"{name} has {'' if supply.exact else 'about '}{short(supply.known.tokens)} tokens and would be read "
        f"{float(supply.epochs):.1f} times, more than max_epochs {cap:g}; "
        "add data, lower its share, or raise packing.max_epochs"
        for name, supply in outlook.supplies.items()
        if refused(outlook, supply)
    ]
    if lines:
        raise PlanError("\n".join([*lines, *_mend(outlook)]))


def refused(outlook: Outlook, supply: Supply) -> bool:
    """Whether a source is read too often; one that is estimated, by so much that the estimate cannot be the reason."""
    return supply.epochs > outlook.recipe.packing.max_epochs * supply.margin


def warnings(outlook: Outlook) -> list[str]:
    """A line for each source that is read more often than is worth it, or will be refused if its estimate holds."""
    cap = outlook.recipe.packing.max_epochs
    seen = {name: supply for name, supply in outlook.supplies.items() if not refused(outlook, supply)}
    lines = [
        f"{name} is read {'' if supply.exact else 'about '}{float(supply.epochs):.1f} times over the run; up to "
        f"{REPEATED:g} repeated text is about as good as new (Muennighoff et al. 2023), then worth less with each time"
        for name, supply in seen.items()
        if supply.epochs > REPEATED
    ]
    if over := [name for name, supply in seen.items() if supply.epochs > cap]:
        found = proposal(outlook)
        mend = "; ".join(line.strip() for line in found.lines) if found else ""
        lines.append(
            f"if the estimate holds, {' and '.join(over)} will be refused once packed (max_epochs {cap:g})"
            + (f". Nearest that can be given: {mend}" if mend else "")
        )
    return lines


def proposal(outlook: Outlook) -> Proposal | None:
    """The nearest mixture within `packing.max_epochs`; None if there is none, or the mixture is within it itself.

    A source that is estimated is held to `max_epochs` by its estimate if that can be, else to where it is refused.
    """
    cap = outlook.recipe.packing.max_epochs
    if all(supply.epochs <= cap for supply in outlook.supplies.values()):
        return None
    for margin in (False, True):
        for spare in (1, 0):  # a row for each mix, as rows are whole; where there is none to spare, without
            limits = list(_limits(outlook, margin=margin, spare=spare))
            if found := _within(outlook, limits, margin=margin):
                return found
    return None


def _within(outlook: Outlook, limits: Sequence[Limit], *, margin: bool) -> Proposal | None:
    """The nearest mixture within limits, rounded, and counted through as `plan` will count it."""
    parts = _parts(outlook)
    asked, lengths = _asked(outlook, parts), [float(part.rows * phase.context) for phase, part in parts]
    if not all(asked) or lacking(asked, lengths, limits) or (mixes := nearest(asked, lengths, limits)) is None:
        return None
    moved = {
        n
        for n, (_, part) in enumerate(parts)
        if any(abs(mixes[n].get(name, 0.0) - share) > 1e-9 for name, share in part.mix.items())
    }
    scarce = {limit.source for limit in limits if _binds(limit, mixes)}
    cap = outlook.recipe.packing.max_epochs
    for digits in DIGITS:
        rounded = [_rounded(mix, digits, scarce) if n in moved else parts[n][1].mix for n, mix in enumerate(mixes)]
        if digits < DIGITS[-1] and not all(share for n in moved for share in rounded[n].values()):
            continue  # a share that is too small to be written would be none
        after = replace(outlook, recipe=_with(outlook.planned, rounded))
        if all(supply.epochs <= cap * (supply.margin if margin else 1) for supply in after.supplies.values()):
            return Proposal(recipe=after.recipe, mixes={_labels(outlook)[n]: rounded[n] for n in sorted(moved)})
    return None


def _parts(outlook: Outlook) -> list[tuple[Phase, Part]]:
    """All mixes of the run, in order."""
    return [(phase, part) for phase in outlook.planned.train.phases for part in phase.mixes]


def _asked(outlook: Outlook, parts: Sequence[tuple[Phase, Part]]) -> list[dict[str, float]]:
    """The mixes as asked for, without sources of which there is nothing."""
    there = {
        (name, context)
        for name, supply in outlook.supplies.items()
        for context, stream in supply.streams.items()
        if stream.rows
    }
    mixes = [{name: a for name, a in part.mix.items() if a > 0 and (name, p.context) in there} for p, part in parts]
    return [{name: share / math.fsum(mix.values()) for name, share in mix.items()} for mix in mixes]


def _limits(outlook: Outlook, *, margin: bool, spare: int) -> Iterator[Limit]:
    """What `packing.max_epochs` says of each source: of each of its contexts, where these have documents of their own
    that no mixture changes."""
    parts, partition = _parts(outlook), outlook.recipe.packing.partition
    for name, supply in outlook.supplies.items():
        most = outlook.recipe.packing.max_epochs * (supply.margin if margin else 1)
        sizes: dict[int, float] = {context: stream.rows for context, stream in supply.streams.items() if stream.rows}
        if partition is True:  # in proportion to what is asked, so that all contexts are read equally often
            sizes = {context: supply.known.tokens / context for context in sizes}
        for group in [[context] for context in sizes] if isinstance(partition, Mapping) else [list(sizes)]:
            passes = {
                n: part.rows / sizes[phase.context]
                for n, (phase, part) in enumerate(parts)
                if phase.context in group and part.mix.get(name)
            }
            if passes:
                less = spare * len(passes) / min(sizes[context] for context in group)
                yield Limit(source=name, passes=passes, most=max(most - less, most / 2))


def _binds(limit: Limit, mixes: Sequence[Mapping[str, float]]) -> bool:
    read = math.fsum(passes * mixes[n].get(limit.source, 0.0) for n, passes in limit.passes.items())
    return read > limit.most * (1 - 1e-6)


def _rounded(mix: Mapping[str, float], digits: int, scarce: set[str]) -> dict[str, float]:
    """Shares of so many decimals that sum to 1, those of scarce sources rounded down where others can take the rest."""
    whole = 10**digits
    fixed = {name: int(share * whole) for name, share in mix.items() if name in scarce}
    others = [name for name in mix if name not in scarce] or list(mix)
    rest = whole - sum(fixed[name] for name in fixed if name not in others)
    weights = [Fraction(mix[name]) for name in others]
    units = fixed | dict(zip(others, quotas(rest, weights), strict=True))
    return {name: units[name] / whole for name in sorted(mix)}


def _with(recipe: Recipe, mixes: Sequence[Mapping[str, float]]) -> Recipe:
    """The recipe with these mixes, in the order of `_parts`."""
    rest = iter(mixes)
    phases = [
        replace(phase, mix=next(rest), remix=tuple(replace(remix, mix=next(rest)) for remix in phase.remix))
        for phase in recipe.train.phases
    ]
    return replace(recipe, train=replace(recipe.train, phases=tuple(phases)))


def _labels(outlook: Outlook) -> list[str]:
    """The mixes' names, in the order of `_parts`."""
    return [
        phase.name if number == 0 else f"{phase.name}, remix {number}"
        for phase in outlook.planned.train.phases
        for number in range(len(phase.mixes))
    ]


def _mend(outlook: Outlook) -> list[str]:
    """What to do about a mixture that is refused, in lines."""
    if found := proposal(outlook):
        return ["the nearest mixture that can be given; write it in place of what these phases have:", *found.lines]
    cap, parts = outlook.recipe.packing.max_epochs, _parts(outlook)
    lengths = [float(part.rows * phase.context) for phase, part in parts]
    lack = lacking(_asked(outlook, parts), lengths, list(_limits(outlook, margin=False, spare=0)))
    if lack is None:
        return ["no mixture of the same sources is within max_epochs"]
    names = list(dict.fromkeys(parts[n][0].name for n in lack.phases))
    mend = f"or raise packing.max_epochs to {math.ceil(cap * lack.asked / lack.given)}" if lack.given else ""
    return [
        f"no mixture of the same sources can be given: {' and '.join(names)} ask for {short(lack.asked)} tokens, and "
        f"at max_epochs {cap:g} all sources that they draw from give {short(lack.given)}; shorten the phases, add "
        f"data, {mend or 'or draw from other sources'}"
    ]
