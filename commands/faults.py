"""The faults that a user can mend: told in one line, without a traceback."""

from __future__ import annotations

import sys

FAULTS = {
    "recipes.load": ("RecipeError",),
    "recipes.estimate": ("PlanError",),
    "pipeline.stage": ("StageError",),
    "pipeline.units": ("InputError",),
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
    "model.hub": ("HubError",),
    "train.checkpoint": ("CheckpointError",),
    "train.devices": ("DeviceError",),
    "train.learn": ("TrainError",),
    "commands.look": ("LookError",),
    "commands.what_if": ("WhatIfError",),
    "commands.verify": ("VerifyError",),
    "commands.trace": ("TraceError",),
    "commands.fill_mask": ("FillMaskError",),
}
"""Module -> the exceptions it raises at a user."""


def expected() -> tuple[type[BaseException], ...]:
    """The exceptions of the modules that were imported; the others cannot have been raised."""
    loaded = ((sys.modules[module], names) for module, names in FAULTS.items() if module in sys.modules)
    return tuple(getattr(module, name) for module, names in loaded for name in names)
