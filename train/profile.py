"""A few steps of a training -> where their time went: a Chrome trace, and the operators that took most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from pipeline.files import write_atomically
from train.settings import Profile

DEAREST = 10
"""Operators in the table."""


class Profiled:
    """Counts the steps of this process; after the last one of the trace it does nothing any more."""

    def __init__(self, settings: Profile | None, folder: Path, device: torch.device) -> None:
        self._folder = folder / "profile"
        self._sorted = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
        self._step = self._done = 0
        self._running: profile | None = None
        if settings:
            self._first, self._last = settings.first, settings.first + settings.steps
            activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
            # The last step before the trace warms the profiler up: its first one costs more than it should.
            plan = schedule(wait=settings.first - 1, warmup=1, active=settings.steps, repeat=1)
            self._running = profile(activities=activities, schedule=plan, on_trace_ready=self._write, acc_events=True)
            self._running.start()

    def step(self, number: int) -> None:
        """Tell that a step ended, after which `number` are done in the run."""
        if not self._running:
            return
        self._step = number
        self._done += 1
        if self._done < self._last:
            self._running.step()
        else:
            self.close()

    def close(self) -> None:
        """Stop; a trace that was begun is written with the steps that it has."""
        running, self._running = self._running, None
        if running:
            running.stop()

    def _write(self, running: profile) -> None:
        if self._done == self._first:
            return  # the trace has begun, but no step of it was done
        self._folder.mkdir(parents=True, exist_ok=True)
        name = self._folder / f"step-{self._step:08d}"
        running.export_chrome_trace(f"{name}.json")
        table = running.key_averages().table(sort_by=self._sorted, row_limit=DEAREST, max_name_column_width=80)
        write_atomically(name.with_suffix(".txt"), table.encode())


@contextmanager
def profiled(settings: Profile | None, folder: Path, device: torch.device) -> Iterator[Profiled]:
    """Look at the steps that `settings` say; call `step` after each. Without settings nothing is measured or written.

    folder  of the run; step-<number of the last>.json and .txt are written into folder/profile
    """
    profiled = Profiled(settings, folder, device)
    try:
        yield profiled
    finally:
        profiled.close()
