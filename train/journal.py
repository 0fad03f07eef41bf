"""What happens in a training -> the file of its records, the trackers, and whoever watches; of all ranks, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from train.job import Job
from train.metrics import Metrics, Record
from train.ranks import Ranks
from train.trackers import Tracker, trackers

Notify = Callable[[Record], None]


class Journal:
    """Of the first rank; that of any other one is silent."""

    def __init__(self, metrics: Metrics | None, tracker: Tracker | None, notify: Notify) -> None:
        self._metrics, self._tracker, self._notify = metrics, tracker, notify

    def write(self, record: Record, **more: Any) -> None:
        """A record of metrics.jsonl; `more` is for whoever watches."""
        if self._metrics:
            self._metrics.write(record)
            self.tell({**record, **more})

    def tell(self, record: Record) -> None:
        """What is no part of the run's record: that it went on, or saved."""
        if self._tracker:
            self._tracker.record(record)
        self._notify(record)

    def sync(self) -> None:
        """Make what was written outlive a power cut."""
        if self._metrics:
            self._metrics.sync()

    def rewind(self, step: int) -> None:
        """Take out the steps past this one, which come again."""
        if self._metrics:
            self._metrics.rewind(step)


@contextmanager
def journal(job: Job, ranks: Ranks, step: int, notify: Notify) -> Iterator[Journal]:
    """Of a training that goes on after so many steps. Raises TrackerError for a tracker that is not installed."""
    if not ranks.leads:
        yield Journal(None, None, lambda record: None)
        return
    with (
        trackers(job.settings, job.folder, job.folder.name) as tracker,
        closing(Metrics(job.metrics, step)) as metrics,
    ):
        yield Journal(metrics, tracker, notify)
