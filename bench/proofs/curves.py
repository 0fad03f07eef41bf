"""The records of a training -> its curves."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import NamedTuple

from train.job import Job
from train.metrics import read_metrics


class Point(NamedTuple):
    """One evaluation of held-out text."""

    step: int
    tokens: int
    bits: Mapping[str, float]
    """Source -> bits per byte, at the first of the rates of masking."""

    @property
    def mean(self) -> float:
        """Over the sources, each as much as any other."""
        return fmean(self.bits.values())


def losses(job: Job) -> list[float]:
    """Of every step of the training, in nats."""
    return [one["loss"] for one in read_metrics(job.metrics) if one["kind"] == "step"]


def held_out(job: Job) -> list[Point]:
    records = [one for one in read_metrics(job.metrics) if one["kind"] == "evaluation"]
    return [
        Point(one["step"], one["tokens"], {name: _first(of) for name, of in one["sources"].items()}) for one in records
    ]


def _first(by_rate: Mapping[str, Mapping[str, float]]) -> float:
    return next(iter(by_rate.values()))["bits_per_byte"]
