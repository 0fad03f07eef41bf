"""The faults that a user can mend, and what else ends a command: told in one line, without a traceback."""

from __future__ import annotations

import errno
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.stores.store import FULL

DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
"""No permission, or a file system that is read only."""

FAULTS = {
    "recipes.load": ("RecipeError",),
    "recipes.estimate": ("PlanError",),
    "pipeline.stage": ("StageError",),
    "pipeline.units": ("InputError",),
    "pipeline.stores.store": ("StoreError",),
    "pipeline.ingest.reading": ("UnreadableFile", "MissingPackage"),
    "pipeline.filters.fasttext_file": ("ModelFileError",),
    "pipeline.filters.language": ("LanguageModelError",),
    "pipeline.filters.quality": ("QualityError",),
    "pipeline.sample": ("SampleError",),
    "pipeline.tokenizer": ("TokenizerError",),
    "packing.encode": ("EncodeError",),
    "packing.greedy": ("PackError",),
    "packing.mds": ("ShardError",),
    "packing.mixture": ("MixtureError",),
    "model.flexbert": ("FlexbertError",),
    "model.hub": ("HubError",),
    "model.pickled": ("PickledError",),
    "train.audit": ("AuditError",),
    "train.state": ("CheckpointError",),
    "train.devices": ("DeviceError",),
    "train.learn": ("TrainError",),
    "train.skipped": ("SkippedError",),
    "train.parents": ("StartError",),
    "train.trackers": ("TrackerError",),
    "commands.average": ("AverageError",),
    "commands.card": ("CardError",),
    "commands.look": ("LookError",),
    "commands.what_if": ("WhatIfError",),
    "commands.verify": ("VerifyError",),
    "commands.release": ("ExportError",),
    "commands.trace": ("TraceError",),
    "commands.compare": ("CompareError",),
    "commands.figure": ("FigureError",),
    "commands.evaluate": ("EvaluateError",),
    "train.guessers": ("ModelError",),
    "train.samples": ("FillMaskError",),
}
"""Module -> the exceptions it raises at a user."""


def expected() -> tuple[type[BaseException], ...]:
    """The exceptions of the modules that were imported; the others cannot have been raised."""
    loaded = ((sys.modules[module], names) for module, names in FAULTS.items() if module in sys.modules)
    return tuple(getattr(module, name) for module, names in loaded for name in names)


def told_of(fault: OSError) -> str | None:
    """What to say of a disk or folder that does not take what is written; None for other faults."""
    if fault.errno not in (*FULL, *DENIED):
        return None
    mend = "make room" if fault.errno in FULL else "allow it, or name another folder"
    return f"{fault.filename or 'the disk'}: {fault.strerror}; {mend} and run the same command again"


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C ends the program with a line and the shell's exit code for it; who was interrupted may have said more."""
    try:
        yield
    except KeyboardInterrupt as stop:
        print(f"stopped; {str(stop) or 'run the same command again and it goes on'}", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None


_as_python_does = warnings.formatwarning


def plainly(message: Any, category: type[Warning], *place: Any, **more: Any) -> str:
    """A warning as it is printed: ours says itself where and what; of others, Python tells where they come from."""
    ours = category.__module__.partition(".")[0] in ("recipes", "pipeline", "packing", "model", "train")
    return f"{message}\n" if ours else _as_python_does(message, category, *place, **more)
