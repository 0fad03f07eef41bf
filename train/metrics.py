"""What happened -> one JSON line a step, each step once however often the run was stopped; and lines for people."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import orjson

from pipeline.files import write_atomically

Record = Mapping[str, Any]

LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


class Metrics:
    """The file of a run's records, each with a `kind` and the number of steps done by then.

    Opened where a run goes on after `step` steps: what was recorded past them is taken out, for these steps come again,
    and so is a line that a kill or a full disk has torn.
    """

    def __init__(self, path: Path, step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = self._cut(step)

    def _cut(self, step: int) -> FileIO:
        if self._path.exists():
            lines = self._path.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if _is_before(line, step)]
            if len(kept) < len(lines):
                write_atomically(self._path, b"".join(kept))
        return FileIO(self._path, "a")  # unbuffered: a fault belongs to the record that was just written

    def write(self, record: Record) -> None:
        """Add a line; numbers that are none (nan, inf) become null. Raises OSError, naming the file."""
        line = memoryview(orjson.dumps(record, option=LINE))
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as fault:
            raise OSError(fault.errno, fault.strerror, str(self._path)) from None

    def rewind(self, step: int) -> None:
        """Go on after `step` steps: what was recorded past them is taken out."""
        self._file.close()
        self._file = self._cut(step)

    def sync(self) -> None:
        """Make what was written outlive a power cut."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _is_before(line: bytes, step: int) -> bool:
    try:
        return line.endswith(b"\n") and bool(orjson.loads(line)["step"] <= step)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return False


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole records of a run, first to last."""
    lines = path.read_bytes().splitlines(keepends=True)
    return [orjson.loads(line) for line in lines if line.endswith(b"\n")]


def console_line(record: Record) -> str:
    """One record for people, in a line; with texts that were filled in, a line more for each.

    learn  step 1,200  12.3 %  1.2B tokens  loss 2.345  lr 8.0e-04  grad 0.53  412.0k tokens/s  MFU 43 %  wait 0 %
      1 h 12 min left (in the same line)
    learn  step 1,200  held-out bits per byte at 15 / 30 %: code 1.234 / 1.456  web 1.456 / 1.678
    """
    told = TOLD[record["kind"]](record)
    return f"{record['phase']}  step {record['step']:,}  {told}"


def _step(record: Record) -> str:
    mfu, flops = record["mfu"], record["flops_per_second"]
    speed = f"{_short(flops, 'kMGTP')} FLOP/s" if mfu is None else f"MFU {100 * mfu:.0f} %"
    left = "" if record["left"] is None else f"  {_duration(record['left'])} left"
    return (
        f"{100 * record['share']:.1f} %  {_short(record['tokens'])} tokens  loss {_number(record['loss'], '.3f')}  "
        f"lr {record['lr']:.1e}  grad {_number(record['grad_norm'], '.2f')}  "
        f"{_short(record['tokens_per_second'])} tokens/s  {speed}  "
        f"wait {100 * record['data_wait'] / max(record['seconds'], 1e-9):.0f} %{left}"
    )


def _evaluation(record: Record) -> str:
    rates = " / ".join(f"{100 * float(rate):g}" for rate in next(iter(record["sources"].values())))
    told = f"held-out bits per byte at {rates} %: {_scores(record['sources'])}"
    if record.get("averaged"):
        told += f"; averaged weights: {_scores(record['averaged'])}"
    return "\n".join([told, *(f"    {_filled(sample)}" for sample in record.get("samples", ()))])


def _scores(sources: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    return "  ".join(
        f"{name} {' / '.join(_number(score['bits_per_byte'], '.3f') for score in by_rate.values())}"
        for name, by_rate in sources.items()
    )


def _filled(sample: Mapping[str, Any]) -> str:
    """The capital of France is [Paris 43 %, Lyon 10 %]."""
    told, *parts = sample["text"].split("[MASK]")
    for guesses, part in zip(sample["masks"], parts, strict=True):
        best = ", ".join(f"{guess['token'].strip()} {100 * guess['probability']:.0f} %" for guess in guesses)
        told += f"[{best}]{part}"
    return str(told)


def _spike(record: Record) -> str:
    rows = [f"{row['source']}/{row['context']} {row['row']:,}" for row in record["rows"]]
    named = ", ".join(rows[:3]) + (f" and {len(rows) - 3:,} more" if len(rows) > 3 else "")
    return (
        f"spike at step {record['at']:,}: {record['why']}. Goes on from here without {len(rows):,} "
        f"row{'s' if len(rows) > 1 else ''}: {named} (skipped.json)"
    )


def _audit(record: Record) -> str:
    tokens: Counter[str] = Counter()
    for by_source in record["read"].values():
        tokens.update({name: counts["tokens"] for name, counts in by_source.items()})
    return f"read {'  '.join(f'{name} {_short(count)}' for name, count in sorted(tokens.items()))} tokens, as planned"


TOLD: Mapping[str, Callable[[Record], str]] = {
    "started": lambda record: str(record["from"]),
    "resumed": lambda record: f"goes on from {record['checkpoint']}",
    "step": _step,
    "evaluation": _evaluation,
    "audit": _audit,
    "spike": _spike,
    "saved": lambda record: f"saved {record['checkpoint']}",
    "stopped": lambda record: f"stopped by {record['signal']}, saved {record['checkpoint']}; run it again to go on",
}
"""Kind of a record -> what it says."""


def _number(number: float | None, form: str) -> str:
    """None stands for what is no number once it was written."""
    return "nan" if number is None else format(number, form)


def _short(number: float, units: str = "kMBTP") -> str:
    for power in range(len(units), 0, -1):
        if number >= 1000**power:
            return f"{number / 1000**power:.1f}{units[power - 1]}"
    return f"{number:.0f}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours = minutes // 60
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
