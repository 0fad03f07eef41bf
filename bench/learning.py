"""Learning is real: held-out bits per byte of a trained model, source by source, beside what counting guesses.

    python bench/learning.py [RECIPE] [--threads 2] [--least 0.1]

The recipe's training is carried out as it stands. Then the same hidden tokens of the same held-out rows are guessed by
their frequency in all training rows (those of the source or those of all sources, whichever guesses better), and by
the token to their left (bigrams, smoothed). Both know the masks' rule (bench/proofs/baselines.py). Ends with 1 unless
the model needs at least the share `--least` fewer bits than frequencies do, in every source.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.proofs.baselines import Asked, Counts, by_frequency, by_left
from bench.proofs.curves import Point, held_out
from bench.proofs.figure import drawn
from bench.proofs.prepared import ended, fresh, options, prepared
from packing.encode import Encoder
from packing.shards import Shards
from train.batches import Microbatch, lay
from train.job import Job
from train.masking import Words, key_of, words_of
from train.metrics import console_line


@dataclass(frozen=True, kw_only=True)
class Guessed:
    """Bits per byte of one source's hidden tokens."""

    tokens: int
    frequency: float
    left: float
    model: float

    @property
    def margin(self) -> float:
        """Share of the bits by frequency that the model saves."""
        return 1 - self.model / self.frequency


def asked_of(job: Job, words: Words, source: str) -> Microbatch:
    """What train.evaluate asks of a source at the first of its rates: all its rows at once."""
    settings, held = job.settings.evaluate, Shards(job.heldout[source])
    numbers = np.arange(min(settings.rows, len(held)))
    return lay(held.rows(numbers), numbers, rate=settings.masks[0], words=words, key=key_of("evaluate", source))


def guessed(job: Job, scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Guessed]:
    """Source -> its bits. Raises RuntimeError where something else was asked of the model."""
    words, size = words_of(job.tokenizer), Encoder(job.tokenizer).token_bytes()
    training: dict[str, list[Shards]] = {}
    for (source, _), folder in sorted(job.shards.items()):
        training.setdefault(source, [Shards(folder)])
    everything = Counts.of([rows for of in training.values() for rows in of], words)
    found = {}
    for source, by_rate in sorted(scores.items()):
        score = next(iter(by_rate.values()))
        asked, own = Asked.of([asked_of(job, words, source)]), Counts.of(training[source], words)
        length = int(size[asked.labels].sum())
        if (len(asked.labels), length) != (score["guessed"], score["bytes"]):
            raise RuntimeError(f"{source}: the model was asked something else")
        frequency, left = (
            min(float(rule(asked, counts, words).sum()) / length for counts in (own, everything))
            for rule in (by_frequency, by_left)
        )
        model = float(score["bits_per_byte"])
        found[source] = Guessed(tokens=len(asked.labels), frequency=frequency, left=left, model=model)
    return found


def show(found: Mapping[str, Guessed], evaluations: Sequence[Point], path: Path) -> None:
    names = sorted(found, key=lambda name: -found[name].frequency)
    with drawn(path, columns=2, height=3.8) as (bars, curves):
        for at, name in enumerate(reversed(names)):
            one = found[name]
            bars.plot([one.model, one.frequency], [at, at], color="0.8", zorder=1)
            for value, colour, mark in (
                (one.frequency, "tab:gray", "|"),
                (one.left, "tab:orange", "x"),
                (one.model, "tab:blue", "o"),
            ):
                bars.plot(value, at, mark, color=colour, markersize=7)
        bars.set_yticks(range(len(names)), names[::-1])
        bars.set_xlabel("held-out bits per byte: | frequency, × left neighbour, ● model")
        bars.set_xlim(left=0)
        for name in names:
            tokens = [point.tokens / 1e6 for point in evaluations]
            curves.plot(tokens, [point.bits[name] / found[name].frequency for point in evaluations], ".-", label=name)
        curves.axhline(1, color="tab:gray", linestyle="--")
        curves.set_xlabel("million tokens")
        curves.set_ylabel("bits / bits by frequency")
        curves.legend(ncols=2)


def main() -> None:
    parser = options(__doc__, "learning")
    parser.add_argument("--least", type=float, default=0.1, help="share of the bits that has to be saved")
    chosen = parser.parse_args()
    recipe, job = prepared(chosen.recipe, chosen.work)
    job = replace(job, folder=fresh(chosen.work / f"learning-{recipe.name}"), threads=chosen.threads)
    began, spent = time.perf_counter(), time.process_time()
    result = ended(job, notify=_told)
    minutes = [(time.perf_counter() - began) / 60, (time.process_time() - spent) / 60]
    shape, vocab = job.shape, Encoder(job.tokenizer).vocab_size
    size = f"{shape.layers} layers of {shape.hidden}, {vocab:,} ids, {shape.parameters(vocab):,} parameters"
    took = f"{minutes[0]:.1f} minutes, {minutes[1]:.1f} of CPU, {chosen.threads} thread(s)"
    print(f"{recipe.name}: {size}; {result.tokens:,} tokens in {took}\n")
    assert result.evaluation, "the last step is always evaluated"
    found = guessed(job, result.evaluation)
    print(
        f"{'bits per byte':12} {'hidden':>8} {'frequency':>10} {'left':>8} {'model':>8}   fewer than by frequency, left"
    )
    for name, one in found.items():
        saved = f"{one.margin:23.1%} {1 - one.model / one.left:8.1%}"
        print(f"{name:12}  {one.tokens:8,} {one.frequency:10.3f} {one.left:8.3f} {one.model:8.3f} {saved}")
    show(found, held_out(job), chosen.figure)
    if short := [name for name, one in found.items() if one.margin < chosen.least]:
        sys.exit(f"less than {chosen.least:.0%} saved: {', '.join(short)}")


def _told(record: Mapping[str, Any]) -> None:
    if record["kind"] != "step" or record["step"] % 100 == 0:
        print(f"  {console_line(record)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
