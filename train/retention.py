"""Which checkpoints stay: those of stable stretches for ever, of a decay the last few, and one more to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

from train.schedule import Schedule, Step
from train.settings import Train

Kept = Literal["product", "decay", "resume"]
"""product  from a stretch without decay, or its end, or that of a phase: others may begin here, so it stays for ever
decay    from the midst of a decay: of these the newest few stay (`keep`)
resume   only to go on from: of these the newest one stays, and none once the run has ended"""


T = TypeVar("T")


def kept_as(schedule: Schedule, step: Step, settings: Train) -> Kept | None:
    """What the checkpoint after this step is for; None: there is to be none."""
    if schedule.ends_a_phase(step) or schedule.before_a_decay(step):
        return "product"
    if schedule.passes(step, settings.save_every):
        return "product" if schedule.stable(step) else "decay"
    if settings.resume_every is not None and schedule.passes(step, settings.resume_every):
        return "resume"
    return None


def superseded(standing: Mapping[T, tuple[int, Kept, bool]], keep: int | None) -> list[T]:
    """The checkpoints that may go, the oldest first. The newest of all never may.

    standing  checkpoint -> (its step, what it is for, whether the run ended there)
    keep      checkpoints of decays that stay; None: all
    """
    newest_first = sorted(standing, key=lambda one: standing[one][0], reverse=True)
    decay, resume = ([one for one in newest_first if standing[one][1] == kind] for kind in ("decay", "resume"))
    ended = any(finished for _, _, finished in standing.values())
    going = {*decay[len(decay) if keep is None else keep :], *resume[0 if ended else 1 :]}
    return [one for one in reversed(newest_first[1:]) if one in going]
